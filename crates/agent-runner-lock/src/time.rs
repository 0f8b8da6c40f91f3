//! Wall-clock times and spans as people read them.
//!
//! Nothing here decides anything: the kernel says who holds a lock, and clocks only say since when.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Microseconds since 1970; 0 for a clock that is set before.
pub(crate) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A time to microseconds in UTC: `2026-11-23T19:21:34.123456Z`.
pub(crate) fn format_utc(time: SystemTime) -> String {
    utc_text(time).iter().copied().map(char::from).collect()
}

/// How long [`utc_text`] is.
pub(crate) const UTC_LEN: usize = 27;

/// The bytes of [`format_utc`].
pub(crate) fn utc_text(time: SystemTime) -> [u8; UTC_LEN] {
    let micros = micros(time);
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);

    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (value, place) in [
        (year, 0..4),
        (month, 5..7),
        (day, 8..10),
        (hour, 11..13),
        (minute, 14..16),
        (second, 17..19),
        (fraction, 20..26),
    ] {
        write_digits(&mut text[place], value);
    }
    text
}

/// The reverse of [`format_utc`]. Any number of digits may follow the point, or no point at all.
pub(crate) fn parse_utc(text: &str) -> Option<SystemTime> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);

    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let complete = date.next().is_none() && clock.next().is_none();
    if !in_range || !complete {
        return None;
    }
    let seconds = days_of(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let nanos = nanos(fraction)?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos))
}

/// A span in the unit that a person would choose: `40 ms`, `12 s`, `12 min`, `3 h`, `2 days`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

/// The date of a day since 1970-01-01, in the proleptic Gregorian calendar.
///
/// After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so
/// that the leap day is the last of its year, and 400 of them have always the same length.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, day - (153 * from_march + 2) / 5 + 1)
}

/// The reverse of [`date_of`], for years from 1970.
fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year) = (year / 400, year % 400);
    let from_march = (month + 9) % 12;
    let day = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// Writes a number, with zeros before it, to as many places as there are.
pub(crate) fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

/// The digits after the point, as billionths.
fn nanos(fraction: &str) -> Option<u64> {
    digits(fraction)?;
    let nine = fraction.get(..9).unwrap_or(fraction);
    let missing = u32::try_from(9 - nine.len()).ok()?;
    Some(digits(nine)? * 10_u64.pow(missing))
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(format_utc(time), text);
            assert_eq!(parse_utc(text), Some(time));
        }
    }

    #[test]
    fn spans_in_words() {
        for (span, words) in [
            (Duration::from_millis(40), "40 ms"),
            (Duration::from_secs(119), "119 s"),
            (Duration::from_secs(12 * 60), "12 min"),
            (Duration::from_secs(3 * 3600), "3 h"),
            (Duration::from_secs(49 * 3600), "2 days"),
        ] {
            assert_eq!(Span(span).to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(micros in 0..253_402_300_800_000_000_u64) {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            prop_assert_eq!(parse_utc(&format_utc(time)), Some(time));
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[0-9:.TZ-]{0,40}|1970-01-01T00:00:00.\\PC{0,12}Z") {
            parse_utc(&text);
        }
    }
}
