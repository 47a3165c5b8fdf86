//! Cron expressions: when one fires next, and when it last did.

use std::cell::Cell;
use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use fc_core::{Error, Result, Timestamp};

use super::Zone;
use super::search::{Point, SEARCH_STEPS};
use super::zone::from_jiff;

/// Characters of an expression at most: six fields, each a long list.
pub const EXPRESSION_CHARS_MAX: u64 = 256;

/// When something is to happen again and again, by the clocks of a zone.
///
/// An expression has six fields: second, minute, hour, day of the month, month, day of the week (0
/// or 7 is Sunday), each with `*`, lists, ranges and steps; also `L`, `W` and `#` for days. If both
/// days are restricted, either will do. The pattern is the crate `croner`'s, about 6 KB of memory.
///
/// When the clocks are changed: a fixed time (one second, minute and hour) that is left out
/// happens when the clocks have been set forward, and one that is doubled happens the first time.
/// What repeats (`*`, lists, ranges, steps) happens whenever the clocks show it, and not if they do
/// not. A fixed time inside a gap of over 2 h (Samoa's missing 30 December 2011) is not found, and
/// nothing after the year 5000.
///
/// ```
/// use fc_sched::core::policy::{Cron, Zone};
///
/// let shanghai = Zone::parse("time_zone", "Asia/Shanghai")?;
/// let evening = Cron::parse("schedule_expression", "0 0 20 * * *", &shanghai)?;
/// let noon = shanghai.time("wall", "2024-08-01T12:00:00")?;
/// assert_eq!(evening.next_after(noon), Some(shanghai.time("wall", "2024-08-01T20:00:00")?));
/// assert_eq!(evening.last_at(noon), Some(shanghai.time("wall", "2024-07-31T20:00:00")?));
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Cron {
    pattern: Box<croner::Cron>,
    zone: Zone,
}

