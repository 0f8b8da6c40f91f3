//! What an answer means for a key: one table, the body before the status.

mod body;
mod hints;

use std::time::{Duration, SystemTime};

use body::Body;
pub use hints::parse_retry_after;

use crate::{Answer, Rejection, time};

/// A wait that is longer than this is a quota, not a rate.
const LONGEST_RATE: Duration = Duration::from_secs(300);

/// Says what an answer means for the key that asked; `None` if it says nothing about a key.
///
/// That is so for a success, for a mistake in the request (400, 404, 413, 422) and for a fault of
/// the server (500, 502, 504). An error event under a status of 200, as streams have it, is read
/// like the error itself.
///
/// What the body says counts before the status: a 400 can mean that the credit is used up, and a
/// 429 that the month's is. It knows the words of Anthropic, OpenAI, Gemini, OpenRouter and
/// Bedrock, and goes by status and `Retry-After` for everybody else.
///
/// `now` is this machine's time; it is used for dates only when the answer has no `Date` header.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use agent_runner_credentials::{Answer, Rejection, classify};
///
/// let now = SystemTime::now();
/// let busy = Answer::new(429, &[("retry-after", "7")], "");
/// let retry_after = Some(Duration::from_secs(7));
/// assert_eq!(classify(&busy, now), Some(Rejection::RateLimited { retry_after }));
///
/// let broke = Answer::new(400, &[], r#"{"type": "error", "error": {
///     "type": "invalid_request_error", "message": "Your credit balance is too low ..."}}"#);
/// assert_eq!(classify(&broke, now), Some(Rejection::Billing));
/// ```
pub fn classify(answer: &Answer<'_>, now: SystemTime) -> Option<Rejection> {
    let case = Case { answer, body: Body::read(answer), now: hints::server_time(answer, now) };
    if answer.is_success() && !case.body.is_error {
        return None;
    }
    // Quota before rate: a spent month is also a 429.
    case.no_quota()
        .or_else(|| case.quota())
        .or_else(|| case.money())
        .or_else(|| case.place())
        .or_else(|| case.key())
        .or_else(|| case.load())
        .or_else(|| case.rate())
        .or_else(|| case.permission())
        .or_else(|| case.rest())
}

/// An answer, read.
struct Case<'a> {
    answer: &'a Answer<'a>,
    body: Body,
    /// The server's time.
    now: SystemTime,
}

