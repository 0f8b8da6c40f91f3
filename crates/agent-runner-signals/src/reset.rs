//! When a limit ends, as CLIs write it for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::text::leading_span;

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// What a point in time stands behind.
const AT: [&str; 5] = ["resets ", "reset at ", "try again at ", "regain access on ", "reached|"];
/// What a span stands behind.
const IN: [&str; 6] =
    ["try again in ", "retry in ", "resets in ", "reset in ", "reset after ", "retry after "];

/// What time it is where an agent runs.
///
/// CLIs write resets for the person before the screen: `try again at 6:20 PM`. That becomes a
/// point in time with this, which is passed in because nothing here looks at a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    time: SystemTime,
    /// Seconds east of UTC.
    offset: i64,
    zone: String,
}

impl Now {
    /// A time on a machine that has UTC.
    pub fn utc(time: SystemTime) -> Self {
        Self { time, offset: 0, zone: "UTC".to_owned() }
    }

    /// A time on a machine with this difference from UTC, in seconds to the east, and this zone,
    /// such as `Europe/Oslo`.
    ///
    /// A time of day is read with that difference, so that it is an hour off if the clocks are
    /// changed before it comes. One that names another zone than this and UTC is not read.
    pub fn local(time: SystemTime, utc_offset: i32, zone: &str) -> Self {
        Self { time, offset: utc_offset.into(), zone: zone.to_owned() }
    }

    fn seconds(&self) -> i64 {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    fn offset_of(&self, zone: Option<&str>) -> Option<i64> {
        match zone {
            None => Some(self.offset),
            Some("utc" | "gmt" | "etc/utc") => Some(0),
            Some(zone) => zone.eq_ignore_ascii_case(&self.zone).then_some(self.offset),
        }
    }
}

/// When a limit ends, by a text in lower case.
pub(crate) fn reset_at(text: &str, now: &Now) -> Option<SystemTime> {
    behind(&AT, text).find_map(|rest| Moment::read(rest).time(now))
}

/// How long to wait, by a text in lower case.
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    behind(&IN, text).find_map(leading_span)
}

/// What stands behind the first of each of these marks.
fn behind<'a>(marks: &'static [&str], text: &'a str) -> impl Iterator<Item = &'a str> {
    marks.iter().filter_map(move |mark| text.split_once(mark)).map(|(_, rest)| rest)
}

/// Seconds since 1970 as a time.
pub(crate) fn epoch(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The parts of a point in time that were written.
#[derive(Debug, Default)]
struct Moment<'a> {
    epoch: Option<u64>,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    /// Seconds since midnight.
    clock: Option<i64>,
    zone: Option<&'a str>,
}

impl<'a> Moment<'a> {
    /// Reads words until one has nothing to do with time.
    fn read(text: &'a str) -> Self {
        let mut moment = Self::default();
        for word in text.split([' ', ',', '\u{202f}', '\u{a0}']).take(12) {
            let bare = word.trim_matches(['(', ')', '.']);
            if !(bare.is_empty() || matches!(bare, "at" | "on") || moment.take(bare)) {
                break;
            }
            if word.ends_with('.') {
                break;
            }
        }
        moment
    }

    /// Whether a word is a part of a point in time that was not there yet.
    fn take(&mut self, word: &'a str) -> bool {
        match word {
            "am" | "pm" => match self.clock {
                Some(clock) => self.clock = twelve_hours(clock, word),
                None => return false,
            },
            _ if self.month.is_none() && month(word).is_some() => self.month = month(word),
            _ if date(word).is_some() => {
                let (year, month, day) = date(word).unwrap_or_default();
                (self.year, self.month, self.day) = (Some(year), Some(month), Some(day));
            }
            _ if word.contains('/') || matches!(word, "utc" | "gmt") => self.zone = Some(word),
            _ if self.month.is_some() && self.day.is_none() && day(word).is_some() => {
                self.day = day(word);
            }
            _ if self.day.is_some() && self.year.is_none() && word.len() == 4 => {
                self.year = number(word);
                return self.year.is_some();
            }
            _ if self.clock.is_none() && clock(word).is_some() => self.clock = clock(word),
            _ => {
                self.epoch = word.parse().ok().filter(|&seconds| seconds > 1_000_000_000);
                return self.epoch.is_some();
            }
        }
        true
    }

    /// The point in time; without a date, or without a year, the next one there is.
    fn time(&self, now: &Now) -> Option<SystemTime> {
        if let Some(seconds) = self.epoch {
            return epoch(seconds);
        }
        let offset = now.offset_of(self.zone)?;
        let today = now.seconds().checked_add(offset)?.div_euclid(DAY);
        let time = |day: i64| {
            let seconds = day * DAY + self.clock.unwrap_or_default() - offset;
            u64::try_from(seconds).ok().and_then(epoch).map(|time| (time, seconds > now.seconds()))
        };
        let first_ahead = |mut days: Vec<Option<i64>>| {
            days.retain(Option::is_some);
            let mut times = days.into_iter().flatten().filter_map(time);
            times.find_map(|(time, is_ahead)| is_ahead.then_some(time))
        };
        match (self.year, self.month, self.day) {
            (Some(year), Some(month), Some(day)) => time(days(year, month, day)?).map(|(at, _)| at),
            (None, Some(month), Some(day)) => {
                let (year, ..) = civil(today);
                first_ahead(vec![days(year, month, day), days(year + 1, month, day)])
            }
            (None, None, None) if self.clock.is_some() => {
                first_ahead(vec![Some(today), Some(today + 1)])
            }
            _ => None,
        }
    }
}

fn number(text: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn month(word: &str) -> Option<i64> {
    let names =
        |name: &&str| word.starts_with(*name) && word.bytes().all(|b| b.is_ascii_lowercase());
    let position = MONTHS.iter().position(names)?;
    i64::try_from(position + 1).ok()
}

fn day(word: &str) -> Option<i64> {
    let word =
        ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
    number(word).filter(|day| (1..=31).contains(day))
}

/// `2026-12-01`.
fn date(word: &str) -> Option<(i64, i64, i64)> {
    let mut parts = word.splitn(3, '-').map(number);
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// `5:13pm`, `7pm`, `17:13`.
fn clock(word: &str) -> Option<i64> {
    let half = ["am", "pm"].into_iter().find(|half| word.ends_with(half));
    let digits = half.map_or(word, |half| &word[..word.len() - half.len()]);
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (number(hours)?, number(minutes)?),
        None if half.is_some() => (number(digits)?, 0),
        None => return None,
    };
    let clock = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    half.map_or(Some(clock), |half| twelve_hours(clock, half))
}

/// A time of the clock's face in the morning or in the afternoon.
fn twelve_hours(clock: i64, half: &str) -> Option<i64> {
    let noon = DAY / 2;
    let clock = if clock / 3600 == 12 { clock - noon } else { clock };
    (clock < noon).then_some(if half == "pm" { clock + noon } else { clock })
}

/// The days from 1970-01-01 to a date that exists. As Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

/// The date that is so many days after 1970-01-01. As Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
