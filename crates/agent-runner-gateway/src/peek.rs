//! Looks at the beginning of an answer before any of it is passed on.
//!
//! Providers report limits also under a status of 200, as the first real event of a stream. Only as
//! long as nothing was passed on can another key be tried.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame};
use serde::{Deserialize, de::IgnoredAny};
use tokio::time::{Instant, timeout, timeout_at};

/// What is looked at, at most.
const MOST: usize = 64 * 1024;
/// How long the opening of a stream is kept back to see what follows it.
const GRACE: Duration = Duration::from_secs(2);
/// Events that say nothing yet.
const OPENING: [&str; 5] =
    ["message_start", "ping", "response.created", "response.in_progress", "response.queued"];

/// The beginning of an answer.
pub(crate) struct Peeked {
    /// What came, to be passed on.
    pub(crate) frames: VecDeque<Frame<Bytes>>,
    /// An error in it, if that is all that came.
    pub(crate) error: Option<String>,
}

/// Why there is no beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// The provider broke off.
    Cut,
    /// The provider is silent.
    Silent,
}

/// Waits for the first piece that says something, for `patience` at most.
pub(crate) async fn peek(
    body: &mut reqwest::Body,
    is_stream: bool,
    patience: Duration,
) -> Result<Peeked, Nothing> {
    let (mut frames, mut text) = (VecDeque::new(), Vec::new());
    let first = timeout(patience, next(body, &mut frames, &mut text)).await;
    let mut more = first.map_err(|_| Nothing::Silent)?.map_err(|()| Nothing::Cut)?;
    let until = Instant::now() + GRACE;
    loop {
        match if is_stream { in_stream(&text) } else { in_document(&text) } {
            Beginning::Error(error) => return Ok(Peeked { frames, error: Some(error) }),
            Beginning::Opening if more && text.len() < MOST => (),
            // Not one event is no stream.
            _ if is_stream && text.is_empty() => return Err(Nothing::Cut),
            _ => return Ok(Peeked { frames, error: None }),
        }
        more = match timeout_at(until, next(body, &mut frames, &mut text)).await {
            Ok(more) => more.map_err(|()| Nothing::Cut)?,
            Err(_) => false,
        };
    }
}

/// All of an answer, or as much of it as comes in time and is looked at.
pub(crate) async fn collect(body: &mut reqwest::Body, patience: Duration) -> Vec<u8> {
    let (mut frames, mut text) = (VecDeque::new(), Vec::new());
    let until = Instant::now() + patience;
    while text.len() < MOST
        && matches!(timeout_at(until, next(body, &mut frames, &mut text)).await, Ok(Ok(true)))
    {
        frames.clear();
    }
    text
}

/// The next piece. Says whether there was one.
async fn next(
    body: &mut reqwest::Body,
    frames: &mut VecDeque<Frame<Bytes>>,
    text: &mut Vec<u8>,
) -> Result<bool, ()> {
    let Some(frame) = body.frame().await else { return Ok(false) };
    let frame = frame.map_err(|_| ())?;
    if let Some(bytes) = frame.data_ref() {
        text.extend_from_slice(&bytes[..bytes.len().min(MOST)]);
    }
    frames.push_back(frame);
    Ok(true)
}

#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// Nothing yet.
    Opening,
    /// Something real.
    Content,
    /// An error, and its text.
    Error(String),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
}

fn in_stream(text: &[u8]) -> Beginning {
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n");
    let mut events = text.split("\n\n").peekable();
    while let Some(event) = events.next() {
        // The last one has not ended, unless it is empty.
        if events.peek().is_none() {
            break;
        }
        let data: String =
            event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
        if data.is_empty() {
            continue;
        }
        let Ok(head) = serde_json::from_str::<Event<'_>>(&data) else { return Beginning::Content };
        let kind = head.kind.as_deref().unwrap_or_default();
        if head.error.is_some() || kind == "error" || kind == "response.failed" {
            return Beginning::Error(data);
        }
        if !OPENING.contains(&kind) {
            return Beginning::Content;
        }
    }
    Beginning::Opening
}

fn in_document(text: &[u8]) -> Beginning {
    let start: Vec<u8> =
        text.iter().copied().filter(|b| !b.is_ascii_whitespace()).take(10).collect();
    let is_error = start.starts_with(b"{\"error\":{") || start.starts_with(b"[{\"error\":");
    if !is_error {
        return Beginning::Content;
    }
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => Beginning::Error(String::from_utf8_lossy(text).into_owned()),
        Err(error) if error.is_eof() => Beginning::Opening,
        Err(_) => Beginning::Content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Beginning) {
        assert_eq!(in_stream(text.as_bytes()), *expected, "{text}");
        assert_eq!(in_stream(text.replace('\n', "\r\n").as_bytes()), *expected, "{text}");
    }

    #[test]
    fn an_error_is_seen_behind_the_opening() {
        let opening = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n: hi\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n";
        check("", &Beginning::Opening);
        check(opening, &Beginning::Opening);
        check(&format!("{opening}event: error\ndata: {{\"type\":"), &Beginning::Opening);
        let error = r#"{"type":"error","error":{"type":"overloaded_error"}}"#;
        check(
            &format!("{opening}event: error\ndata: {error}\n\n"),
            &Beginning::Error(error.into()),
        );
        let failed =
            r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#;
        let created = "data: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n";
        check(&format!("{created}data: {failed}\n\n"), &Beginning::Error(failed.into()));
        let plain = r#"{"error":{"code":429}}"#;
        check(&format!("data: {plain}\n\n"), &Beginning::Error(plain.into()));
        check(
            &format!("{opening}data: {{\"type\":\"content_block_start\"}}\n\ndata: {error}\n\n"),
            &Beginning::Content,
        );
        check("data: {\"choices\":[],\"error\":null}\n\n", &Beginning::Content);
        check("data: [DONE]\n\n", &Beginning::Content);
    }

    #[test]
    fn a_document_can_be_an_error_too() {
        let error = "{ \"error\": {\"code\": 429}}";
        assert_eq!(in_document(error.as_bytes()), Beginning::Error(error.into()));
        assert_eq!(in_document(&error.as_bytes()[..15]), Beginning::Opening);
        assert_eq!(in_document(b"{\"id\":1,\"error\":{}}"), Beginning::Content);
        assert_eq!(in_document(b""), Beginning::Content);
    }
}