impl Case<'_> {
    /// Gemini's way to say that a key has no quota for a model, not even an empty one.
    fn no_quota(&self) -> Option<Rejection> {
        let limits = ["limit: 0,", "limit: 0\n"];
        let none = self.body.says(&limits) || self.body.message.ends_with("limit: 0");
        (none && self.body.names(&["resource_exhausted"])).then_some(Rejection::Forbidden)
    }

    /// Quotas of a day or longer.
    fn quota(&self) -> Option<Rejection> {
        let resets_in = if self.answer.header("anthropic-ratelimit-unified-status")
            == Some("rejected")
            || self.body.names(&["usage_limit_reached"])
        {
            self.plan_reset()
        } else if self.body.names(MONTHLY) {
            Some(self.until(time::next_month(self.now)))
        } else if self.is(&[400, 403, 429]) && self.body.says(&["api usage limits"]) {
            self.body.access_regained.map(|reset| self.until(reset))
        } else if self.is_daily() {
            // Short hints beside a daily quota are known to be wrong.
            self.hint().filter(|hint| *hint > LONGEST_RATE)
        } else {
            return None;
        };
        Some(Rejection::QuotaExhausted { resets_in })
    }

    /// When a subscription's window opens again.
    fn plan_reset(&self) -> Option<Duration> {
        let header = self.answer.header("anthropic-ratelimit-unified-reset");
        let header = header.and_then(|text| time::at(text.parse().ok()?));
        let at = || Some(self.until(header.or(self.body.resets_at)?));
        self.body.resets_in.or_else(at).map(hints::clamp).or_else(|| self.hint())
    }

    fn is_daily(&self) -> bool {
        let limited = self.is(&[403, 429]) || self.body.names(RATE);
        self.body.names(&["openrouter_key_limit", "servicequotaexceededexception"])
            || self.body.quotas.iter().any(|quota| quota.contains("perday"))
            || (limited && self.body.says(DAILY))
            || (self.is(&[403]) && self.body.says(&["quota"]))
    }

    fn money(&self) -> Option<Rejection> {
        // A 402 that says when to come back is not about money.
        let unpaid = self.is(&[402]) && self.hint().is_none();
        let spent =
            self.is(&[400, 402, 403, 429]) && self.body.says(&["credit balance is too low"]);
        (unpaid || spent || self.body.names(BILLING)).then_some(Rejection::Billing)
    }

    fn place(&self) -> Option<Rejection> {
        let refused = self.is(&[400, 401, 403, 451]) && self.body.says(PLACE);
        (refused || self.is(&[451]) || self.body.names(&["unsupported_country_region_territory"]))
            .then_some(Rejection::Blocked)
    }

    fn key(&self) -> Option<Rejection> {
        let invalid = self.is(&[400, 403]) && self.body.says(INVALID_KEY);
        (invalid || self.is(&[401]) || self.body.names(UNAUTHORIZED))
            .then_some(Rejection::Unauthorized)
    }

    fn load(&self) -> Option<Rejection> {
        let overloaded = self.is(&[503, 529]) && !self.body.names(RATE);
        (overloaded || self.body.names(OVERLOADED))
            .then(|| Rejection::Overloaded { retry_after: self.hint() })
    }

    fn rate(&self) -> Option<Rejection> {
        if !self.is(&[402, 429]) && !self.body.names(RATE) {
            return None;
        }
        Some(match self.hint() {
            Some(resets_in) if resets_in > LONGEST_RATE => {
                Rejection::QuotaExhausted { resets_in: Some(resets_in) }
            }
            retry_after => Rejection::RateLimited { retry_after },
        })
    }

    fn permission(&self) -> Option<Rejection> {
        (self.is(&[403]) || self.body.names(FORBIDDEN)).then_some(Rejection::Forbidden)
    }

    fn rest(&self) -> Option<Rejection> {
        match self.answer.status {
            // The request, or nothing at all.
            400 | 404..=406 | 408..=415 | 417 | 422 | 424 | 425 | 431 | 499 => None,
            status @ 400..=499 => Some(Rejection::Unknown { status }),
            _ => None,
        }
    }

    fn is(&self, statuses: &[u16]) -> bool {
        statuses.contains(&self.answer.status)
    }

    fn hint(&self) -> Option<Duration> {
        hints::retry_hint(self.answer, &self.body, self.now)
    }

    fn until(&self, time: SystemTime) -> Duration {
        time.duration_since(self.now).unwrap_or_default()
    }
}

const MONTHLY: &[&str] = &[
    "enforced_spend_limit_reached",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_usage_limit_exceeded",
];
const DAILY: &[&str] = &["per day", "per-day", "daily", "(rpd)", "(tpd)"];
const BILLING: &[&str] = &[
    "billing_error",
    "billing_not_active",
    "credit_balance_exhausted",
    "insufficient_quota",
    "openrouter_credits",
];
const PLACE: &[&str] = &["location is not supported", "cors requests are not allowed"];
const INVALID_KEY: &[&str] = &["api key not valid", "api key expired", "invalid api key"];
const UNAUTHORIZED: &[&str] = &[
    "authentication_error",
    "invalid_api_key",
    "api_key_invalid",
    "unauthenticated",
    "unrecognizedclientexception",
    "expiredtokenexception",
    "invalidsignatureexception",
];
const OVERLOADED: &[&str] = &[
    "overloaded_error",
    "server_is_overloaded",
    "unavailable",
    "model_capacity_exhausted",
    "serviceunavailableexception",
    "modelnotreadyexception",
];
const RATE: &[&str] = &[
    "rate_limit_error",
    "rate_limit_exceeded",
    "slow_down",
    "resource_exhausted",
    "throttlingexception",
];
const FORBIDDEN: &[&str] = &["permission_error", "permission_denied", "accessdeniedexception"];

#[cfg(test)]
mod tests;
