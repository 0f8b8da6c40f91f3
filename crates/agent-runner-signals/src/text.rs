//! Texts that a program wrote for people, made fit for rules.

use std::time::Duration;

/// The longest text that is kept of one message.
pub(crate) const MAX_TEXT: usize = 4 * 1024;

/// A text that is not longer than [`MAX_TEXT`].
pub(crate) fn short(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A text in lower case and with plain apostrophes, as rules are written.
pub(crate) fn fold(text: &str) -> String {
    text.replace(['\u{2019}', '\u{2018}'], "'").to_lowercase()
}

/// What stands between two others.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(between, _)| between)
}

/// The number at the start of a text, and what follows it.
pub(crate) fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// The HTTP status at the start of a text.
pub(crate) fn leading_status(text: &str) -> Option<u16> {
    let (number, _) = leading_number(text)?;
    u16::try_from(number).ok().filter(|status| (100..600).contains(status))
}

/// The span at the start of a text: `26.5s`, `1h15m`, `5 days 3 hours`, `less than a minute`.
pub(crate) fn leading_span(text: &str) -> Option<Duration> {
    let mut total: Option<Duration> = None;
    let mut rest = text.trim_start();
    if rest.starts_with("less than a minute") {
        return Some(Duration::from_secs(60));
    }
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (Ok(number), Some(unit)) = (number.parse::<f64>(), seconds_of(unit)) else {
            return total;
        };
        let part = Duration::try_from_secs_f64(number * unit).ok()?;
        total = Some(total.unwrap_or_default().saturating_add(part));
        rest = tail.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let seconds = |text| leading_span(text).map(|span| span.as_secs_f64());
        assert_eq!(seconds("2s.. Retrying"), Some(2.0));
        assert_eq!(seconds("26.5s"), Some(26.5));
        assert_eq!(seconds("5072ms..."), Some(5.072));
        assert_eq!(seconds("23h15m3s."), Some(83_703.0));
        assert_eq!(seconds("5 days 3 hours 9 minutes."), Some(443_340.0));
        assert_eq!(seconds("1 hour, and 1 minute"), Some(3_660.0));
        assert_eq!(seconds("less than a minute"), Some(60.0));
        for none in ["", "soon", "5", "5 apples", "s", ".s", "1e9s", "99999999999999999999999d"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }

    #[test]
    fn a_short_text_ends_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        assert_eq!(short(&text).len(), MAX_TEXT);
        assert_eq!(short(&text[..3 * 2]), "ééé");
    }
}
