//! What an answer means for a key: one table, the body before the status.

mod body;
mod hints;

use std::time::{Duration, SystemTime};

use body::Body;
pub use hints::parse_retry_after;
pub(crate) use hints::{moment, server_time};

use crate::{Answer, Rejection, Scope, Verdict, time};

/// A wait that is longer than this is a quota, not a rate.
const LONGEST_RATE: Duration = Duration::from_secs(300);

/// Says what an answer means.
///
/// What the body says counts before the status: a 400 can mean that the credit is used up, and a
/// 429 that the month's is. An error event under a status of 200, as streams have it, is read like
/// the error itself. It knows the words of Anthropic, OpenAI, Gemini, OpenRouter and Bedrock, and
/// goes by status and `Retry-After` for everybody else.
///
/// `now` is this machine's time; it is used for dates only when the answer has no `Date` header.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use agent_runner_credentials::{Answer, Rejection, Verdict, classify};
///
/// let now = SystemTime::now();
/// let busy = Answer::new(429, &[("retry-after", "7")], "");
/// let retry_after = Some(Duration::from_secs(7));
/// assert_eq!(classify(&busy, now), Verdict::Rejected(Rejection::RateLimited { retry_after }));
///
/// let broke = Answer::new(400, &[], r#"{"type": "error", "error": {
///     "type": "invalid_request_error", "message": "Your credit balance is too low ..."}}"#);
/// assert_eq!(classify(&broke, now), Verdict::Rejected(Rejection::Billing));
/// ```
pub fn classify(answer: &Answer<'_>, now: SystemTime) -> Verdict {
    let body = Body::read(answer);
    if answer.is_success() && !body.is_error {
        return Verdict::Fine;
    }
    let status = body.code.filter(|_| answer.is_success()).unwrap_or(answer.status);
    let case = Case { answer, status, body, now: hints::server_time(answer, now) };
    // Quota before rate: a spent month is also a 429.
    case.no_quota()
        .or_else(|| case.quota())
        .or_else(|| case.money())
        .or_else(|| case.place())
        .or_else(|| case.key())
        .or_else(|| case.load())
        .or_else(|| case.rate())
        .or_else(|| case.permission())
        .map_or_else(|| case.rest(), Verdict::Rejected)
}

/// An answer, read.
struct Case<'a> {
    answer: &'a Answer<'a>,
    /// Its status, or that of the error that it is about.
    status: u16,
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
        let (resets_in, scope) = if self.answer.header("anthropic-ratelimit-unified-status")
            == Some("rejected")
            || self.body.names(&["usage_limit_reached"])
        {
            (self.plan_reset(), Scope::Key)
        } else if self.body.names(MONTHLY) {
            (Some(self.until(time::next_month(self.now))), Scope::Account)
        } else if self.is(&[400, 403, 429]) && self.body.says(&["api usage limits"]) {
            (self.body.access_regained.map(|reset| self.until(reset)), Scope::Account)
        } else if self.body.names(&["openrouter_key_limit"]) {
            (self.long_hint(), Scope::Key)
        } else if self.is_daily() {
            (self.long_hint(), Scope::Group)
        } else {
            return None;
        };
        Some(Rejection::QuotaExhausted { resets_in, scope })
    }

    /// Short hints beside a daily quota are known to be wrong.
    fn long_hint(&self) -> Option<Duration> {
        self.hint().filter(|hint| *hint > LONGEST_RATE)
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
        self.body.names(&["servicequotaexceededexception"])
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
        // No API words it so: somebody between here and there does, such as a company's filter.
        let is_page = self.is(&[403]) && self.body.message.trim_start().starts_with('<');
        let unsupported = self.body.names(&["unsupported_country_region_territory"]);
        (refused || is_page || unsupported || self.is(&[451])).then_some(Rejection::Blocked)
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
                Rejection::QuotaExhausted { resets_in: Some(resets_in), scope: Scope::Group }
            }
            retry_after if self.body.names(RAMP) || self.body.says(STEEP) => {
                Rejection::SlowDown { retry_after }
            }
            retry_after => Rejection::RateLimited { retry_after },
        })
    }

    fn permission(&self) -> Option<Rejection> {
        let no_model = self.is(&[404])
            && (self.body.message.starts_with("model") || self.body.says(&["does not exist"]));
        (no_model || self.is(&[403]) || self.body.names(FORBIDDEN)).then_some(Rejection::Forbidden)
    }

    fn rest(&self) -> Verdict {
        match self.status {
            200..=299 => self.event(),
            408 | 409 | 424 | 425 | 499 | 500.. => Verdict::Transient,
            ..=400 | 404..=407 | 410..=415 | 417 | 422 | 431 => Verdict::BadRequest,
            status => Verdict::Rejected(Rejection::Unknown { status }),
        }
    }

    /// An error in a stream that is none of those that are known.
    fn event(&self) -> Verdict {
        let is_request = self.body.names(&["invalid_request_error", "request_too_large"]);
        if is_request { Verdict::BadRequest } else { Verdict::Transient }
    }

    fn is(&self, statuses: &[u16]) -> bool {
        statuses.contains(&self.status)
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
/// Not a limit, but how fast its use grew.
const RAMP: &[&str] = &["slow_down"];
const STEEP: &[&str] = &["usage increase rate", "acceleration limit", "sharp increase in usage"];
const FORBIDDEN: &[&str] =
    &["permission_error", "permission_denied", "accessdeniedexception", "model_not_found"];

#[cfg(test)]
mod tests;
