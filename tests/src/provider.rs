//! A provider of the Messages API on loopback, and an agent's way to ask it.

use std::{
    collections::HashMap,
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a key is answered, by how it ends: `-revoked`, `-throttled`, `-spent`, `-owing`; all
/// others get a message of 100 tokens in and 50 out.
fn answer(key: &str) -> (u16, &'static str, String) {
    let error = |kind: &str, message: &str| {
        serde_json::json!({ "type": "error", "error": { "type": kind, "message": message } })
            .to_string()
    };
    match () {
        () if key.ends_with("-revoked") => {
            (401, "", error("authentication_error", "invalid x-api-key"))
        }
        () if key.ends_with("-throttled") => {
            (429, "retry-after: 120\r\n", error("rate_limit_error", "Slow down"))
        }
        () if key.ends_with("-spent") => {
            (429, "retry-after: 7200\r\n", error("rate_limit_error", "Slow down"))
        }
        () if key.ends_with("-owing") => {
            let text = "Your credit balance is too low to access the Anthropic API.";
            (400, "", error("invalid_request_error", text))
        }
        () => (
            200,
            "",
            format!(
                r#"{{"type":"message","model":"claude-test-1","your_key":"{key}","usage":{{"input_tokens":100,"output_tokens":50}}}}"#
            ),
        ),
    }
}

/// The provider. It lives as long as the test.
#[derive(Debug, Clone)]
pub struct Provider {
    address: String,
    asked: Arc<Mutex<HashMap<String, u32>>>,
}

impl Provider {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// Starts one that speaks TLS.
    pub(crate) fn start_secure(config: Arc<ServerConfig>) -> Self {
        Self::listen(Some(config))
    }

    fn listen(config: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let provider = Self { address, asked: Arc::default() };
        let asked = Arc::clone(&provider.asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, config) = (Arc::clone(&asked), config.clone());
                thread::spawn(move || match config {
                    None => serve(stream, &asked),
                    Some(config) => {
                        let connection = ServerConnection::new(config).ok()?;
                        serve(StreamOwned::new(connection, stream), &asked)
                    }
                });
            }
        });
        provider
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was asked with this key.
    pub fn asked(&self, key: &str) -> u32 {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(key).copied().unwrap_or(0)
    }
}

/// Answers one request. A client that goes away is no concern of the provider.
fn serve(stream: impl Read + Write, asked: &Mutex<HashMap<String, u32>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let line = line.trim_end();
        match line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value)) {
            Some((name, value)) if name == "x-api-key" => value.clone_into(&mut key),
            Some((name, value)) if name == "content-length" => length = value.parse().ok()?,
            None if line.is_empty() => break,
            _ => (),
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (status, headers, body) = answer(&key);
    *asked.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .ok()?;
    reader.get_mut().flush().ok()
}

/// Asks as an agent does: with the base URL and the key of the environment. Returns the answer,
/// head and all.
pub fn ask() -> io::Result<String> {
    let variable = |name: &str| env::var(name).map_err(io::Error::other);
    let (url, key) = (variable("ANTHROPIC_BASE_URL")?, variable("ANTHROPIC_API_KEY")?);
    let rest = url.strip_prefix("http://").unwrap_or(&url);
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(address)?;
    let body = r#"{"model":"claude-test-1","max_tokens":10,"messages":[]}"#;
    write!(
        stream,
        "POST {path}/v1/messages HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// All that a process can see of its own: its environment and its command line.
pub fn seen_of_itself() -> String {
    let read = |name| fs::read(format!("/proc/self/{name}")).unwrap_or_default();
    let all = [read("environ"), read("cmdline")].concat();
    String::from_utf8_lossy(&all).replace('\0', "\n")
}
