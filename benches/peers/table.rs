//! One table on the standard output, or one JSON object per row.

use super::compare::{Ratio, Series};
use super::options::Options;

/// What is aimed at and what is accepted, of the row's ratio, or of its figure if it has none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Budget {
    /// The smaller the better.
    AtMost {
        /// What is aimed at.
        goal: f64,
        /// The most that is accepted.
        least: f64,
    },
    /// The larger the better.
    AtLeast {
        /// What is aimed at.
        goal: f64,
        /// The least that is accepted.
        least: f64,
    },
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: String,
    figure: Option<f64>,
    unit: &'static str,
    spread: Option<f64>,
    ratio: Option<Ratio>,
    budget: Option<Budget>,
    note: Option<String>,
}

impl Row {
    /// The median of `series`.
    pub(crate) fn new(name: impl Into<String>, series: &Series, unit: &'static str) -> Self {
        let (figure, spread) = (Some(series.median()), Some(series.spread()));
        Self { name: name.into(), figure, unit, spread, ratio: None, budget: None, note: None }
    }

    /// A figure that is no median, such as a count of bytes.
    pub(crate) fn exact(name: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self { spread: None, figure: Some(figure), ..Self::missing(name, unit, None) }
    }

    /// A row that could not be measured, and why.
    pub(crate) fn missing(
        name: impl Into<String>,
        unit: &'static str,
        note: impl Into<Option<&'static str>>,
    ) -> Self {
        Self {
            name: name.into(),
            figure: None,
            unit,
            spread: None,
            ratio: None,
            budget: None,
            note: note.into().map(String::from),
        }
    }

    /// With its ratio to a peer.
    #[must_use]
    pub(crate) fn over(self, ratio: Ratio) -> Self {
        Self { ratio: Some(ratio), ..self }
    }

    /// With its budget.
    #[must_use]
    pub(crate) fn budget(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// With a reason why it is not judged.
    #[must_use]
    pub(crate) fn unjudged(self, why: &str) -> Self {
        Self { note: Some(why.into()), ..self }
    }

    fn judged(&self) -> Option<f64> {
        self.ratio.map(|ratio| ratio.median).or(self.figure)
    }

    fn verdict(&self, options: &Options) -> &str {
        if let Some(note) = &self.note {
            return note;
        }
        match (self.budget, self.judged()) {
            (Some(_), _) if options.test => "not judged (--test)",
            (Some(budget), Some(value)) => budget.verdict(value),
            _ => "",
        }
    }
}

impl Budget {
    fn goal_and_least(self) -> (f64, f64) {
        let (Self::AtMost { goal, least } | Self::AtLeast { goal, least }) = self;
        (goal, least)
    }

    fn verdict(self, value: f64) -> &'static str {
        let (goal, least) = self.goal_and_least();
        let (goal, least) = match self {
            Self::AtMost { .. } => (value <= goal, value <= least),
            Self::AtLeast { .. } => (value >= goal, value >= least),
        };
        if goal {
            "goal met"
        } else if least {
            "accepted"
        } else {
            "MISSED"
        }
    }
}

/// Prints `rows` under `title` as `options` say.
pub(crate) fn print(options: &Options, title: &str, rows: &[Row]) {
    if options.json {
        rows.iter().for_each(|row| println!("{}", json(options, title, row)));
        return;
    }
    println!("\n{title}");
    let head =
        ["", "figure", "unit", "spread", "ratio (lowest-highest)", "goal / least", "verdict"];
    let mut lines = vec![head.map(String::from)];
    lines.extend(rows.iter().map(|row| cells(options, row)));
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in &lines {
        let [name, figure, unit, spread, ratio, budget, verdict] = line;
        let [w0, w1, w2, w3, w4, w5, _] = widths;
        let text = format!(
            "{name:w0$}  {figure:>w1$} {unit:w2$}  {spread:>w3$}  {ratio:w4$}  {budget:w5$}  {verdict}"
        );
        println!("{}", text.trim_end());
    }
}

fn cells(options: &Options, row: &Row) -> [String; 7] {
    let budget = row.budget.map(|budget| {
        let (goal, least) = budget.goal_and_least();
        let sign = if matches!(budget, Budget::AtMost { .. }) { "<=" } else { ">=" };
        format!("{sign} {goal} / {least}")
    });
    let ratio =
        |ratio: Ratio| format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.lowest, ratio.highest);
    [
        row.name.clone(),
        row.figure.map_or_else(|| "-".into(), readable),
        row.unit.into(),
        row.spread.filter(|spread| spread.is_finite()).map(percent).unwrap_or_default(),
        row.ratio.map(ratio).unwrap_or_default(),
        budget.unwrap_or_default(),
        row.verdict(options).into(),
    ]
}

fn percent(part: f64) -> String {
    format!("{:.0}%", part * 100.0)
}

fn readable(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

fn json(options: &Options, title: &str, row: &Row) -> serde_json::Value {
    let budget = row.budget.map(Budget::goal_and_least);
    serde_json::json!({
        "table": title,
        "name": row.name,
        "figure": row.figure,
        "unit": row.unit,
        "spread": row.spread,
        "ratio": row.ratio.map(|ratio| ratio.median),
        "ratio_lowest": row.ratio.map(|ratio| ratio.lowest),
        "ratio_highest": row.ratio.map(|ratio| ratio.highest),
        "goal": budget.map(|(goal, _)| goal),
        "least": budget.map(|(_, least)| least),
        "verdict": row.verdict(options),
    })
}
