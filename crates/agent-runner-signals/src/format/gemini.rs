//! Gemini CLI: `-o stream-json` and `-o json`.
//!
//! `json` prints its one object to stdout, or to stderr when it failed. Requests that are made
//! again are told on stderr alone. The exit code is the HTTP status modulo 256.

use serde_json::Value;

use super::Reading;
use crate::{
    Ending, Trouble, Usage,
    recorder::{Fields, Recorder},
    text::{between, leading_number, leading_span, leading_status},
};

pub(super) const READING: Reading = Reading {
    wants: |kind| kind != "tool_result",
    left_out: &["parameters"],
    object: read,
    stderr_object: Some(read_document),
    stderr_line: read_line,
};

/// 400 to 511 are told apart from the CLI's own exit codes, which are small.
pub(super) fn status_of(exit_code: i32) -> Option<u16> {
    match u16::try_from(exit_code).ok()? {
        code @ 144..=255 => Some(code + 256),
        _ => None,
    }
}

fn read(object: &Value, recorder: &mut Recorder<'_>) {
    match object.text("/type") {
        Some("init") => {
            recorder.session(object.text("/session_id"), object.text("/model"));
        }
        Some("message") if object.text("/role") == Some("assistant") => {
            recorder.message(object.text("/content").unwrap_or_default());
        }
        Some("tool_use") => recorder.tool(object.text("/tool_name").unwrap_or("tool")),
        Some("error") if object.text("/severity") != Some("warning") => {
            recorder.trouble(Trouble::new(object.text("/message").unwrap_or_default()));
        }
        Some("result") => {
            recorder.total_usage(stream_usage(object));
            match object.text("/status") {
                Some("success") => recorder.ended(Ending::Succeeded),
                _ => recorder.ended(Ending::Failed(failure(object, recorder))),
            }
        }
        None => read_document(object, recorder),
        _ => {}
    }
}

/// The one object of `-o json`.
fn read_document(object: &Value, recorder: &mut Recorder<'_>) {
    let (is_failed, is_done) = (object.get("error").is_some(), object.get("response").is_some());
    if !(is_failed || is_done) {
        return;
    }
    recorder.session(object.text("/session_id"), None);
    if let Some(models) = object.at("/stats/models").and_then(Value::as_object) {
        if let Some(usage) = models.values().map(model_usage).reduce(Usage::plus) {
            recorder.total_usage(usage);
        }
        let tools = object.count("/stats/tools/totalCalls").unwrap_or_default();
        recorder.record.summary.tool_uses = tools;
    }
    if is_failed {
        recorder.ended(Ending::Failed(failure(object, recorder)));
    } else {
        recorder.message(object.text("/response").unwrap_or_default());
        recorder.ended(Ending::Succeeded);
    }
}

fn failure(object: &Value, recorder: &Recorder<'_>) -> Trouble {
    let before = recorder.record.summary.trouble.clone();
    let text = object.text("/error/message");
    let trouble = match (text, before) {
        (Some(text), _) => trouble(text),
        (None, Some(before)) => before,
        (None, None) => Trouble::default(),
    };
    let status = object.status("/error/code").filter(|code| (400..600).contains(code));
    trouble.with_status(status).with_words(object.text("/error/type"))
}

/// A message may be the body of the API's answer.
fn trouble(message: &str) -> Trouble {
    let message = message.trim();
    let body = message.find('{').and_then(|at| serde_json::from_str::<Value>(&message[at..]).ok());
    let Some(body) = body else { return Trouble::new(message) };
    let details = body.list("/error/details").iter();
    let reasons = details.clone().filter_map(|detail| detail.text("/reason"));
    let violations = details.clone().flat_map(|detail| detail.list("/violations"));
    let quotas = violations.filter_map(|violation| violation.text("/quotaId"));
    let delay = details.clone().find_map(|detail| detail.text("/retryDelay"));
    Trouble::new(body.text("/error/message").unwrap_or(message))
        .with_status(body.status("/error/code"))
        .with_words(body.text("/error/status").into_iter().chain(reasons).chain(quotas))
        .with_wait(delay.and_then(leading_span))
}

fn stream_usage(object: &Value) -> Usage {
    let count = |path| object.count(path).unwrap_or_default();
    let cached = count("/stats/cached");
    Usage {
        input_tokens: count("/stats/input_tokens").saturating_sub(cached),
        output_tokens: count("/stats/output_tokens"),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
    }
}

/// `prompt` counts what came from the cache too.
fn model_usage(model: &Value) -> Usage {
    let count = |path| model.count(path).unwrap_or_default();
    let cached = count("/tokens/cached");
    Usage {
        input_tokens: count("/tokens/prompt").saturating_sub(cached),
        output_tokens: count("/tokens/candidates").saturating_add(count("/tokens/thoughts")),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
    }
}

/// The lines of stderr by which the CLI speaks of the API.
fn read_line(line: &str, recorder: &mut Recorder<'_>) {
    if let Some(rest) = line.strip_prefix("Attempt ") {
        read_retry(rest, recorder);
    } else if line.starts_with("Suggested retry after ") {
        let wait = line.strip_prefix("Suggested retry after ").and_then(leading_span);
        if let Some(trouble) = &mut recorder.record.summary.trouble {
            trouble.retry_after = wait;
        }
    } else if let Some(message) = between(line, "[API Error: ", "]") {
        recorder.trouble(trouble(message));
    } else if line.starts_with("Error when talking to Gemini API") {
        let message = line.split_once(".json ").map_or(line, |(_, message)| message);
        recorder.trouble(trouble(message));
    }
}

/// `1 failed: why` and `1 failed with status 503. Retrying with backoff... why`.
fn read_retry(rest: &str, recorder: &mut Recorder<'_>) {
    let Some((attempt, rest)) = leading_number(rest) else { return };
    let Some(rest) = rest.strip_prefix(" failed") else { return };
    let status = rest.strip_prefix(" with status ").and_then(leading_status);
    let why = rest.split_once("... ").map_or(rest, |(_, why)| why);
    let why = why.trim_start_matches([':', ' ']);
    recorder.retry(attempt, None, trouble(why).with_status(status));
}
