//! Answers of the gateway's own, in the words that a client knows from its provider.

use std::time::Duration;

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::{Value, json};

use crate::{Unreachable, body::Body, route::Dialect};

/// A client waits no longer than this before it asks again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the gateway answers for itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// The token is none that is lent.
    Token,
    /// The request makes no sense.
    Request(String),
    /// The body is longer than what is taken.
    TooLarge(usize),
    /// The body did not come in time.
    TooSlow,
    /// Too much is under way.
    Crowded,
    /// The client wants another protocol.
    Upgrade,
    /// It is not known whose key to take, or where its provider is.
    NoProvider(String),
    /// A budget is spent, or cannot be kept.
    Budget(String),
    /// No key is ready for so long.
    Limited { wait: Duration, message: String },
    /// What the keys may use is used up, for so long.
    Quota { wait: Duration, message: String },
    /// Somebody has to pay.
    Billing(String),
    /// No key may do this.
    Forbidden(String),
    /// The provider is overloaded.
    Overloaded,
    /// No key is left.
    NoKey(String),
    /// The provider could not be reached; no key is to blame.
    Unreachable(Unreachable),
    /// It was reached, and broke off.
    Cut(String),
    /// The provider did not answer in time.
    Silent,
}

/// What a refusal is in the words of each provider.
struct Words {
    status: u16,
    anthropic: &'static str,
    openai: &'static str,
    gemini: &'static str,
}

const fn words(
    status: u16,
    anthropic: &'static str,
    openai: &'static str,
    gemini: &'static str,
) -> Words {
    Words { status, anthropic, openai, gemini }
}

impl Refusal {
    /// The answer.
    pub(crate) fn answer(&self, dialect: Dialect) -> Response<Body> {
        let words = self.words(dialect);
        let body = dialect.error(&words, &format!("agent-runner: {}", self.message()));
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() =
            StatusCode::from_u16(words.status).expect("the table has statuses of three digits");
        self.headers(response.headers_mut());
        response
    }

    fn headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let wait = match self {
            Self::Limited { wait, .. } | Self::Quota { wait, .. } => *wait,
            Self::Crowded => Duration::from_secs(1),
            _ => Duration::ZERO,
        };
        if !wait.is_zero() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The SDKs of Anthropic and OpenAI go by this: they try a 429 and a 5xx again, and of a long
        // `retry-after` they think nothing.
        if self.is_final() || wait > PATIENCE {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
    }

    /// Whether asking once more is in vain.
    const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Quota { .. }
                | Self::Billing(_)
                | Self::Forbidden(_)
                | Self::NoKey(_)
                | Self::Budget(_)
                | Self::Unreachable(Unreachable { lasts: true, .. })
        )
    }

    /// Codes that agents act upon as they should: they give up at once on what is final, and wait
    /// for the rest.
    const fn words(&self, dialect: Dialect) -> Words {
        const BAD: &str = "invalid_request_error";
        match self {
            Self::Token => words(401, "authentication_error", "invalid_api_key", "UNAUTHENTICATED"),
            Self::Request(_) => words(400, BAD, BAD, "INVALID_ARGUMENT"),
            Self::TooLarge(_) => words(413, "request_too_large", BAD, "INVALID_ARGUMENT"),
            Self::TooSlow => words(408, BAD, BAD, "DEADLINE_EXCEEDED"),
            Self::Crowded => words(503, "overloaded_error", "server_is_overloaded", "UNAVAILABLE"),
            Self::Upgrade => words(426, BAD, BAD, "INVALID_ARGUMENT"),
            Self::NoProvider(_) => words(404, "not_found_error", BAD, "NOT_FOUND"),
            // Each is one that its provider's agent does not try again.
            Self::Budget(_) => match dialect {
                Dialect::Anthropic => words(402, "billing_error", "", ""),
                _ => words(400, "", "insufficient_quota", "FAILED_PRECONDITION"),
            },
            Self::Limited { .. } => {
                words(429, "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED")
            }
            Self::Quota { .. } => {
                words(429, "rate_limit_error", "insufficient_quota", "RESOURCE_EXHAUSTED")
            }
            // OpenAI has one word for both, and Gemini none.
            Self::Billing(_) => match dialect {
                Dialect::Anthropic => words(400, BAD, "", ""),
                Dialect::OpenAi => words(429, "", "insufficient_quota", ""),
                Dialect::Gemini => words(402, "", "", "FAILED_PRECONDITION"),
            },
            Self::Forbidden(_) => {
                words(403, "permission_error", "permission_error", "PERMISSION_DENIED")
            }
            Self::Overloaded => match dialect {
                Dialect::Anthropic => words(529, "overloaded_error", "", ""),
                _ => words(503, "", "server_is_overloaded", "UNAVAILABLE"),
            },
            Self::NoKey(_) => {
                words(401, "authentication_error", "invalid_api_key", "UNAUTHENTICATED")
            }
            Self::Unreachable(_) | Self::Cut(_) => {
                words(502, "api_error", "server_error", "INTERNAL")
            }
            Self::Silent => words(504, "timeout_error", "server_error", "DEADLINE_EXCEEDED"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Token => "this token is not lent, or no more".into(),
            Self::Request(why)
            | Self::Budget(why)
            | Self::NoKey(why)
            | Self::Billing(why)
            | Self::Forbidden(why) => why.clone(),
            Self::TooLarge(most) => format!("the request's body is longer than {most} bytes"),
            Self::TooSlow => "the request's body did not come in time".into(),
            Self::Crowded => "too much is under way".into(),
            Self::Upgrade => "only HTTP is spoken here".into(),
            Self::NoProvider(why) => format!("it is not known {why}"),
            Self::Limited { message, .. } | Self::Quota { message, .. } => message.clone(),
            Self::Overloaded => "the provider is overloaded".into(),
            Self::Unreachable(trouble) => format!("the provider could not be reached: {trouble}"),
            Self::Cut(why) => format!("the provider broke off: {why}"),
            Self::Silent => "the provider did not answer in time".into(),
        }
    }
}

impl Dialect {
    fn error(self, words: &Words, message: &str) -> Value {
        match self {
            Self::Anthropic => {
                json!({ "type": "error", "error": { "type": words.anthropic, "message": message } })
            }
            Self::OpenAi => json!({ "error": {
                "message": message, "type": words.openai, "param": null, "code": words.openai,
            }}),
            Self::Gemini => json!({ "error": {
                "code": words.status, "message": message, "status": words.gemini,
            }}),
        }
    }
}
