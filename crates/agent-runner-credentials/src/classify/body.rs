//! The words of an error body, whoever wrote it.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::hints::parse_span;
use crate::{Answer, time};

/// What an error body says. Text is in lower case.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Whether it reports an error, whatever the status says.
    pub(super) is_error: bool,
    /// A status in the body: OpenRouter's streams and Gemini's have it there.
    pub(super) code: Option<u16>,
    /// Types, codes and reasons.
    pub(super) words: Vec<String>,
    /// The text for people.
    pub(super) message: String,
    /// Google's names of the quotas that are used up.
    pub(super) quotas: Vec<String>,
    /// Google's `RetryInfo`.
    pub(super) retry_delay: Option<Duration>,
    /// When a subscription's window opens again.
    pub(super) resets_at: Option<SystemTime>,
    /// The same as a span.
    pub(super) resets_in: Option<Duration>,
    /// "You will regain access on ... at ... UTC".
    pub(super) access_regained: Option<SystemTime>,
}

impl Body {
    pub(super) fn read(answer: &Answer<'_>) -> Self {
        let mut body = Self::default();
        // Successes are many and can be long; nearly all are known by not having this word.
        if answer.is_success() && !answer.body.contains("\"error\"") {
            return body;
        }
        if let Some(value) = json(answer.body) {
            body.read_root(&value);
        } else if !answer.is_success() {
            body.message = answer.body.to_lowercase();
        }
        if let Some(header) = answer.header("x-amzn-errortype") {
            body.word(header.split(':').next().unwrap_or(header));
        }
        body.access_regained = access_regained(&body.message);
        body
    }

    /// Whether one of the words is one of these.
    pub(super) fn names(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// Whether the message has one of these.
    pub(super) fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    fn read_root(&mut self, root: &Value) {
        // Gemini's streams are arrays.
        let root = root.get(0).unwrap_or(root);
        // OpenAI reports a failed stream as `{"type": "response.failed", "response": {"error": ...}}`.
        let error = [root.get("error"), root.pointer("/response/error")];
        let error = error.into_iter().flatten().find(|error| !error.is_null());
        self.is_error = error.is_some() || root.get("type").is_some_and(|kind| kind == "error");
        match error {
            Some(Value::String(message)) => self.message = message.to_lowercase(),
            Some(error) => self.read_error(error),
            None => self.read_error(root),
        }
    }

    fn read_error(&mut self, error: &Value) {
        for field in ["type", "__type", "code", "status", "reason"] {
            self.word_at(error, field);
        }
        let code = error.get("code").and_then(Value::as_u64).and_then(|code| code.try_into().ok());
        self.code = code.filter(|code| (400..600).contains(code));
        let message = error.get("message").or_else(|| error.get("Message"));
        self.message = message.and_then(Value::as_str).unwrap_or_default().to_lowercase();
        self.resets_at = error.get("resets_at").and_then(Value::as_u64).and_then(time::at);
        self.resets_in =
            error.get("resets_in_seconds").and_then(Value::as_u64).map(Duration::from_secs);
        if let Some(metadata) = error.get("metadata") {
            self.word_at(metadata, "limit_source");
        }
        match error.get("details") {
            Some(Value::Array(details)) => {
                for detail in details {
                    self.read_detail(detail);
                }
            }
            Some(details) => self.word_at(details, "error_code"),
            None => (),
        }
    }

    /// One of Google's details: an `ErrorInfo`, a `QuotaFailure` or a `RetryInfo`.
    fn read_detail(&mut self, detail: &Value) {
        self.word_at(detail, "reason");
        let violations = detail.get("violations").and_then(Value::as_array);
        for violation in violations.into_iter().flatten() {
            if let Some(quota) = violation.get("quotaId").and_then(Value::as_str) {
                self.quotas.push(quota.to_lowercase());
            }
        }
        if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
            self.retry_delay = parse_span(delay);
        }
    }

    fn word_at(&mut self, value: &Value, field: &str) {
        if let Some(word) = value.get(field).and_then(Value::as_str) {
            self.word(word);
        }
    }

    fn word(&mut self, word: &str) {
        // AWS writes `namespace#Name`.
        let word = word.rsplit('#').next().unwrap_or(word);
        self.words.push(word.trim().to_lowercase());
    }
}

/// The JSON of a body, or of the event in it that reports an error.
fn json(body: &str) -> Option<Value> {
    if body.trim_start().starts_with(['{', '[']) {
        return serde_json::from_str(body).ok();
    }
    let mut events = body.lines().filter_map(|line| line.strip_prefix("data:"));
    events.find(|data| data.contains("\"error\"")).and_then(|data| serde_json::from_str(data).ok())
}

/// Finds `you will regain access on 2026-04-01 at 00:00 utc`.
fn access_regained(message: &str) -> Option<SystemTime> {
    let (_, rest) = message.split_once("regain access on ")?;
    let date = rest.get(..10)?;
    let clock = rest.get(10..)?.strip_prefix(" at ").and_then(|rest| rest.get(..5));
    time::parse_rfc3339(&format!("{date}T{}:00Z", clock.unwrap_or("00:00")))
}
