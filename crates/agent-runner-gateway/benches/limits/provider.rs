//! What the provider answers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming},
};

const SMALL: &str = r#"{"type":"message","model":"m","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":10,"output_tokens":5}}"#;
const EVENT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"some words\"}}\n\n";
/// Events in one piece of a long stream.
const TOGETHER: usize = 64;

/// An answer of the provider: small, long, or one that stays open.
pub(crate) enum Answer {
    Small(bool),
    Long(usize),
    Open(bool),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        match self.get_mut() {
            Self::Small(sent @ false) => {
                *sent = true;
                frame(Bytes::from_static(SMALL.as_bytes()))
            }

            Self::Open(sent @ false) => {
                *sent = true;
                frame(Bytes::from_static(EVENT.as_bytes()))
            }

            Self::Open(_) => Poll::Pending,
            Self::Long(left) if *left > 0 => {
                *left -= 1;
                frame(EVENT.repeat(TOGETHER).into())
            }
            Self::Small(_) | Self::Long(_) => Poll::Ready(None),
        }
    }
}

pub(crate) async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    drop(request.into_body().collect().await);
    let (kind, body) = match query.split_once('=') {
        Some(("long", pieces)) => ("text/event-stream", Answer::Long(pieces.parse().unwrap_or(1))),
        Some(_) => ("text/event-stream", Answer::Open(false)),
        None => ("application/json", Answer::Small(false)),
    };
    let response = Response::builder().header("content-type", kind);
    let limits = [("limit", "1000000"), ("remaining", "999999")];
    let response = limits.iter().fold(response, |response, (name, value)| {
        response.header(format!("anthropic-ratelimit-requests-{name}"), *value)
    });
    Ok(response.body(body).expect("the headers are sound"))
}
