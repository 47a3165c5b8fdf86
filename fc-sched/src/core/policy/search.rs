//! A search through the calendar: croner walks, jiff knows the clocks, and both have bounds here.

use std::cell::Cell;
use std::cmp::Ordering;

use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use fc_core::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;

use super::Zone;

/// Years that are searched. The rarest date that comes back is a 29 February on a given weekday:
/// after 40 years at most.
const SEARCH_YEARS: i32 = 45;

/// Steps of a search at most, some 4 ms. Dates take 30 a year; but what can only happen in the
/// hour that New York's clocks leave out each March is looked for second by second, year after year.
pub(super) const SEARCH_STEPS: u32 = 20_000;

/// Where a search begins and where it has come to. It knows how far the search may go, since the
/// library alone would look up to the year 5000.
#[derive(Clone)]
pub(super) struct Point<'z> {
    zone: &'z Zone,
    steps: &'z Cell<u32>,
    pub(super) at: jiff::Timestamp,
    clocks: DateTime,
    begun: i32,
}

impl<'z> Point<'z> {
    pub(super) fn new(zone: &'z Zone, wall: Timestamp, steps: &'z Cell<u32>) -> Option<Self> {
        let whole = Timestamp::from_unix_millis(wall.as_unix_seconds() * 1000);
        let (at, clocks) = zone.clocks_at(whole)?;
        Some(Self { zone, steps, at, clocks, begun: clocks.year().into() })
    }

    fn moved(&self, at: jiff::Timestamp) -> Self {
        Self { at, clocks: self.zone.clocks(at), ..*self }
    }
}

impl CronDateTime for Point<'_> {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.clocks;
        // None of these is negative.
        let part = |value: i8| u32::from(value.unsigned_abs());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(at.year().into(), part(at.month()), part(at.day())),
            CivilTime::from_parts_unchecked(part(at.hour()), part(at.minute()), part(at.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let days = self.clocks.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(days.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let steps = self.steps.get().checked_sub(1).ok_or(CronError::TimeSearchLimitExceeded)?;
        self.steps.set(steps);
        if (civil.year() - self.begun).abs() > SEARCH_YEARS {
            return Err(CronError::TimeSearchLimitExceeded);
        }
        let clocks = to_jiff(civil).ok_or(CronError::InvalidDate)?;
        let at = |offset: jiff::tz::Offset| {
            let at = offset.to_timestamp(clocks).map_err(|_| CronError::InvalidTime)?;
            Ok(Self { at, clocks, ..*self })
        };
        Ok(match self.zone.offset(clocks) {
            AmbiguousOffset::Unambiguous { offset } => Resolution::Single(at(offset)?),
            AmbiguousOffset::Fold { before, after } => {
                Resolution::Ambiguous(at(before)?, at(after)?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let at = self.at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        Some(self.moved(at))
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

fn to_jiff(civil: CivilDateTime) -> Option<DateTime> {
    let part = |value: u32| i8::try_from(value).ok();
    DateTime::new(
        i16::try_from(civil.year()).ok()?,
        part(civil.month())?,
        part(civil.day())?,
        part(civil.hour())?,
        part(civil.minute())?,
        part(civil.second())?,
        0,
    )
    .ok()
}