impl Cron {
    /// What `expression` says by the clocks of `zone`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` about `field` if it has not six fields, if one of them is wrong, or if it
    /// never happens, such as on 30 February.
    pub fn parse(field: &str, expression: &str, zone: &Zone) -> Result<Self> {
        let chars = expression.chars().count() as u64;
        if chars > EXPRESSION_CHARS_MAX {
            return Err(Error::over_limit(field, "characters", EXPRESSION_CHARS_MAX, chars));
        }
        let shown = expression.escape_debug();
        let fields = expression.split_ascii_whitespace().count();
        // Before the library sees it: it also knows five fields, seven, and names such as @daily.
        if fields != 6 {
            let what = format_args!("'{shown}' has {fields} fields, and a cron expression has 6");
            return Err(Error::invalid(field, what));
        }
        if expression.split_ascii_whitespace().any(|field| field.split(',').any(str::is_empty)) {
            let what = format_args!("'{shown}' has an empty item in a list");
            return Err(Error::invalid(field, what));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            // `0/15`, as both clouds' documents write it.
            .sloppy_ranges(true)
            .build();
        let pattern = match parser.parse(expression) {
            Ok(pattern) => Box::new(pattern),
            Err(error) => return Err(Error::invalid(field, format_args!("'{shown}': {error}"))),
        };
        let cron = Self { pattern, zone: zone.clone() };
        if cron.next_after(Timestamp::from_unix_millis(YEAR_2000_MS)).is_none() {
            return Err(Error::invalid(field, format_args!("'{shown}' never happens")));
        }
        Ok(cron)
    }

    /// When it happens next, later than `wall`. `None` if not within 45 years, or if the
    /// search takes too long.
    pub fn next_after(&self, wall: Timestamp) -> Option<Timestamp> {
        let steps = Cell::new(SEARCH_STEPS);
        let start = Point::new(&self.zone, wall, &steps)?;
        from_jiff(self.pattern.find_next_occurrence(&start, false).ok()?.at)
    }

    /// When it last happened, at `wall` or before. `None` if not within 45 years, if
    /// before 1970, or if the search takes too long.
    pub fn last_at(&self, wall: Timestamp) -> Option<Timestamp> {
        let steps = Cell::new(SEARCH_STEPS);
        let start = Point::new(&self.zone, wall, &steps)?;
        from_jiff(self.pattern.find_previous_occurrence(&start, true).ok()?.at)
    }
}

const YEAR_2000_MS: u64 = 946_684_800_000;

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({} in {:?})", self.pattern.pattern, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse("time_zone", name).unwrap()
    }

    fn wall(zone: &Zone, text: &str) -> Timestamp {
        zone.time("wall", text).unwrap()
    }

    /// The first three times after `from`, and the last at the third.
    fn check(name: &str, expression: &str, from: &str, expected: [&str; 3]) {
        let (zone, utc) = (zone(name), Zone::utc());
        let cron = Cron::parse("schedule_expression", expression, &zone).unwrap();
        let mut at = wall(&utc, from);
        for expected in expected {
            let next = cron.next_after(at).unwrap();
            assert_eq!(next, wall(&utc, expected), "'{expression}' in {name}: {expected}");
            assert!(next > at);
            at = next;
            assert_eq!(cron.last_at(next), Some(next), "'{expression}' in {name}: {expected}");
        }
    }

    #[test]
    fn sch_4_six_fields_with_seconds_first() {
        let from = "2024-02-27T12:34:56Z";
        for (zone, expression, expected) in [
            (
                "",
                "0 0 20 * * *",
                ["2024-02-27T20:00:00Z", "2024-02-28T20:00:00Z", "2024-02-29T20:00:00Z"],
            ),
            (
                "Asia/Shanghai",
                "0 0 20 * * *",
                ["2024-02-28T12:00:00Z", "2024-02-29T12:00:00Z", "2024-03-01T12:00:00Z"],
            ),
            (
                "",
                "*/20 59 23 29 2 *",
                ["2024-02-29T23:59:00Z", "2024-02-29T23:59:20Z", "2024-02-29T23:59:40Z"],
            ),
            (
                "",
                "0 0 0 29 2 ?",
                ["2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
            ),
            (
                "",
                "0 0/15 9-17 ? * MON-FRI",
                ["2024-02-27T12:45:00Z", "2024-02-27T13:00:00Z", "2024-02-27T13:15:00Z"],
            ),
            // If both days are restricted, either will do; with a plus sign, both.
            (
                "",
                "0 0 0 1 * 5",
                ["2024-03-01T00:00:00Z", "2024-03-08T00:00:00Z", "2024-03-15T00:00:00Z"],
            ),
            (
                "",
                "0 0 0 29 2 +1",
                ["2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z", "2112-02-29T00:00:00Z"],
            ),
            (
                "",
                "0 0 6 L * *",
                ["2024-02-29T06:00:00Z", "2024-03-31T06:00:00Z", "2024-04-30T06:00:00Z"],
            ),
            // 0 and 7 are both Sunday.
            (
                "",
                "1,2 0 0 * * 7",
                ["2024-03-03T00:00:01Z", "2024-03-03T00:00:02Z", "2024-03-10T00:00:01Z"],
            ),
            (
                "",
                "0 0 0 1 JAN 0#1",
                ["2025-01-01T00:00:00Z", "2025-01-05T00:00:00Z", "2026-01-01T00:00:00Z"],
            ),
        ] {
            check(zone, expression, from, expected);
        }
    }

    #[test]
    fn sch_4_when_the_clocks_are_changed() {
        // Berlin: 2024-03-31 from 02:00 to 03:00, which is 01:00 UTC.
        let spring = "2024-03-30T12:00:00Z";
        for (expression, expected) in [
            // Left out: when the clocks have been set forward.
            (
                "0 30 2 * * *",
                ["2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z", "2024-04-02T00:30:00Z"],
            ),
            // What is not left out is not touched.
            (
                "0 30 1 * * *",
                ["2024-03-31T00:30:00Z", "2024-03-31T23:30:00Z", "2024-04-01T23:30:00Z"],
            ),
            // What repeats is not made up for.
            (
                "0 */30 2 * * *",
                ["2024-04-01T00:00:00Z", "2024-04-01T00:30:00Z", "2024-04-02T00:00:00Z"],
            ),
            (
                "0 0 1-3 * * *",
                ["2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z", "2024-03-31T23:00:00Z"],
            ),
        ] {
            check("Europe/Berlin", expression, spring, expected);
        }
        // 2024-10-27 from 03:00 back to 02:00, which is 01:00 UTC.
        let autumn = "2024-10-26T22:10:00Z";
        for (expression, expected) in [
            // Doubled: the first time.
            (
                "0 30 2 * * *",
                ["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z", "2024-10-29T01:30:00Z"],
            ),
            // What repeats happens whenever the clocks show it.
            (
                "0 0,30 2 * * *",
                ["2024-10-27T00:00:00Z", "2024-10-27T00:30:00Z", "2024-10-27T01:00:00Z"],
            ),
            (
                "0 0 * * * *",
                ["2024-10-26T23:00:00Z", "2024-10-27T00:00:00Z", "2024-10-27T01:00:00Z"],
            ),
        ] {
            check("Europe/Berlin", expression, autumn, expected);
        }
        // Between the two 02:30 of that night, the next is tomorrow's, the last the first.
        let cron = Cron::parse("x", "0 30 2 * * *", &zone("Europe/Berlin")).unwrap();
        let between = wall(&Zone::utc(), "2024-10-27T01:10:00Z");
        assert_eq!(cron.next_after(between), Some(wall(&Zone::utc(), "2024-10-28T01:30:00Z")));
        assert_eq!(cron.last_at(between), Some(wall(&Zone::utc(), "2024-10-27T00:30:00Z")));
        // Lord Howe sets its clocks by half an hour.
        check(
            "Australia/Lord_Howe",
            "0 15 2 * * *",
            "2024-10-05T00:00:00Z",
            ["2024-10-05T15:30:00Z", "2024-10-06T15:15:00Z", "2024-10-07T15:15:00Z"],
        );
    }

    #[test]
    fn sch_4_an_error_names_field_and_value() {
        let long = "0,".repeat(130);
        for (expression, expected) in [
            ("", "f: '' has 0 fields, and a cron expression has 6"),
            ("* * * * *", "f: '* * * * *' has 5 fields, and a cron expression has 6"),
            ("@daily", "f: '@daily' has 1 fields, and a cron expression has 6"),
            ("0 0 0 1 1 * 2030", "f: '0 0 0 1 1 * 2030' has 7 fields, and a cron expression has 6"),
            ("0 0 0 30 2 *", "f: '0 0 0 30 2 *' never happens"),
            ("0 0 0 31 4,6,9,11 *", "f: '0 0 0 31 4,6,9,11 *' never happens"),
            ("0 , 0 * * *", "f: '0 , 0 * * *' has an empty item in a list"),
            (&long, "f: 260 characters is over the limit of 256"),
        ] {
            let error = Cron::parse("f", expression, &Zone::utc()).unwrap_err();
            assert_eq!(error.message(), expected);
        }
        for expression in [
            "60 0 0 * * *",
            "0 0 24 * * *",
            "0 0 0 0 * *",
            "0 0 0 * 13 *",
            "0 0 0 * * 8",
            "a 0 0 * * *",
            "0 0 0 * * MON#6",
            "*/0 * * * * *",
            "5-1 * * * * *",
            "-1 * * * * *",
            "99999999999999999999 * * * * *",
            "0 0 0 \u{1f980} * *",
        ] {
            let error = Cron::parse("f", expression, &Zone::utc()).unwrap_err();
            let shown = expression.escape_debug();
            assert!(error.message().starts_with(&format!("f: '{shown}': ")), "{error}");
        }
    }

    #[test]
    fn sch_4_at_the_ends_of_time_there_is_no_next() {
        let cron = Cron::parse("f", "0 0 0 1 1 *", &zone("Europe/Berlin")).unwrap();
        assert_eq!(cron.next_after(Timestamp::from_unix_millis(u64::MAX)), None);
        assert_eq!(cron.last_at(Timestamp::from_unix_millis(u64::MAX)), None);
        assert_eq!(cron.last_at(Timestamp::from_unix_millis(0)), None);
        let year_9999 = Timestamp::from_unix_millis(253_400_000_000_000);
        assert_eq!(cron.next_after(year_9999), None);
        assert_eq!(cron.last_at(year_9999), None);
        let year_4990 = Timestamp::from_unix_millis(95_302_000_000_000);
        assert!(cron.last_at(year_4990) < cron.next_after(year_4990));
    }

    #[test]
    fn t15_a_search_through_left_out_hours_is_given_up() {
        // Since 2007 New York's clocks leave this hour out.
        let cron = Cron::parse("f", "*/2 * 2 8-14 3 +0", &zone("America/New_York")).unwrap();
        let (utc, steps) = (Zone::utc(), Cell::new(SEARCH_STEPS));
        let before = wall(&utc, "2004-01-01T00:00:00Z");
        assert_eq!(cron.next_after(before), Some(wall(&utc, "2004-03-14T07:00:00Z")));
        let after = wall(&utc, "2026-01-01T00:00:00Z");
        assert_eq!((cron.next_after(after), cron.last_at(after)), (None, None));
        let start = Point::new(&cron.zone, after, &steps).unwrap();
        assert!(cron.pattern.find_next_occurrence(&start, false).is_err());
        assert_eq!(steps.get(), 0, "it was the steps that ended it");
    }

    /// A field as its text and the values it allows.
    fn field(low: u32, high: u32) -> impl Strategy<Value = (String, Vec<u32>)> {
        let all: Vec<u32> = (low..=high).collect();
        prop_oneof![
            2 => Just(("*".to_owned(), all)),
            1 => (low..=high).prop_map(|value| (value.to_string(), vec![value])),
            1 => prop::collection::vec(low..=high, 1..4).prop_map(|values| {
                let text: Vec<String> = values.iter().map(ToString::to_string).collect();
                (text.join(","), values)
            }),
            1 => (low..=high, low..=high).prop_map(|(one, other)| {
                let (from, to) = (one.min(other), one.max(other));
                (format!("{from}-{to}"), (from..=to).collect())
            }),
            1 => (2..=high / 2).prop_map(move |step| {
                (format!("*/{step}"), (low..=high).step_by(step as usize).collect())
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Against walking the minutes of real time and reading the clocks. The two minutes in the
        /// list make it something that repeats.
        #[test]
        fn sch_4_next_and_last_are_what_the_clocks_show(
            (hours, hour) in field(0, 23),
            (days, day) in field(1, 31),
            (months, month) in field(1, 12),
            berlin in any::<bool>(),
            from in 1_710_000_000u64..1_740_000_000,
        ) {
            let zone = zone(if berlin { "Europe/Berlin" } else { "" });
            let cron = Cron::parse("f", &format!("0 7,37 {hours} {days} {months} *"), &zone);
            prop_assume!(cron.is_ok());
            let cron = cron.unwrap();
            let shows = |minutes: u64| {
                let at = Timestamp::from_unix_millis(minutes * 60_000);
                let clocks = zone.clocks_at(at).unwrap().1;
                [7, 37].contains(&clocks.minute())
                    && hour.contains(&(clocks.hour() as u32))
                    && day.contains(&(clocks.day() as u32))
                    && month.contains(&(clocks.month() as u32))
            };
            let (wall, minute) = (Timestamp::from_unix_millis(from * 1000 + 123), from / 60);
            // Two weeks either way.
            let next = (minute + 1..minute + 22_000).find(|minute| shows(*minute));
            let last = (minute - 22_000..=minute).rev().find(|minute| shows(*minute));
            let within = |at: Option<Timestamp>, low: u64, high: u64| {
                let at = at.map(|at| at.as_unix_millis() / 60_000);
                at.filter(|at| (low..high).contains(at))
            };
            let found = within(cron.next_after(wall), minute + 1, minute + 22_000);
            prop_assert_eq!(found, next);
            let found = within(cron.last_at(wall), minute - 22_000, minute + 1);
            prop_assert_eq!(found, last);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn t15_no_expression_panics_or_searches_for_long(
            expression in prop_oneof![
                "([0-9*/,LW#?+-]{1,4} ){5}[0-9*/,LW#?+-]{1,4}",
                "([0-9]{1,2} ){3}(29|30|31|L|[0-9]{1,2}W) ([0-9]{1,2}|\\*) \\+?[0-7](#[1-5]|L)?",
                ".{0,30}",
            ],
            seconds in 0u64..300_000_000_000,
        ) {
            let wall = Timestamp::from_unix_millis(seconds * 1000);
            if let Ok(cron) = Cron::parse("f", &expression, &zone("America/New_York")) {
                if let Some(next) = cron.next_after(wall) {
                    prop_assert!(next > wall);
                    prop_assert!(cron.last_at(next) >= Some(wall));
                }
                if let Some(last) = cron.last_at(wall) {
                    prop_assert!(last <= wall);
                }
            }
        }
    }
}
