//! When a server wants to be asked again.

use std::time::{Duration, SystemTime};

use super::body::Body;
use crate::{
    Answer,
    time::{at, parse_http_date, parse_rfc3339},
};

/// What a server can ask for at most: a week's quota. More is a mistake, and would lose the key.
const LONGEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// Parses a `Retry-After`: seconds, or an HTTP date, which is counted from `now`. A date that has
/// passed is zero.
///
/// For `now` the answer's own `Date` header is right: the server's clock is then compared with
/// itself.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use agent_runner_credentials::{parse_http_date, parse_retry_after};
///
/// let date = parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
/// let wait = parse_retry_after("Mon, 23 Nov 2026 10:02:00 GMT", date);
/// assert_eq!(wait, Some(Duration::from_secs(120)));
/// assert_eq!(parse_retry_after("120", date), wait);
/// ```
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Some(wait) = decimal(value) {
        return Some(wait);
    }
    parse_http_date(value).map(|time| time.duration_since(now).unwrap_or_default())
}

/// Cuts a wait to one that does not lose a key.
pub(super) fn clamp(wait: Duration) -> Duration {
    wait.min(LONGEST)
}

/// The time of the answer by the server's clock, or else by ours.
pub(crate) fn server_time(answer: &Answer<'_>, now: SystemTime) -> SystemTime {
    answer.header("date").and_then(parse_http_date).unwrap_or(now)
}

/// The best hint in an answer. `now` is the server's time. A wait of zero is no hint.
pub(super) fn retry_hint(answer: &Answer<'_>, body: &Body, now: SystemTime) -> Option<Duration> {
    let header = |name| answer.header(name);
    let sources: [&dyn Fn() -> Option<Duration>; 5] = [
        &|| decimal(header("retry-after-ms")?).map(|milliseconds| milliseconds / 1000),
        &|| parse_retry_after(header("retry-after")?, now),
        &|| body.retry_delay,
        &|| parse_span(body.message.split_once("try again in ")?.1),
        &|| empty_bucket(answer, now),
    ];
    sources.into_iter().find_map(|source| source().filter(|wait| !wait.is_zero())).map(clamp)
}

/// The reset of a limit of which nothing remains; the latest if there are several.
fn empty_bucket(answer: &Answer<'_>, now: SystemTime) -> Option<Duration> {
    let remaining = answer.headers.iter().filter(|(_, value)| value.trim() == "0");
    let resets = remaining.filter_map(|(name, _)| {
        let name = name.to_ascii_lowercase();
        let reset = answer.header(&name.replace("remaining", "reset"))?;
        (name.contains("ratelimit") && name.contains("remaining")).then(|| moment(reset, now))?
    });
    resets.max()
}

/// A reset as the providers write it: a span, a date, or seconds or milliseconds since 1970.
pub(crate) fn moment(reset: &str, now: SystemTime) -> Option<Duration> {
    const EPOCH_SECONDS: u64 = 1_000_000_000;
    const EPOCH_MILLISECONDS: u64 = 1_000_000_000_000;
    let absolute = match reset.parse::<u64>() {
        Ok(number @ EPOCH_MILLISECONDS..) => at(number / 1000)?,
        Ok(number @ EPOCH_SECONDS..) => at(number)?,
        _ => match parse_rfc3339(reset) {
            Some(time) => time,
            None => return decimal(reset).or_else(|| parse_span(reset)),
        },
    };
    Some(absolute.duration_since(now).unwrap_or_default())
}

/// Parses a span at the start of a text, such as `6m0s`, `26.5s` or `120ms`.
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let mut total = None;
    let mut rest = text.trim_start();
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
        let unit = units.into_iter().find(|(unit, _)| tail.starts_with(unit));
        let (Some((unit, seconds)), Ok(number)) = (unit, number.parse::<f64>()) else {
            return total;
        };
        let part = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = Some(total.unwrap_or(Duration::ZERO).saturating_add(part));
        rest = &tail[unit.len()..];
    }
}

/// A number without sign or exponent. One that does not fit is the longest wait.
fn decimal(text: &str) -> Option<Duration> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds = plain.then(|| text.parse::<f64>().ok())??;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
