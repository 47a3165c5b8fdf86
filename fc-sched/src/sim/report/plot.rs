//! Outcomes over time, as a picture.

use fc_core::{Error, Result};
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor, SVGBackend, Text,
};
use plotters::style::{Color, ShapeStyle, WHITE};

use super::{Outcome, Sample};

/// Pixels of the picture.
const SIZE: (u32, u32) = (1200, 960);

/// Pixels above the panels, for the names of the lines.
const LEGEND: i32 = 40;

/// Points of a line: one in four pixels. A longer series is averaged.
const POINTS_MAX: usize = 300;

/// Okabe and Ito's colours, which those who see fewer colours tell apart as well.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 86, 86),
];

/// A title, and what of a sample is shown.
type Panel = (&'static str, fn(&Sample) -> f64);

const PANELS: [Panel; 3] = [
    ("Instances", |sample| sample.instances as f64),
    ("Cold starts a minute", |sample| sample.cold_starts as f64),
    ("Waste: memory of instances that run nothing, GB", |sample| sample.idle_gb),
];

/// An SVG with instances, cold starts and waste over time, a line for each outcome. Text is text,
/// in the viewer's sans-serif font.
///
/// # Errors
///
/// No outcome has samples, or the drawing library fails.
pub fn plot_svg(outcomes: &[Outcome]) -> Result<String> {
    let end_s = outcomes.iter().filter_map(|o| o.series.last()).map(|last| last.at_s).max();
    let Some(end_s) = end_s else {
        return Err(Error::invalid("plot", "there are no samples to draw"));
    };
    let mut svg = String::new();
    let drawn = draw(&mut svg, outcomes, end_s as f64);
    drawn.map_err(|error| Error::internal("the plot could not be drawn").with_source(error))?;
    Ok(svg)
}

fn draw(svg: &mut String, outcomes: &[Outcome], end_s: f64) -> Result<(), Failure> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (unit, unit_s) = match end_s {
        short if short <= 2.0 * 3_600.0 => ("minutes", 60.0),
        middle if middle <= 4.0 * 86_400.0 => ("hours", 3_600.0),
        _ => ("days", 86_400.0),
    };
    let (legend, panels) = root.split_vertically(LEGEND);
    draw_legend(&legend, outcomes)?;
    let areas = panels.split_evenly((PANELS.len(), 1));
    for (index, (area, (title, value))) in areas.iter().zip(PANELS).enumerate() {
        let lines: Vec<Vec<(f64, f64)>> =
            outcomes.iter().map(|outcome| points(&outcome.series, unit_s, value)).collect();
        // The time's unit stands under the last panel.
        let unit = (index + 1 == PANELS.len()).then_some(unit);
        draw_panel(area, title, &lines, end_s / unit_s, unit)?;
    }
    root.present()
}

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Failure = plotters::drawing::DrawingAreaErrorKind<std::io::Error>;

fn draw_legend(area: &Area<'_>, outcomes: &[Outcome]) -> Result<(), Failure> {
    let width = SIZE.0 as i32 / outcomes.len().max(1) as i32;
    for (index, outcome) in outcomes.iter().enumerate() {
        let (x, y) = (width * index as i32 + 24, LEGEND / 2 + 4);
        let line = PathElement::new([(x, y), (x + 24, y)], line_style(index));
        area.draw(&line)?;
        let name = outcome.policy.as_str();
        area.draw(&Text::new(name, (x + 32, y - 6), ("sans-serif", 18).into_font()))?;
    }
    Ok(())
}

fn line_style(index: usize) -> ShapeStyle {
    COLOURS[index % COLOURS.len()].stroke_width(2)
}

fn draw_panel(
    area: &Area<'_>,
    title: &str,
    lines: &[Vec<(f64, f64)>],
    end: f64,
    unit: Option<&str>,
) -> Result<(), Failure> {
    let highest = lines.iter().flatten().map(|&(_, value)| value).fold(0.0, f64::max);
    // Room above the line, and an axis even if all is 0.
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20).into_font())
        .margin(8)
        .margin_right(24)
        .x_label_area_size(if unit.is_some() { 48 } else { 28 })
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(WHITE).x_labels(13).y_labels(6).label_style(("sans-serif", 15));
    // The shortest text of a number that the mesh chose as round.
    let short = |value: &f64| format!("{}", (value * 1e6).round() / 1e6);
    mesh.x_label_formatter(&short).y_label_formatter(&short);
    if let Some(unit) = unit {
        mesh.x_desc(unit);
    }
    mesh.draw()?;
    for (index, points) in lines.iter().enumerate() {
        chart.draw_series(LineSeries::new(points.iter().copied(), line_style(index)))?;
    }
    Ok(())
}

/// Time and value of each sample, or of the mean of as many as it takes to stay under
/// [`POINTS_MAX`].
fn points(series: &[Sample], unit_s: f64, value: fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let group = series.len().div_ceil(POINTS_MAX).max(1);
    let mean = |samples: &[Sample], of: &dyn Fn(&Sample) -> f64| {
        samples.iter().map(of).sum::<f64>() / samples.len() as f64
    };
    series
        .chunks(group)
        .map(|samples| (mean(samples, &|s| s.at_s as f64 / unit_s), mean(samples, &value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;
    use crate::sim::PolicyName;

    #[test]
    fn each_panel_has_a_line_for_each_outcome() {
        let outcomes = [outcome(PolicyName::Fixed, 1), outcome(PolicyName::Forecast, 3)];
        let svg = plot_svg(&outcomes).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for (title, _) in PANELS {
            assert_eq!(svg.matches(&format!("\n{title}\n")).count(), 1, "{title}");
        }
        for (policy, colour) in [("fixed", "#0072B2"), ("forecast", "#E69F00")] {
            assert_eq!(svg.matches(&format!("\n{policy}\n")).count(), 1, "{policy}");
            // Three lines and the legend's.
            let lines = format!("<polyline fill=\"none\" opacity=\"1\" stroke=\"{colour}\"");
            assert_eq!(svg.matches(&lines).count(), 4, "{policy}");
        }
        assert_eq!(svg, plot_svg(&outcomes).unwrap());
    }

    #[test]
    fn a_long_series_is_averaged_and_an_empty_one_refused() {
        let sample =
            |minute: u64| Sample { at_s: 60 * minute, instances: minute, ..Sample::default() };
        let series: Vec<Sample> = (1..=1_800).map(sample).collect();
        let points = points(&series, 60.0, |sample| sample.instances as f64);
        assert_eq!((points.len(), points[0], points[299]), (300, (3.5, 3.5), (1797.5, 1797.5)));
        let refused = plot_svg(&[Outcome::new(PolicyName::Fixed)]).unwrap_err();
        assert_eq!(refused.message(), "plot: there are no samples to draw");
        let quiet = Outcome {
            series: vec![Sample { at_s: 60, ..Sample::default() }],
            ..outcome(PolicyName::Fixed, 1)
        };
        assert!(plot_svg(&[quiet]).unwrap().contains("<polyline"));
    }
}
