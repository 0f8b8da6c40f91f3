//! The time before each line.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

/// Puts the time of arrival before each line of a stream that comes in pieces.
pub(crate) struct Stamper {
    at_line_start: bool,
}

impl Stamper {
    pub(crate) fn new() -> Self {
        Self { at_line_start: true }
    }

    /// Appends `piece`, which arrived at `now`, to `stamped`.
    pub(crate) fn push(&mut self, piece: &[u8], now: SystemTime, stamped: &mut Vec<u8>) {
        for line in piece.split_inclusive(|&byte| byte == b'\n') {
            if self.at_line_start {
                write_utc(stamped, now);
            }
            stamped.extend_from_slice(line);
            self.at_line_start = line.ends_with(b"\n");
        }
    }
}

/// Appends a time as `2026-11-23T19:24:13.123Z `.
fn write_utc(text: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z ")
        .expect("writing to memory does not fail");
}

/// The date of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`: years begin
/// in March, so that the odd day is the last one.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097; // days in 400 years
    let days = days + 719_468; // from 0000-03-01
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expected: &str) {
        let mut text = Vec::new();
        write_utc(&mut text, SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        check(0, "1970-01-01T00:00:00.007Z ");
        check(951_782_399, "2000-02-28T23:59:59.007Z ");
        check(951_782_400, "2000-02-29T00:00:00.007Z ");
        check(1_709_251_199, "2024-02-29T23:59:59.007Z ");
        check(1_795_461_853, "2026-11-23T19:24:13.007Z ");
        check(4_107_542_399, "2100-02-28T23:59:59.007Z ");
        check(4_107_542_400, "2100-03-01T00:00:00.007Z ");
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(0);
        for day in 1..200_000 {
            let today = civil(day);
            let (year, month, date) = before;
            let next = [(year, month, date + 1), (year, month + 1, 1), (year + 1, 1, 1)];
            assert!(next.contains(&today), "{today:?} after {before:?}");
            before = today;
        }
        assert_eq!(before, (2517, 7, 31));
    }

    #[test]
    fn each_line_is_stamped_once() {
        let (mut clock, mut stamped) = (Stamper::new(), Vec::new());
        for piece in ["a", "b\n", "\nc\nd", "e"] {
            clock.push(piece.as_bytes(), SystemTime::UNIX_EPOCH, &mut stamped);
        }
        let text = String::from_utf8(stamped).unwrap().replace("1970-01-01T00:00:00.000Z ", "> ");
        assert_eq!(text, "> ab\n> \n> c\n> de");
    }
}
