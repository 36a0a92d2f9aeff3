//! Seconds since the Unix epoch, the only unit of time in the rules.

use core::fmt;
use core::time::Duration;

const DAY: u64 = 86_400;

/// A time in whole seconds: `NumericDate` of [RFC 7519 §2].
///
/// [RFC 7519 §2]: https://www.rfc-editor.org/rfc/rfc7519#section-2
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The time `secs` seconds after the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The time `span` later, saturating at the maximum.
    #[must_use]
    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// The time `span` earlier, saturating at the epoch.
    #[must_use]
    pub const fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// The duration until `later`; zero once it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }

    /// The duration since `earlier`; zero if that is in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        earlier.until(self)
    }

    /// The UTC day, `2026-11-23`.
    pub fn day(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// The first second of the UTC day `2026-11-23`; `None` if there is no such day, or if it is
    /// before 1970 or after 9999.
    pub fn of_day(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (year, month, day) = (number()?, number()?, number()?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day > 31 {
            return None;
        }
        let moment = Self(
            days_before(year, month)
                .saturating_add(day.checked_sub(1)?)
                .saturating_mul(DAY),
        );
        // Rejects a text that does not round-trip: 31 April, 1 January with a space.
        (moment.day() == text).then_some(moment)
    }

    /// The UTC minute, `2026-11-23T18:46`.
    pub fn minute(self) -> String {
        let (hour, minute, _) = self.clock();
        format!("{}T{hour:02}:{minute:02}", self.day())
    }

    /// The first second of this time's minute.
    #[must_use]
    pub const fn start_of_minute(self) -> Self {
        Self(self.0.saturating_sub(self.0 % 60))
    }

    const fn clock(self) -> (u64, u64, u64) {
        (self.0 % DAY / 3_600, self.0 % 3_600 / 60, self.0 % 60)
    }

    /// Year, month and day in the proleptic Gregorian calendar. Days count from 1 March of the year
    /// 0, so the leap day comes last in each 400-year era.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a u64 of seconds divided into days leaves every term far below overflow"
    )]
    const fn civil(self) -> (u64, u64, u64) {
        let days = self.0 / DAY + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }
}

/// The number of days from 1970 to the first of a month.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "four digits of a year leave every term far below overflow, and 1970 above zero"
)]
const fn days_before(year: u64, month: u64) -> u64 {
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 - 719_468
}

/// RFC 3339 in UTC, `2026-11-23T18:46:43Z`: sorts by time until the year 9999.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.clock();
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}Z", self.day())
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers and texts of a test are its own"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_format_as_their_calendar_dates() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_300_819_380, "2011-03-22T18:43:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(UnixTime::from_secs(secs).to_string(), text);
        }
        assert_eq!(
            UnixTime::from_secs(1_300_819_380).minute(),
            "2011-03-22T18:43"
        );
        assert_eq!(
            UnixTime::from_secs(119).start_of_minute(),
            UnixTime::from_secs(60)
        );
    }

    #[test]
    fn time_arithmetic_saturates_at_both_ends() {
        let end = UnixTime::from_secs(u64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(
            UnixTime::from_secs(1).minus(Duration::from_secs(2)),
            UnixTime::from_secs(0)
        );
        assert_eq!(end.until(UnixTime::from_secs(0)), Duration::ZERO);
        assert!(!end.to_string().is_empty());
    }

    #[test]
    fn a_day_outside_the_calendar_is_rejected() {
        for text in [
            "2026-02-29",
            "2026-04-31",
            "2026-13-01",
            "2026-1-1",
            "1969-12-31",
            "",
            "2026-01-00",
            "2026-01-01-01",
        ] {
            assert_eq!(UnixTime::of_day(text), None, "{text}");
        }
        assert_eq!(UnixTime::of_day("1970-01-01"), Some(UnixTime::from_secs(0)));
        assert!(UnixTime::of_day("2024-02-29").is_some());
    }

    proptest! {
        #[test]
        fn every_day_round_trips(secs in 0_u64..253_402_300_799) {
            let day = UnixTime::from_secs(secs - secs % 86_400);
            prop_assert_eq!(UnixTime::of_day(&day.day()), Some(day));
        }

        #[test]
        fn formatted_times_sort_by_second(a in 0_u64..253_402_300_799, b in 0_u64..253_402_300_799) {
            let (a, b) = (UnixTime::from_secs(a), UnixTime::from_secs(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
