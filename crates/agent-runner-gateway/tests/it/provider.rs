//! A provider on loopback that does what a test says, bytes and all.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// How many came before it.
    pub(crate) number: usize,
    /// The first line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }

    pub(crate) fn has_key(&self, number: usize) -> bool {
        self.head.contains(&crate::key(number))
    }
}

/// What the provider does next.
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Arc<Notify>),
    /// Waits until the other side is gone, and rings.
    Gone(Arc<Notify>),
    Hang,
}

/// What it does with a request, before it closes the connection.
pub(crate) type Script = Vec<Step>;

/// The provider. It ends when it is dropped.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    _work: JoinSet<()>,
}

impl Provider {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, all) = (Arc::new(script), Arc::clone(&seen));
        let mut work = JoinSet::new();
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                connections.spawn(async move { serve(stream, &*script, &all).await });
            }
        });
        Self { address, seen, _work: work }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &(dyn Fn(&Seen) -> Script + Send + Sync),
    all: &Mutex<Vec<Seen>>,
) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let seen = {
        let mut all = all.lock().unwrap();
        let seen = Seen { number: all.len(), head, body };
        all.push(seen.clone());
        seen
    };
    for step in script(&seen) {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Wait(bell) => bell.notified().await,
            Step::Gone(bell) => {
                while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
                bell.notify_one();
            }
            Step::Hang => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut body = bytes.split_off(end);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// A whole answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Script {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    vec![Step::Send(text.into_bytes())]
}

/// An error as Anthropic words it.
pub(crate) fn error(status: u16, headers: &str, kind: &str, message: &str) -> Script {
    let error =
        serde_json::json!({ "type": "error", "error": { "type": kind, "message": message }});
    answer(status, headers, &error.to_string())
}

/// The head of a stream of events.
pub(crate) fn stream_head() -> Step {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n";
    Step::Send(head.into())
}

pub(crate) fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// A good answer of Anthropic's kind.
pub(crate) fn message() -> Script {
    answer(
        200,
        "",
        r#"{"type":"message","model":"claude-opus-9","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":10,"output_tokens":5}}"#,
    )
}

/// The events of a good stream.
pub(crate) const EVENTS: [&str; 4] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-opus-9\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":1000,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"h\u{e9}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];
