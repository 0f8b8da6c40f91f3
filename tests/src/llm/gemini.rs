//! The Gemini API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Behaviour, asked,
    reply::{End, Reply},
};

/// How long a limit of a minute is said to last.
const MINUTE: &str = "26s";

/// The model and the method of a path such as `/v1beta/models/gemini-9:generateContent`.
pub(super) fn method(path: &str) -> Option<(&str, &str)> {
    let below = ["/v1/models/", "/v1beta/models/"];
    below.iter().find_map(|start| path.strip_prefix(start))?.split_once(':')
}

/// Answers `POST /v1beta/models/MODEL:generateContent`, and the same as a stream.
pub(super) fn generate(
    model: &str,
    is_stream: bool,
    request: &Value,
    does: Behaviour,
    wait: Duration,
) -> Reply {
    let answer = || answer(model, is_stream, request, does);
    match does {
        Behaviour::Hang => Reply::data(&[]).ending(0, End::Never),
        Behaviour::Stall => answer().ending(1, End::Never),
        Behaviour::Cut => answer().ending(1, End::Cut),
        Behaviour::Garbage => Reply {
            chunks: vec!["<html><body>Sign in to the café's network</body></html>".to_owned()],
            ..Reply::json(200, &Value::Null).header("content-type", "text/html")
        },
        _ => refusal(model, does, wait).unwrap_or_else(answer),
    }
}

/// The errors that the API documents, with what it was seen to say.
fn refusal(model: &str, does: Behaviour, wait: Duration) -> Option<Reply> {
    let (code, status, message) = match does {
        Behaviour::Throttled | Behaviour::Quota | Behaviour::Usage => (
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        Behaviour::Credit => {
            (403, "PERMISSION_DENIED", "This API method requires billing to be enabled.")
        }
        Behaviour::Revoked => {
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
        }
        Behaviour::Nomodel => (404, "NOT_FOUND", "models/gemini-nobody is not found."),
        Behaviour::Toolong => (
            400,
            "INVALID_ARGUMENT",
            "The input token count (2500000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        Behaviour::Overloaded => {
            (503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
        }
        Behaviour::Broken => (500, "INTERNAL", "An internal error has occurred."),
        _ => return None,
    };
    let mut error = json!({ "code": code, "message": message, "status": status });
    let details = match does {
        Behaviour::Throttled => {
            let wait = if wait.is_zero() {
                MINUTE.to_owned()
            } else {
                format!("{}s", wait.as_secs_f64().ceil())
            };
            json!([quota(model, "GenerateRequestsPerMinutePerProjectPerModel"), {
                "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait,
            }])
        }
        Behaviour::Quota | Behaviour::Usage => {
            json!([quota(model, "GenerateRequestsPerDayPerProjectPerModel")])
        }
        Behaviour::Revoked => json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }]),
        _ => Value::Null,
    };
    if !details.is_null() {
        error["details"] = details;
    }
    Some(Reply::json(code, &json!({ "error": error })))
}

fn quota(model: &str, id: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
            "quotaId": id, "quotaDimensions": { "model": model }, "quotaValue": "250",
        }],
    })
}

/// An answer that uses a tool, or one in words.
fn answer(model: &str, is_stream: bool, request: &Value, does: Behaviour) -> Reply {
    let file = file(&request["contents"]).filter(|_| offers(request, "write_file"));
    let parts = match file {
        Some(file) => {
            let args = json!({ "file_path": file, "content": "written by a model\n" });
            vec![json!({ "functionCall": { "name": "write_file", "args": args } })]
        }
        None => vec![json!({ "text": "Done: " }), json!({ "text": "all is well." })],
    };
    if !is_stream {
        return Reply::json(200, &chunk(model, &parts, true, does));
    }
    let last = parts.len() - 1;
    let one =
        |(at, part): (usize, &Value)| chunk(model, std::slice::from_ref(part), at == last, does);
    let chunks: Vec<_> = parts.iter().enumerate().map(one).collect();
    Reply::data(&chunks)
}

/// A whole answer, or a piece of one. The usage is told with each, and grows.
fn chunk(model: &str, parts: &[Value], is_last: bool, does: Behaviour) -> Value {
    let input = if does == Behaviour::Expensive { 1_000_000 } else { 150 };
    let output = if is_last { 15 } else { 5 };
    let mut candidate = json!({ "index": 0, "content": { "role": "model", "parts": parts } });
    if is_last {
        let reason = if does == Behaviour::Refusal { "SAFETY" } else { "STOP" };
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate], "modelVersion": model, "responseId": "fake",
        "usageMetadata": {
            "promptTokenCount": input, "cachedContentTokenCount": 50, "candidatesTokenCount": output,
            "thoughtsTokenCount": 5, "totalTokenCount": input + output + 5,
        },
    })
}

/// The name in the last `write file:NAME`, unless a tool has been heard of since.
fn file(contents: &Value) -> Option<String> {
    let is_heard = |turn: &Value| {
        let parts = turn["parts"].as_array();
        parts.is_some_and(|parts| parts.iter().any(|part| part["functionResponse"].is_object()))
    };
    for turn in contents.as_array()?.iter().rev() {
        if is_heard(turn) {
            return None;
        }
        if let Some(name) = asked::name(&turn.to_string()) {
            return Some(name);
        }
    }
    None
}

fn offers(request: &Value, name: &str) -> bool {
    let tools = request["tools"].as_array().into_iter().flatten();
    let functions = tools.filter_map(|tool| tool["functionDeclarations"].as_array()).flatten();
    functions.into_iter().any(|function| function["name"] == name)
}
