//! Durations, shares and times as people write and read them.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use agent_runner_gateway::Budget;
use agent_runner_signals::Now;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// Reads `90`, `90s`, `1h 30m`: a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let help = || format!("`{text}` is not a time: write it as `90s`, `30m` or `1h 30m`");
    let parsed = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => text.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok()),
    };
    parsed.filter(|d| !d.is_zero()).ok_or_else(help)
}

/// As [`parse_duration`], and `0` too.
pub fn parse_pause(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" | "0s" | "0ms" => Ok(Duration::ZERO),
        text => parse_duration(text),
    }
}

/// Reads how high a load may be: `8`, `1.5`.
pub fn parse_load(text: &str) -> Result<f64, String> {
    let load = text.trim().parse().ok().filter(|load: &f64| load.is_finite() && *load > 0.0);
    load.ok_or_else(|| format!("`{text}` is not a load: write it as `8` or `1.5`"))
}

const UNITS: [(&str, u32); 4] = [("K", 10), ("M", 20), ("G", 30), ("T", 40)];

/// Reads how much memory: `512M`, `2G`, `1.5GiB`; a bare number is bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let help = || format!("`{text}` is not an amount of memory: write it as `512M` or `2G`");
    let upper = text.trim().to_uppercase();
    let number = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
    let unit = UNITS.iter().find_map(|(name, bits)| Some((number.strip_suffix(name)?, *bits)));
    let (number, bits) = unit.unwrap_or((number, 0));
    let number: f64 = number.trim_end().parse().map_err(|_| help())?;
    let bytes = number * 2_f64.powi(bits.cast_signed());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was checked")]
    if bytes >= 1.0 && bytes < 2_f64.powi(63) { Ok(bytes as u64) } else { Err(help()) }
}

/// Writes an amount of memory for people: `300 B`, `1.5 GiB`.
#[expect(clippy::cast_precision_loss, reason = "for people, to a tenth")]
pub fn show_size(bytes: u64) -> String {
    match UNITS.iter().rev().find(|(_, bits)| bytes >> bits > 0) {
        Some((name, bits)) => {
            format!("{:.1} {name}iB", bytes as f64 / 2_f64.powi(bits.cast_signed()))
        }
        None => format!("{bytes} B"),
    }
}

