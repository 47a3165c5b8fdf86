//! Outcomes side by side.

use super::Outcome;

/// What a column is called, and what it says of an outcome.
type Column = (&'static str, fn(&Outcome) -> String);

const COLUMNS: [Column; 14] = [
    ("policy", |o| o.policy.to_string()),
    ("invocations", |o| o.invocations.to_string()),
    ("cold starts", |o| o.cold_starts.to_string()),
    ("cold %", |o| format!("{:.3}", o.cold_starts_percent())),
    ("wait p50 ms", |o| format!("{:.1}", o.waits.quantile_ms(0.5))),
    ("wait p99 ms", |o| format!("{:.1}", o.waits.quantile_ms(0.99))),
    ("GB·s used", |o| format!("{:.0}", o.gb_s_busy)),
    ("GB·s wasted", |o| format!("{:.0}", o.gb_s_idle)),
    ("wasted %", |o| format!("{:.1}", o.idle_percent())),
    ("throttled", |o| o.throttled.to_string()),
    ("instances", |o| o.instances_peak.to_string()),
    ("nodes", |o| o.nodes_peak.to_string()),
    ("packing mean", |o| format!("{:.2}", o.fragmentation.mean)),
    ("packing worst", |o| format!("{:.2}", o.fragmentation.worst)),
];

/// A line for each outcome under a line of headings, then what refused whose invocations.
/// Instances and nodes are the peaks; packing is nodes in use ÷ the lower bound.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![COLUMNS.map(|(heading, _)| heading.to_string())];
    lines.extend(outcomes.iter().map(|outcome| COLUMNS.map(|(_, cell)| cell(outcome))));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Names to the left, numbers to the right.
            match column {
                0 => text += &format!("{cell:<width$}"),
                _ => text += &format!("  {cell:>width$}"),
            }
        }
        text.push('\n');
    }
    for outcome in outcomes.iter().filter(|outcome| !outcome.refused_by.is_empty()) {
        let reasons: Vec<String> =
            outcome.refused_by.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        text += &format!("{} refused by: {}\n", outcome.policy, reasons.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;
    use crate::sim::PolicyName;

    #[test]
    fn columns_are_aligned() {
        let mut none = outcome(PolicyName::TargetTracking, 1_000);
        none.refused_by.clear();
        let text = table(&[outcome(PolicyName::Fixed, 1), none]);
        let expected = "\
policy           invocations  cold starts  cold %  wait p50 ms  wait p99 ms  GB·s used  GB·s wasted  wasted %  throttled  instances  nodes  packing mean  packing worst
fixed                1234567        12345   1.000          0.0        300.0       5000        15000      75.0         67        321     12          1.12           2.00
target-tracking   1234567000     12345000   1.000          0.0        300.0       5000     15000500     100.0         67     321000     12          1.12           2.00
fixed refused by: instances_burst 60, waiting 7
";
        assert_eq!(text, expected);
        assert_eq!(table(&[]).lines().count(), 1);
    }
}
