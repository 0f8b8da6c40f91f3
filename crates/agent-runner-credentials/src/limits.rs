//! What an answer tells of the limits that it was counted against.

use std::time::SystemTime;

use crate::{
    Answer,
    classify::{moment, server_time},
};

/// How many dimensions there are.
pub(crate) const DIMENSIONS: usize = 4;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dimension {
    Requests,
    Input,
    Output,
    /// Input and output together.
    Tokens,
}

impl Dimension {
    pub(crate) const ALL: [Self; DIMENSIONS] =
        [Self::Requests, Self::Input, Self::Output, Self::Tokens];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
            Self::Tokens => "tokens",
        }
    }
}

/// One limit. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// How much there is in a period.
    pub(crate) amount: f64,
    pub(crate) period: f64,
    pub(crate) remaining: f64,
    /// When it is full again.
    pub(crate) reset: Option<f64>,
    /// By how much that may be too late.
    pub(crate) slack: f64,
    /// Whether it starts anew at once, instead of little by little.
    pub(crate) window: bool,
    /// By how much what remains may be rounded.
    pub(crate) grain: f64,
}

/// The limits of an answer, and whose they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) each: [Option<Limit>; DIMENSIONS],
    /// The organisation and workspace or project.
    pub(crate) account: Option<String>,
}

/// One limit's headers, as they are found.
#[derive(Debug, Clone, Copy, Default)]
struct Found<'a> {
    limit: Option<f64>,
    remaining: Option<f64>,
    reset: Option<&'a str>,
}

impl Limits {
    /// Reads the headers of an answer.
    pub(crate) fn read(answer: &Answer<'_>, now: SystemTime) -> Self {
        let mut anthropic = [Found::default(); DIMENSIONS];
        let mut openai = [Found::default(); DIMENSIONS];
        let mut plain = Found::default();
        let mut account = [None, None];
        for (name, value) in answer.headers {
            let value = value.trim();
            if let Some(rest) = strip(name, "anthropic-ratelimit-") {
                note(&mut anthropic, rest, value, false);
            } else if let Some(rest) = strip(name, "x-ratelimit-") {
                match rest.to_ascii_lowercase().as_str() {
                    "limit" => plain.limit = value.parse().ok(),
                    "remaining" => plain.remaining = value.parse().ok(),
                    "reset" => plain.reset = Some(value),
                    rest => note(&mut openai, rest, value, true),
                }
            } else if let Some(index) = account_header(name) {
                account[index] = Some(value);
            }
        }
        // A reset is in whole seconds, and so is the server's date.
        let dated = server_time(answer, now);
        let slack = if dated == now { 1.0 } else { 2.0 };
        let now = dated;
        let mut each = [None; DIMENSIONS];
        for (index, limit) in each.iter_mut().enumerate() {
            *limit = anthropic[index]
                .limit(now, slack, false)
                .or_else(|| openai[index].limit(now, slack, false));
        }
        // Anthropic's sum shows again whichever of the two is scarcer.
        if each[Dimension::Input as usize].is_some() {
            each[Dimension::Tokens as usize] = None;
        }
        let requests = &mut each[Dimension::Requests as usize];
        *requests = requests.or_else(|| plain.limit(now, slack, true)).or_else(|| ietf(answer));
        let account = match account {
            [None, _] => None,
            [Some(account), None] => Some(account.to_owned()),
            [Some(account), Some(part)] => Some(format!("{account}/{part}")),
        };
        Self { each, account }
    }
}

impl Found<'_> {
    fn limit(&self, now: SystemTime, slack: f64, window: bool) -> Option<Limit> {
        const LONG: f64 = 600.0;
        let (amount, remaining) = (self.limit?, self.remaining?);
        if !(amount > 0.0 && amount.is_finite() && remaining >= 0.0) {
            return None;
        }
        let reset = self.reset.and_then(|reset| moment(reset, now)).map(|wait| wait.as_secs_f64());
        let period = match reset {
            Some(reset) if window => {
                if reset > LONG {
                    86_400.0
                } else {
                    60.0_f64.max(reset)
                }
            }
            // What was used flows back until the reset, so the rate shows.
            Some(reset) if remaining < amount && reset * amount / (amount - remaining) > LONG => {
                reset * amount / (amount - remaining)
            }
            _ => 60.0,
        };
        let rounded = remaining >= 1000.0 && remaining % 1000.0 == 0.0;
        let grain = if rounded { 500.0 } else { 1.0 };
        Some(Limit { amount, period, remaining, reset, slack, window, grain })
    }
}

/// Sorts `requests-limit`, or turned around `limit-requests`, to its place.
fn note<'a>(found: &mut [Found<'a>; DIMENSIONS], rest: &str, value: &'a str, turned: bool) {
    let parts = if turned { rest.split_once('-') } else { rest.rsplit_once('-') };
    let Some((one, other)) = parts else { return };
    let (what, field) = if turned { (other, one) } else { (one, other) };
    let place = [("requests", 0), ("input-tokens", 1), ("output-tokens", 2), ("tokens", 3)];
    let Some((_, index)) = place.iter().find(|(name, _)| what.eq_ignore_ascii_case(name)) else {
        return;
    };
    let found = &mut found[*index];
    match field {
        _ if field.eq_ignore_ascii_case("limit") => found.limit = value.parse().ok(),
        _ if field.eq_ignore_ascii_case("remaining") => found.remaining = value.parse().ok(),
        _ if field.eq_ignore_ascii_case("reset") => found.reset = Some(value),
        _ => (),
    }
}

/// `RateLimit` of the IETF's draft, as a list of items or in its older form.
fn ietf(answer: &Answer<'_>) -> Option<Limit> {
    let parameter = |header: &str, names: &[&str]| {
        let text = answer.header(header)?;
        let parts = text.split([';', ',']).map(str::trim);
        let mut values = parts.filter_map(|part| part.split_once('='));
        let (_, value) = values.find(|(name, _)| names.contains(name))?;
        value.trim_matches('"').parse::<f64>().ok()
    };
    let remaining = parameter("ratelimit", &["r", "remaining"])
        .or_else(|| answer.header("ratelimit-remaining")?.parse().ok())?;
    let reset = parameter("ratelimit", &["t", "reset"])
        .or_else(|| answer.header("ratelimit-reset")?.parse().ok())?;
    let amount = parameter("ratelimit-policy", &["q"])
        .or_else(|| parameter("ratelimit", &["limit"]))
        .or_else(|| answer.header("ratelimit-limit")?.split([',', ';']).next()?.trim().parse().ok())
        .unwrap_or(remaining);
    let period = parameter("ratelimit-policy", &["w"]).unwrap_or(reset).max(1.0);
    let is_sound = amount > 0.0 && remaining >= 0.0 && reset >= 0.0;
    is_sound.then_some(Limit {
        amount,
        period,
        remaining,
        reset: Some(reset),
        slack: 1.0,
        window: true,
        grain: 1.0,
    })
}

fn account_header(name: &str) -> Option<usize> {
    const NAMES: [(&str, usize); 4] = [
        ("anthropic-organization-id", 0),
        ("anthropic-workspace-id", 1),
        ("openai-organization", 0),
        ("openai-project", 1),
    ];
    NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, index)| *index)
}

fn strip<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let start = name.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &name[prefix.len()..])
}
