//! Dates as servers write them, and the ends of days and months.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Parses the three forms of an HTTP date (RFC 9110, section 5.6.7).
///
/// # Examples
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use agent_runner_credentials::parse_http_date;
///
/// let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
/// assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(time));
/// assert_eq!(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), Some(time));
/// assert_eq!(parse_http_date("Sun Nov  6 08:49:37 1994"), Some(time));
/// ```
pub fn parse_http_date(text: &str) -> Option<SystemTime> {
    let parts = text.split([' ', ',', '-', ':']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.take(9).collect();
    let (day, month, year, time) = match parts[..] {
        [_, day, month, year, h, m, s, "GMT"] | [_, month, day, h, m, s, year] => {
            (day, month, year, [h, m, s])
        }
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let year = match (year.len(), number(year)?) {
        (2, year @ 0..70) => 2000 + year,
        (2, year) => 1900 + year,
        (_, year) => year,
    };
    let [h, m, s] = time.map(number);
    moment(year, u64::try_from(month).ok()?, number(day)?, [h?, m?, s?])
}

/// Parses a date of RFC 3339, such as `2026-04-01T00:00:00Z`. Fractions of a second are dropped.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let clock = time.get(..8)?;
    let mut clock = clock.splitn(3, ':').map(number);
    let clock = [clock.next()??, clock.next()??, clock.next()??];
    let zone = time.get(8..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let local = moment(year, month, day, clock)?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let offset = Duration::from_secs(number(hours)? * 3600 + number(minutes)? * 60);
    match zone.as_bytes()[0] {
        b'+' => local.checked_sub(offset),
        b'-' => local.checked_add(offset),
        _ => None,
    }
}

/// Writes a time as RFC 3339, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = seconds(time);
    let (year, month, day) = civil(seconds / DAY);
    let (h, m, s) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

/// The first midnight after `time`, by a clock that is `hours_behind` UTC.
pub(crate) fn next_midnight(time: SystemTime, hours_behind: u64) -> SystemTime {
    let shift = hours_behind * 3600;
    let days = seconds(time).saturating_sub(shift) / DAY + 1;
    at(days * DAY + shift).unwrap_or(time)
}

/// The first of the next month, by UTC.
pub(crate) fn next_month(time: SystemTime) -> SystemTime {
    let (year, month, _) = civil(seconds(time) / DAY);
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    at(days(year, month, 1) * DAY).unwrap_or(time)
}

/// A time by the seconds since 1970.
pub(crate) fn at(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A time in UTC, from 1970 to 9999.
pub(crate) fn moment(year: u64, month: u64, day: u64, [h, m, s]: [u64; 3]) -> Option<SystemTime> {
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
    // A leap second is written as the 60th.
    if !is_date || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let number = days(year, month, day);
    (civil(number) == (year, month, day)).then(|| at(number * DAY + h * 3600 + m * 60 + s))?
}

fn number(text: &str) -> Option<u64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The days from 1970-01-01 to a date. As Howard Hinnant's `days_from_civil`, for years from 1970.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date that is so many days after 1970-01-01. As Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
