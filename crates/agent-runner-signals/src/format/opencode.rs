//! OpenCode: `run --format json`.
//!
//! Nothing says that the work is over but the reason of the last step: `stop`. A step that ends
//! for `tool-calls` is followed by another.

use std::time::Duration;

use serde_json::Value;

use super::{Reading, ignore_line};
use crate::{
    Ending, Trouble, Usage,
    recorder::{Fields, Recorder},
};

pub(super) const READING: Reading = Reading {
    wants: |_| true,
    left_out: &["state", "snapshot"],
    object: read,
    stderr_object: None,
    stderr_line: ignore_line,
};

fn read(object: &Value, recorder: &mut Recorder<'_>) {
    recorder.session(object.text("/sessionID"), None);
    match object.text("/type") {
        Some("step_start") => recorder.resumed(),
        Some("text") => recorder.message(object.text("/part/text").unwrap_or_default()),
        Some("tool_use") => recorder.tool(object.text("/part/tool").unwrap_or("tool")),
        Some("step_finish") => read_step(object, recorder),
        Some("error") => recorder.ended(Ending::Failed(trouble(object))),
        _ => {}
    }
}

fn read_step(object: &Value, recorder: &mut Recorder<'_>) {
    let count = |path| object.count(path).unwrap_or_default();
    recorder.progress();
    recorder.more_usage(Usage {
        input_tokens: count("/part/tokens/input"),
        output_tokens: count("/part/tokens/output").saturating_add(count("/part/tokens/reasoning")),
        cache_read_tokens: count("/part/tokens/cache/read"),
        cache_write_tokens: count("/part/tokens/cache/write"),
    });
    recorder.more_cost(object.number("/part/cost"));
    match object.text("/part/reason") {
        Some("stop") => recorder.ended(Ending::Succeeded),
        Some(reason @ ("content-filter" | "length")) => {
            let text = format!("the last step ended for `{reason}`");
            recorder.ended(Ending::Failed(Trouble::new(&text).with_words([reason])));
        }
        _ => {}
    }
}

fn trouble(object: &Value) -> Trouble {
    let body = object.text("/error/data/responseBody");
    let body: Value = body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let words = ["/error/type", "/error/code", "/error/status"];
    let words = words.into_iter().filter_map(|path| body.text(path));
    let wait = object.text("/error/data/responseHeaders/retry-after");
    let wait = wait.and_then(|wait| wait.trim().parse().ok());
    let text = object.text("/error/data/message").or_else(|| object.text("/error/name"));
    Trouble::new(text.unwrap_or_default())
        .with_status(object.status("/error/data/statusCode"))
        .with_words(object.text("/error/name").into_iter().chain(words))
        .with_wait(wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}