/// Reads an amount that may be spent: `$20` or `20usd` are dollars, `500k` and `5M` tokens.
pub fn parse_budget(text: &str) -> Result<Budget, String> {
    let text = text.trim();
    let help =
        || format!("`{text}` is no amount: write dollars as `$20`, tokens as `500k` or `5M`");
    let number = |text: &str| {
        text.trim().parse::<f64>().ok().filter(|it| it.is_finite() && *it > 0.0).ok_or_else(help)
    };
    let lower = text.to_lowercase();
    if let Some(dollars) = lower.strip_prefix('$').or(lower.strip_suffix("usd")) {
        return Ok(Budget::default().usd(number(dollars)?));
    }
    let amount = lower.strip_suffix("tokens").unwrap_or(&lower).trim_end();
    let units = [("k", 1e3), ("m", 1e6), ("b", 1e9)];
    let unit = units.iter().find_map(|(unit, size)| Some((amount.strip_suffix(unit)?, size)));
    let (amount, size) = unit.unwrap_or((amount, &1.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive")]
    let tokens = (number(amount)? * size).round() as u64;
    Ok(Budget::default().tokens(tokens))
}

/// Writes a number of tokens for people: `950`, `12.3k`, `4.5M`.
pub fn show_tokens(tokens: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let number = tokens as f64;
    match tokens {
        0..1_000 => tokens.to_string(),
        1_000..1_000_000 => format!("{:.1}k", number / 1e3),
        _ => format!("{:.1}M", number / 1e6),
    }
}

/// Writes a duration for people: `0.4s`, `12s`, `3m 05s`, `2h 10m`, `31d 23h`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Writes how many there are of something: `1 task`, `2 tasks`, `3 processes`, `4 recoveries`.
pub fn count(number: u64, what: &str) -> String {
    match what.strip_suffix("ry") {
        _ if number == 1 => format!("1 {what}"),
        Some(stem) => format!("{number} {stem}ries"),
        None if what.ends_with(['s', 'h']) => format!("{number} {what}es"),
        None => format!("{number} {what}s"),
    }
}

/// Writes a time as RFC 3339 in UTC, to the millisecond.
pub fn show_time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// Writes a time for a person who waits for it: by the clock on the wall, with the day unless it is
/// within a day.
pub fn show_clock(time: SystemTime) -> String {
    let here = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let here = here.to_zoned_datetime(TimeZone::system());
    let soon = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    here.strftime(if time < soon { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}

/// A time where agents run: their CLIs write a reset for the person before the screen.
pub fn local(time: SystemTime) -> Now {
    let here = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let here = here.to_zoned_datetime(TimeZone::system());
    Now::local(time, here.offset().seconds(), here.time_zone().iana_name().unwrap_or_default())
}

/// How many failures end a run: a number of tasks, or a share of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FailureLimit {
    /// So many tasks.
    Tasks(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl FailureLimit {
    /// Whether `failed` of `total` tasks are too many.
    #[expect(clippy::cast_precision_loss, reason = "a share of tasks needs no more than 52 bits")]
    pub fn is_reached(self, failed: u64, total: u64) -> bool {
        match self {
            Self::Tasks(limit) => failed >= limit,
            Self::Percent(limit) => failed > 0 && failed as f64 * 100.0 >= limit * total as f64,
        }
    }
}

impl FromStr for FailureLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let help = || {
            format!("`{text}` is neither a number of tasks such as `5` nor a share such as `10%`")
        };
        match text.strip_suffix('%') {
            Some(share) => match share.trim().parse() {
                Ok(share) if share > 0.0 && share <= 100.0 => Ok(Self::Percent(share)),
                _ => Err(help()),
            },
            None => match text.parse() {
                Ok(tasks) if tasks > 0 => Ok(Self::Tasks(tasks)),
                _ => Err(help()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_what_they_are_large_in() {
        for (seconds, expected) in [
            (4, "4.0s"),
            (59, "59s"),
            (185, "3m 05s"),
            (7_800, "2h 10m"),
            (172_799, "47h 59m"),
            (2_764_740, "31d 23h"),
        ] {
            assert_eq!(show_duration(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn budgets_are_dollars_or_tokens() {
        let dollars = |usd| Ok(Budget::default().usd(usd));
        let tokens = |tokens| Ok(Budget::default().tokens(tokens));
        for (text, expected) in [
            ("$20", dollars(20.0)),
            ("0.5 USD", dollars(0.5)),
            ("750", tokens(750)),
            ("500k", tokens(500_000)),
            ("2.5M tokens", tokens(2_500_000)),
        ] {
            assert_eq!(parse_budget(text), expected, "{text}");
        }
        for wrong in ["", "$", "$-1", "0", "many", "1e999", "5 euros", "NaN"] {
            assert!(parse_budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("30m", 1800), ("1h 30m", 5400), ("1h30m", 5400)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-5s", "0", "5 parsecs"] {
            assert!(parse_duration(text).is_err(), "{text:?} is not a duration");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("4096", 4096),
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("1 kb", 1024),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1G", "many", "G", "1e30", "NaN"] {
            assert!(parse_size(text).is_err(), "{text:?} is not a size");
        }
        assert_eq!(show_size(3 << 29), "1.5 GiB");
        assert_eq!(show_size(300), "300 B");
        for text in ["0", "-1", "inf", "high"] {
            assert!(parse_load(text).is_err(), "{text:?} is not a load");
        }
    }

    #[test]
    fn one_is_no_plural() {
        for (what, many) in [
            ("task", "2 tasks"),
            ("key", "2 keys"),
            ("left-over process", "2 left-over processes"),
            ("recovery", "2 recoveries"),
            ("branch", "2 branches"),
        ] {
            assert_eq!(count(1, what), format!("1 {what}"));
            assert_eq!(count(2, what), many);
        }
        assert_eq!(count(0, "task"), "0 tasks");
    }

    #[test]
    fn failure_limits_count_tasks_or_shares() {
        assert!("5".parse::<FailureLimit>().unwrap().is_reached(5, 100));
        assert!(!"5".parse::<FailureLimit>().unwrap().is_reached(4, 100));
        assert!("10%".parse::<FailureLimit>().unwrap().is_reached(10, 100));
        assert!(!"10%".parse::<FailureLimit>().unwrap().is_reached(9, 100));
        for text in ["0", "-1", "0%", "101%", "many"] {
            assert!(text.parse::<FailureLimit>().is_err(), "{text:?} is not a limit");
        }
    }
}
