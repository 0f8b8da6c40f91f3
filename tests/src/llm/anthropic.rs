//! The Messages API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Behaviour, asked,
    reply::{End, Reply},
};

/// Answers `POST /v1/messages`.
pub(super) fn messages(request: &Value, does: Behaviour, wait: Duration) -> Reply {
    match does {
        Behaviour::Hang => Reply::events(&[]).ending(0, End::Never),
        Behaviour::Stall => answer(request, does).ending(3, End::Never),
        Behaviour::Cut => answer(request, does).ending(3, End::Cut),
        Behaviour::Endless => {
            let mut reply = answer(request, does).ending(3, End::Endless);
            reply.chunks.push("event: content_block_delta\ndata: {\"text\":\"".to_owned());
            reply
        }
        Behaviour::Midway => {
            let mut reply = answer(request, does).ending(3, End::Whole);
            let error = body("overloaded_error", "Overloaded");
            reply.chunks.push(format!("event: error\ndata: {error}\n\n"));
            reply
        }
        Behaviour::Garbage => Reply {
            chunks: vec!["<html><body>Sign in to the café's network</body></html>".to_owned()],
            ..Reply::json(200, &Value::Null).header("content-type", "text/html")
        },
        _ => refusal(does, wait).unwrap_or_else(|| answer(request, does)),
    }
}

/// The errors that the API documents, with what it was seen to say.
fn refusal(does: Behaviour, wait: Duration) -> Option<Reply> {
    let (status, kind, message) = match does {
        Behaviour::Throttled => (
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 50,000 input tokens per minute.",
        ),
        Behaviour::Usage => {
            (429, "rate_limit_error", "This request would exceed your account's rate limit.")
        }
        Behaviour::Quota => (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2099-01-01 at 00:00 UTC.",
        ),
        Behaviour::Credit => (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        Behaviour::Revoked => (401, "authentication_error", "invalid x-api-key"),
        Behaviour::Nomodel => (404, "not_found_error", "model: claude-nobody-1"),
        Behaviour::Toolong => {
            (400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum")
        }
        Behaviour::Overloaded => (529, "overloaded_error", "Overloaded"),
        Behaviour::Broken => (500, "api_error", "Internal server error"),
        _ => return None,
    };
    let reply = Reply::json(status, &body(kind, message));
    Some(match does {
        Behaviour::Throttled => reply.header("retry-after", wait.as_secs_f64().ceil()),
        Behaviour::Usage => reply
            .header("anthropic-ratelimit-unified-status", "rejected")
            .header("anthropic-ratelimit-unified-reset", 4_070_908_800_u64)
            .header("anthropic-ratelimit-unified-representative-claim", "five_hour"),
        _ => reply,
    })
}

fn body(kind: &str, message: &str) -> Value {
    json!({
        "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_fake",
    })
}

/// An answer that uses a tool, or one in words.
fn answer(request: &Value, does: Behaviour) -> Reply {
    let file = asked::file(&request["messages"], &["tool_result"]);
    let file = file.filter(|_| asked::offers(request, "Write"));
    let (block, stop_reason) = match file {
        _ if does == Behaviour::Refusal => (text("I can't"), "refusal"),
        Some(file) => {
            let input = json!({ "file_path": file, "content": "written by a model\n" });
            (
                json!({ "type": "tool_use", "id": "toolu_fake", "name": "Write", "input": input }),
                "tool_use",
            )
        }
        None => (text("Done: all is well."), "end_turn"),
    };
    let message = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": request["model"],
        "content": [block], "stop_reason": stop_reason, "stop_sequence": null,
        "usage": usage(does, 20),
    });
    if request["stream"] == true {
        Reply::events(&events(message))
    } else {
        Reply::json(200, &message)
    }
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn usage(does: Behaviour, output: u64) -> Value {
    let input = if does == Behaviour::Expensive { 1_000_000 } else { 100 };
    json!({
        "input_tokens": input, "output_tokens": output,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 50,
    })
}

/// A message, told piece by piece.
fn events(mut message: Value) -> Vec<Value> {
    let block = message["content"][0].take();
    let (stop_reason, usage) = (message["stop_reason"].take(), message["usage"].clone());
    message["content"] = json!([]);
    message["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({ "type": "message_start", "message": message })];
    let at = |kind: &str| json!({ "type": kind, "index": 0 });
    let mut start = at("content_block_start");
    let mut pieces = Vec::new();
    if block["type"] == "text" {
        start["content_block"] = text("");
        let words = block["text"].as_str().unwrap_or_default();
        pieces.extend(
            words.split_inclusive(' ').map(|word| json!({ "type": "text_delta", "text": word })),
        );
    } else {
        let input = block["input"].to_string();
        start["content_block"] = block;
        start["content_block"]["input"] = json!({});
        pieces.push(json!({ "type": "input_json_delta", "partial_json": input }));
    }
    events.push(start);
    events.extend(pieces.into_iter().map(|delta| {
        let mut event = at("content_block_delta");
        event["delta"] = delta;
        event
    }));
    events.push(at("content_block_stop"));
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": stop_reason, "stop_sequence": null },
        "usage": { "output_tokens": usage["output_tokens"] },
    }));
    events.push(json!({ "type": "message_stop" }));
    events
}
