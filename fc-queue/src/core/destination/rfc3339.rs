//! Points in time as text.

use fc_core::Timestamp;

/// The last millisecond that has four digits of a year.
const LAST_MS: u64 = 253_402_300_799_999;

/// `at` as RFC 3339 has it: UTC, to the millisecond. Behind the year 9999 it is that year's end.
///
/// ```
/// use fc_core::Timestamp;
/// use fc_queue::core::destination::rfc3339;
/// assert_eq!(rfc3339(Timestamp::from_unix_millis(1_573_762_568_165)), "2019-11-14T20:16:08.165Z");
/// ```
pub fn rfc3339(at: Timestamp) -> String {
    let ms = at.as_unix_millis().min(LAST_MS);
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let ms = ms % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The Gregorian date so many days after 1970-01-01. Years begin in March here, so that the leap day
/// is the last, and go by cycles of 400 years of 146 097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (cycle * 400 + year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ms: u64) -> String {
        rfc3339(Timestamp::from_unix_millis(ms))
    }

    #[test]
    fn known_times_are_printed() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(text(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(text(LAST_MS), "9999-12-31T23:59:59.999Z");
        assert_eq!(text(u64::MAX), text(LAST_MS));
    }

    /// Every day of 400 years against a calendar that counts them.
    #[test]
    fn every_day_follows_the_one_before() {
        let is_leap =
            |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..146_097 {
            assert_eq!(date(days), (year, month, day));
            let length = match month {
                2 if is_leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day == length) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
