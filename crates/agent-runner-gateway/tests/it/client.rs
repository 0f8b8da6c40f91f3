//! A client that sends bytes as they are told, and one that behaves.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{LONG, Setup};

/// Sends these bytes and reads all that comes until the connection ends.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gateway may have closed it before all was sent.
    drop(stream.write_all(bytes).await);
    rest(&mut stream).await
}

/// All that comes until the connection ends.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    drop(timeout(LONG, stream.read_to_end(&mut text)).await.expect("the connection ends"));
    String::from_utf8_lossy(&text).into_owned()
}

/// A request for a message.
pub(crate) fn post(token: &str, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {token}\r\n\
         anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) const BODY: &str =
    r#"{"model":"claude-opus-9","max_tokens":100,"stream":true,"messages":[]}"#;

impl Setup {
    /// Asks for a message; what came back, head and all.
    pub(crate) async fn ask(&self) -> String {
        let request = post(self.access.token(), "/anthropic/v1/messages", BODY);
        raw(self.gateway.address(), request.as_bytes()).await
    }
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// What comes after the head, with the chunks put together.
pub(crate) fn body(answer: &str) -> String {
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return rest.to_owned();
    }
    let mut body = Vec::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.extend_from_slice(&more.as_bytes()[..size]);
        if size == 0 {
            break;
        }
        rest = &more[size + 2..];
    }
    String::from_utf8(body).unwrap()
}
