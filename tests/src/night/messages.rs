//! The Messages API, as far as a night needs it.

use agent_runner_credentials::simulate::{Reply, Turn};
use hyper::{HeaderMap, body::Bytes};
use serde_json::{Value, json};

/// Says of a request which one it is: the number of its job and of its turn.
pub(super) const TURN: &str = "x-simulated-turn";

const BYTES_A_TOKEN: u64 = 4;
const MODEL: &str = "claude-simulated";

/// A request of about so many tokens.
pub(super) fn request(is_stream: bool, tokens: u64) -> String {
    let words = |count| "abc ".repeat(count);
    let with = |text: String| {
        json!({
            "model": MODEL,
            "max_tokens": 4096,
            "stream": is_stream,
            "messages": [{ "role": "user", "content": text }],
        })
        .to_string()
    };
    let frame = with(String::new()).len() as u64;
    let rest = (tokens * BYTES_A_TOKEN).saturating_sub(frame) / BYTES_A_TOKEN;
    with(words(usize::try_from(rest).expect("it is a text in memory")))
}

/// The value of [`TURN`].
pub(super) fn name(job: usize, turn: usize) -> String {
    format!("{job}/{turn}")
}

/// Which request this is: job, turn and key.
pub(super) fn which(headers: &HeaderMap) -> Option<(usize, usize, usize)> {
    let text = |name| headers.get(name)?.to_str().ok();
    let (job, turn) = text(TURN)?.split_once('/')?;
    let (_, key) = text("x-api-key")?.rsplit_once('-')?;
    Some((job.parse().ok()?, turn.parse().ok()?, key.parse().ok()?))
}

/// What the server counted. A conversation's new input is written to the cache.
pub(super) fn usage(reply: &Reply, is_session: bool) -> Value {
    let usage = reply.usage.unwrap_or_default();
    let (input, written) =
        if is_session { (0, usage.input_tokens) } else { (usage.input_tokens, 0) };
    json!({
        "input_tokens": input,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": reply.cached,
        "output_tokens": usage.output_tokens,
    })
}

/// A whole answer.
pub(super) fn message(usage: &Value) -> String {
    let content = [json!({ "type": "text", "text": "done" })];
    json!({ "type": "message", "role": "assistant", "model": MODEL, "content": content, "usage": usage })
        .to_string()
}

/// How a stream begins, as soon as it is known that it will be answered.
pub(super) fn opening(usage: &Value) -> Bytes {
    let mut usage = usage.clone();
    usage["output_tokens"] = json!(1);
    let message = json!({ "type": "message", "role": "assistant", "model": MODEL, "content": [], "usage": usage });
    event(&json!({ "type": "message_start", "message": message })).into()
}

/// How it goes on, and ends.
pub(super) fn rest(turn: &Turn) -> Bytes {
    let delta = json!({ "type": "text_delta", "text": "done" });
    let usage = json!({ "output_tokens": turn.output });
    let events = [
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": usage }),
        json!({ "type": "message_stop" }),
    ];
    events.iter().map(event).collect::<String>().into()
}

fn event(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
}
