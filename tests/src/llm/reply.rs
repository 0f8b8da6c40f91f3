//! An answer, before it is sent.

use std::io;

use http_body_util::channel::{Channel, Sender};
use hyper::{Response, StatusCode, body::Bytes};
use serde_json::Value;

/// The body of an answer, which may take its time.
pub(super) type Body = Channel<Bytes, io::Error>;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) chunks: Vec<String>,
    pub(super) end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// The connection is cut.
    Cut,
    /// It does not.
    Never,
    /// It goes on and on.
    Endless,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            chunks: vec![body.to_string()],
            end: End::Whole,
        }
    }

    /// Events, as `text/event-stream` has them, named after their `type`.
    pub(super) fn events(events: &[Value]) -> Self {
        Self::stream(events.iter().map(|event| {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        }))
    }

    /// Events without a name, on lines that end as HTTP's do.
    pub(super) fn data(events: &[Value]) -> Self {
        Self::stream(events.iter().map(|event| format!("data: {event}\r\n\r\n")))
    }

    fn stream(chunks: impl Iterator<Item = String>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            chunks: chunks.collect(),
            end: End::Whole,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The first so many chunks, and then this end.
    pub(super) fn ending(mut self, chunks: usize, end: End) -> Self {
        self.chunks.truncate(chunks);
        Self { end, ..self }
    }

    /// Begins to send it.
    pub(super) fn start(self) -> Response<Body> {
        let (sender, body) = Channel::new(8);
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).expect("it has three digits");
        for (name, value) in &self.headers {
            let value = value.parse().expect("it is fit for a header");
            response.headers_mut().insert(*name, value);
        }
        tokio::spawn(send(self.chunks, self.end, sender));
        response
    }
}

/// Sends the body; a client that has gone ends it.
async fn send(chunks: Vec<String>, end: End, mut sender: Sender<Bytes, io::Error>) {
    for chunk in chunks {
        if sender.send_data(chunk.into()).await.is_err() {
            return;
        }
    }
    match end {
        End::Whole => {}
        End::Cut => sender.abort(io::Error::other("cut")),
        End::Never => std::future::pending().await,
        End::Endless => {
            let more = Bytes::from(vec![b'x'; 64 * 1024]);
            while sender.send_data(more.clone()).await.is_ok() {}
        }
    }
}
