//! The Chat Completions API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Behaviour, openai,
    reply::{End, Reply},
};

/// Answers `POST /v1/chat/completions`.
pub(super) fn completions(request: &Value, does: Behaviour, wait: Duration) -> Reply {
    match does {
        Behaviour::Hang => Reply::data(&[]).ending(0, End::Never),
        Behaviour::Stall => answer(request).ending(1, End::Never),
        Behaviour::Cut => answer(request).ending(1, End::Cut),
        _ => openai::refusal(does, wait).unwrap_or_else(|| answer(request)),
    }
}

fn answer(request: &Value) -> Reply {
    let usage = json!({ "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120 });
    let head = |kind: &str| json!({ "id": "chatcmpl-fake", "object": kind, "created": 0, "model": request["model"] });
    if request["stream"] != true {
        let message = json!({ "role": "assistant", "content": "Done: all is well." });
        let mut whole = head("chat.completion");
        whole["choices"] = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
        whole["usage"] = usage;
        return Reply::json(200, &whole);
    }
    let piece = |delta: Value, finish_reason: Option<&str>| {
        let mut chunk = head("chat.completion.chunk");
        chunk["choices"] = json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]);
        chunk
    };
    let mut reply = Reply::data(&[
        piece(json!({ "role": "assistant", "content": "Done: " }), None),
        piece(json!({ "content": "all is well." }), None),
        piece(json!({}), Some("stop")),
    ]);
    reply.chunks.push("data: [DONE]\r\n\r\n".to_owned());
    reply
}
