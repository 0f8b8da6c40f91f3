//! The Responses API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Behaviour, asked,
    reply::{End, Reply},
};

/// Answers `POST /v1/responses`.
pub(super) fn responses(request: &Value, does: Behaviour, wait: Duration) -> Reply {
    match does {
        Behaviour::Hang => Reply::events(&[]).ending(0, End::Never),
        Behaviour::Stall => answer(request, does).ending(1, End::Never),
        Behaviour::Cut => answer(request, does).ending(1, End::Cut),
        Behaviour::Garbage => Reply {
            chunks: vec!["<html><body>Sign in to the café's network</body></html>".to_owned()],
            ..Reply::json(200, &Value::Null).header("content-type", "text/html")
        },
        _ => refusal(does, wait).unwrap_or_else(|| answer(request, does)),
    }
}

/// The errors that the API documents, with what it was seen to say.
pub(super) fn refusal(does: Behaviour, wait: Duration) -> Option<Reply> {
    let (status, kind, code, message) = match does {
        Behaviour::Throttled => (
            429,
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached for gpt-5 on requests per min (RPM).",
        ),
        Behaviour::Quota | Behaviour::Credit => (
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        Behaviour::Usage => (429, "usage_limit_reached", "", "The usage limit has been reached"),
        Behaviour::Revoked => {
            (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
        }
        Behaviour::Nomodel => (
            404,
            "invalid_request_error",
            "model_not_found",
            "The model `gpt-nobody` does not exist or you do not have access to it.",
        ),
        Behaviour::Toolong => (
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "Your input exceeds the context window of this model.",
        ),
        Behaviour::Overloaded => {
            (503, "server_error", "server_is_overloaded", "The server is overloaded.")
        }
        Behaviour::Broken => (500, "server_error", "server_error", "The server had an error."),
        _ => return None,
    };
    let mut error = json!({ "type": kind, "code": code, "message": message });
    if does == Behaviour::Usage {
        error["plan_type"] = json!("plus");
        error["resets_at"] = json!(4_070_908_800_u64);
        error["resets_in_seconds"] = json!(18_000);
    }
    let reply = Reply::json(status, &json!({ "error": error }));
    let throttled = does == Behaviour::Throttled;
    Some(if throttled { reply.header("retry-after", wait.as_secs_f64().ceil()) } else { reply })
}

/// An answer that uses a tool, or one in words.
fn answer(request: &Value, does: Behaviour) -> Reply {
    let heard = ["function_call_output", "custom_tool_call_output"];
    let file = asked::file(&request["input"], &heard);
    let item = file.and_then(|file| tool_call(request, &file)).unwrap_or_else(|| {
        let content = json!([{ "type": "output_text", "text": "Done: all is well." }]);
        json!({ "type": "message", "id": "msg_fake", "role": "assistant", "content": content })
    });
    let input = if does == Behaviour::Expensive { 1_000_000 } else { 100 };
    let response = json!({
        "id": "resp_fake", "object": "response", "status": "completed", "output": [item],
        "usage": {
            "input_tokens": input, "input_tokens_details": { "cached_tokens": 50 },
            "output_tokens": 20, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + 20,
        },
    });
    if request["stream"] != true {
        return Reply::json(200, &response);
    }
    Reply::events(&[
        json!({ "type": "response.created", "response": { "id": "resp_fake" } }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": response["output"][0] }),
        json!({ "type": "response.completed", "response": response }),
    ])
}

/// Writes a file with what the agent offers for it.
fn tool_call(request: &Value, file: &str) -> Option<Value> {
    let line = format!("echo 'written by a model' > {file}");
    let function = |name: &str, arguments: Value| {
        json!({
            "type": "function_call", "id": "fc_fake", "call_id": "call_fake", "name": name,
            "arguments": arguments.to_string(),
        })
    };
    let offers = |name| asked::offers(request, name);
    Some(if offers("apply_patch") {
        let patch =
            format!("*** Begin Patch\n*** Add File: {file}\n+written by a model\n*** End Patch\n");
        json!({
            "type": "custom_tool_call", "id": "ctc_fake", "call_id": "call_fake",
            "name": "apply_patch", "input": patch,
        })
    } else if offers("exec_command") {
        function("exec_command", json!({ "cmd": line }))
    } else if offers("shell_command") {
        function("shell_command", json!({ "command": line }))
    } else if offers("shell") {
        function("shell", json!({ "command": ["sh", "-c", line] }))
    } else {
        return None;
    })
}
