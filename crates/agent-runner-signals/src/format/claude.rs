//! Claude Code: `-p --output-format stream-json --verbose`, and `json`, which is its last line.
//!
//! Every failure of the API ends in a `result` of subtype `success`; the truth is in `is_error`,
//! `api_error_status` and in the `error` of a message that the CLI itself wrote.

use std::time::Duration;

use serde_json::Value;

use super::{Reading, ignore_line};
use crate::{
    Ending, RateLimit, Trouble, Usage,
    recorder::{Fields, Recorder, limit_state},
    reset::epoch,
};

pub(super) const READING: Reading = Reading {
    wants: |kind| matches!(kind, "system" | "assistant" | "result" | "rate_limit_event"),
    left_out: &["tools", "slash_commands", "input", "thinking", "structured_output"],
    object: read,
    stderr_object: None,
    stderr_line: ignore_line,
};

fn read(object: &Value, recorder: &mut Recorder<'_>) {
    let kind = object.text("/type");
    recorder.session(object.text("/session_id"), object.text("/model"));
    match (kind, object.text("/subtype")) {
        (Some("system"), Some("init")) => {
            recorder.version(object.text("/claude_code_version"));
            recorder.resumed();
        }
        (Some("system"), Some("api_retry")) => read_retry(object, recorder),
        (Some("system"), Some("model_fallback")) => {
            if let (Some(from), Some(to)) =
                (object.text("/original_model"), object.text("/fallback_model"))
            {
                recorder.fallback(from, to, object.text("/trigger"));
            }
        }
        (Some("rate_limit_event"), _) => read_limit(object, recorder),
        (Some("assistant"), _) => read_message(object, recorder),
        (Some("result"), _) => read_result(object, recorder),
        _ => {}
    }
}

fn read_retry(object: &Value, recorder: &mut Recorder<'_>) {
    let wait = object.number("/retry_delay_ms").map(|milliseconds| milliseconds / 1000.0);
    let wait = wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let (status, error) = (object.status("/error_status"), object.text("/error"));
    let told = status.map(|status| format!("status {status}"));
    let told: Vec<_> = told.as_deref().into_iter().chain(error).collect();
    let trouble =
        Trouble::new(&told.join(", ")).with_status(status).with_words(error).with_wait(wait);
    let attempt = object.count("/attempt").unwrap_or(1);
    recorder.retry(attempt, object.count("/max_retries"), trouble);
}

fn read_limit(object: &Value, recorder: &mut Recorder<'_>) {
    let state = object.text("/rate_limit_info/status").and_then(limit_state);
    let Some(state) = state else { return };
    recorder.limit(RateLimit {
        state,
        window: object.text("/rate_limit_info/rateLimitType").map(str::to_owned),
        reset_at: object.count("/rate_limit_info/resetsAt").and_then(epoch),
        utilization: object.number("/rate_limit_info/utilization"),
    });
}

fn read_message(object: &Value, recorder: &mut Recorder<'_>) {
    let blocks = object.list("/message/content");
    if let Some(error) = object.text("/error") {
        let text = blocks.iter().find_map(|block| block.text("/text")).unwrap_or_default();
        return recorder.trouble(Trouble::new(text).with_words([error]));
    }
    for block in blocks {
        match (block.text("/type"), block.text("/text"), block.text("/name")) {
            (Some("text"), Some(text), _) => recorder.message(text),
            (Some("tool_use"), _, Some(name)) => recorder.tool(name),
            _ => {}
        }
    }
    if let (Some(id), Some(used)) = (object.text("/message/id"), object.at("/message/usage")) {
        recorder.message_usage(id, usage(used));
    }
}

fn usage(used: &Value) -> Usage {
    let count = |path| used.count(path).unwrap_or_default();
    Usage {
        input_tokens: count("/input_tokens"),
        output_tokens: count("/output_tokens"),
        cache_read_tokens: count("/cache_read_input_tokens"),
        cache_write_tokens: count("/cache_creation_input_tokens"),
    }
}

fn read_result(object: &Value, recorder: &mut Recorder<'_>) {
    recorder.total_cost(object.number("/total_cost_usd"));
    if let Some(usage) = result_usage(object) {
        recorder.total_usage(usage);
    }
    let is_refusal = object.text("/stop_reason") == Some("refusal");
    let is_error = object.at("/is_error").and_then(Value::as_bool);
    let subtype = object.text("/subtype").unwrap_or_default();
    let is_error = is_error.unwrap_or(subtype != "success") || is_refusal;
    let ending =
        if is_error { Ending::Failed(failure(object, recorder)) } else { Ending::Succeeded };
    recorder.ended(ending);
}

/// `modelUsage` counts subagents too, and `usage` does not. A run that was cut by its budget has
/// zeros in `usage`.
fn result_usage(object: &Value) -> Option<Usage> {
    let models = object.at("/modelUsage").and_then(Value::as_object);
    let count = |model: &Value, path| model.count(path).unwrap_or_default();
    let of_model = |model: &Value| Usage {
        input_tokens: count(model, "/inputTokens"),
        output_tokens: count(model, "/outputTokens"),
        cache_read_tokens: count(model, "/cacheReadInputTokens"),
        cache_write_tokens: count(model, "/cacheCreationInputTokens"),
    };
    match models {
        Some(models) if !models.is_empty() => models.values().map(of_model).reduce(Usage::plus),
        _ => object.at("/usage").map(usage),
    }
}

/// What came before said which error it was, and the result says the rest.
fn failure(object: &Value, recorder: &Recorder<'_>) -> Trouble {
    let before = recorder.record.summary.trouble.clone().unwrap_or_default();
    let errors = object.list("/errors").iter().filter_map(Value::as_str);
    // What it says of itself when it is interrupted is for its makers.
    let mut errors = errors.filter(|error| !error.starts_with("[ede_diagnostic]"));
    let text = object.text("/result").or_else(|| errors.next()).map(Trouble::new);
    let words = ["/subtype", "/terminal_reason", "/stop_reason"];
    Trouble { text: text.map_or(before.text, |trouble| trouble.text), ..before }
        .with_status(object.status("/api_error_status"))
        .with_words(words.into_iter().filter_map(|path| object.text(path)))
}
