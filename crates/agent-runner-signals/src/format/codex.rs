//! Codex: `exec --json`.
//!
//! Only `turn.completed` and `turn.failed` end a turn. An `error` is also told when a request is
//! made again, and an item of type `error` is a warning. Statuses stand in the text alone.

use serde_json::Value;

use super::{Reading, ignore_line};
use crate::{
    Ending, Trouble, Usage,
    recorder::{Fields, Recorder},
    text::{leading_number, leading_status},
};

pub(super) const READING: Reading = Reading {
    wants: |kind| !matches!(kind, "item.started" | "item.updated"),
    left_out: &["command", "aggregated_output"],
    object: read,
    stderr_object: None,
    stderr_line: ignore_line,
};

fn read(object: &Value, recorder: &mut Recorder<'_>) {
    match object.text("/type") {
        Some("thread.started") => recorder.session(object.text("/thread_id"), None),
        Some("turn.started") => recorder.resumed(),
        Some("item.completed") => read_item(object, recorder),
        Some("error") => read_error(object.text("/message").unwrap_or_default(), recorder),
        Some("turn.completed") => {
            if let Some(used) = object.at("/usage") {
                recorder.total_usage(usage(used));
            }
            recorder.ended(Ending::Succeeded);
        }
        Some("turn.failed") => {
            let text = object.text("/error/message").unwrap_or_default();
            recorder.ended(Ending::Failed(trouble(text)));
        }
        _ => {}
    }
}

fn read_item(object: &Value, recorder: &mut Recorder<'_>) {
    match object.text("/item/type") {
        Some("agent_message") => {
            recorder.message(object.text("/item/text").unwrap_or_default());
        }
        Some("mcp_tool_call") => recorder.tool(object.text("/item/tool").unwrap_or("mcp")),
        Some(tool @ ("command_execution" | "file_change" | "web_search")) => recorder.tool(tool),
        Some("reasoning" | "todo_list") => recorder.progress(),
        _ => {}
    }
}

/// Requests are made again as `Reconnecting... 2/5 (why)`, and without end as
/// `Reconnecting... waiting for network (why)`.
fn read_error(text: &str, recorder: &mut Recorder<'_>) {
    let Some((count, why)) = retry(text) else { return recorder.trouble(trouble(text)) };
    let (attempt, max_attempts) = match count {
        Some((attempt, max_attempts)) => (attempt, Some(max_attempts)),
        None => (recorder.record.summary.retries + 1, None),
    };
    recorder.retry(attempt, max_attempts, trouble(why));
}

/// Which retry it is of how many, if that is told, and why.
fn retry(text: &str) -> Option<(Option<(u64, u64)>, &str)> {
    let rest = text.strip_prefix("Reconnecting...")?.trim_start();
    let (count, rest) = if let Some(rest) = rest.strip_prefix("waiting for network") {
        (None, rest)
    } else {
        let (attempt, rest) = leading_number(rest)?;
        let (max_attempts, rest) = leading_number(rest.strip_prefix('/')?)?;
        (Some((attempt, max_attempts)), rest)
    };
    let why = rest.trim().strip_prefix('(').unwrap_or_default();
    Some((count, why.strip_suffix(')').unwrap_or(why)))
}

fn trouble(text: &str) -> Trouble {
    let behind = |mark: &str| text.split_once(mark).and_then(|(_, rest)| leading_status(rest));
    let status = behind("unexpected status ").or_else(|| behind("last status: "));
    Trouble::new(text).with_status(status)
}

/// `input_tokens` counts what came from the cache too.
fn usage(used: &Value) -> Usage {
    let count = |path| used.count(path).unwrap_or_default();
    let (cache_read_tokens, cache_write_tokens) =
        (count("/cached_input_tokens"), count("/cache_write_input_tokens"));
    let cached = cache_read_tokens.saturating_add(cache_write_tokens);
    Usage {
        input_tokens: count("/input_tokens").saturating_sub(cached),
        output_tokens: count("/output_tokens"),
        cache_read_tokens,
        cache_write_tokens,
    }
}
