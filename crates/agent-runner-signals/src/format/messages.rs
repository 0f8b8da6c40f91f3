//! The Messages API itself: the data of its server-sent events, one on each line, as
//! `agent-runner messages` prints them.
//!
//! A line of type `response` tells what the HTTP answer said beside its body. An error has the
//! answer's `status` and `retry_after_s` added, if it came instead of a stream.

use std::time::Duration;

use serde_json::Value;

use super::{Reading, ignore_line};
use crate::{
    Ending, RateLimit, Trouble, Usage,
    recorder::{Fields, Recorder, limit_state},
    reset::epoch,
};

pub(super) const READING: Reading = Reading {
    wants: |kind| kind != "ping",
    left_out: &["thinking", "signature", "partial_json", "input", "citations"],
    object: read,
    stderr_object: None,
    stderr_line: ignore_line,
};

fn read(object: &Value, recorder: &mut Recorder<'_>) {
    match object.text("/type") {
        Some("response") => read_limit(object, recorder),
        Some("message_start") => {
            recorder.resumed();
            recorder.session(None, object.text("/message/model"));
            read_usage(object.at("/message/usage"), recorder);
        }
        Some("content_block_delta") => {
            recorder.progress();
            recorder.said(object.text("/delta/text").unwrap_or_default());
        }
        Some("content_block_stop") => recorder.said_all(),
        Some("message_delta") => {
            read_usage(object.at("/usage"), recorder);
            recorder.stopping(object.text("/delta/stop_reason"));
        }
        Some("message_stop") => {
            let ending = ending(recorder.stop_reason());
            recorder.ended(ending);
        }
        Some("error") => recorder.ended(Ending::Failed(trouble(object))),
        _ => {}
    }
}

/// The limits of a plan stand in the headers of the answer.
fn read_limit(object: &Value, recorder: &mut Recorder<'_>) {
    let header = |name: &str| object.text(&format!("/limits/anthropic-ratelimit-unified-{name}"));
    let Some(state) = header("status").and_then(limit_state) else { return };
    recorder.limit(RateLimit {
        state,
        window: header("representative-claim").map(str::to_owned),
        reset_at: header("reset").and_then(|at| at.parse().ok()).and_then(epoch),
        utilization: None,
    });
}

/// What is told again replaces what was told before.
fn read_usage(told: Option<&Value>, recorder: &mut Recorder<'_>) {
    let Some(told) = told else { return };
    let before = recorder.record.summary.usage;
    let count = |path, before| told.count(path).unwrap_or(before);
    recorder.total_usage(Usage {
        input_tokens: count("/input_tokens", before.input_tokens),
        output_tokens: count("/output_tokens", before.output_tokens),
        cache_read_tokens: count("/cache_read_input_tokens", before.cache_read_tokens),
        cache_write_tokens: count("/cache_creation_input_tokens", before.cache_write_tokens),
    });
}

fn ending(stop_reason: Option<&str>) -> Ending {
    match stop_reason {
        Some("end_turn" | "stop_sequence") => Ending::Succeeded,
        reason => {
            let reason = reason.unwrap_or("nothing");
            let text = format!("the answer ended for `{reason}`");
            Ending::Failed(Trouble::new(&text).with_words([reason]))
        }
    }
}

fn trouble(object: &Value) -> Trouble {
    let words = ["/error/type", "/error/details/error_code"];
    let wait = object.number("/retry_after_s");
    Trouble::new(object.text("/error/message").unwrap_or_default())
        .with_status(object.status("/status"))
        .with_words(words.into_iter().filter_map(|path| object.text(path)))
        .with_wait(wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}
