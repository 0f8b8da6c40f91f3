//! A pretend provider on loopback for the demo: answers as the Messages API does, limits included.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

/// What the provider does beside answering.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests that a key may make before it is told to wait, once.
    pub burst: u32,
    /// How long it is told to wait.
    pub retry_after: Duration,
    /// The key that was revoked.
    pub revoked: String,
    /// Every n-th request finds the provider overloaded.
    pub overloaded_every: u32,
    /// How long an answer takes.
    pub latency: Duration,
}

/// A running provider. It ends when it is dropped.
#[derive(Debug)]
pub struct Llm {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accept: AbortHandle,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    requests: u32,
    per_key: HashMap<String, KeyUse>,
    /// How often each status was answered.
    answers: HashMap<u16, u32>,
}

#[derive(Debug, Default)]
struct KeyUse {
    requests: u32,
    limited_until: Option<Instant>,
    was_limited: bool,
}

impl Llm {
    /// Starts one on a free port.
    pub async fn start(limits: Limits) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            limits,
            requests: 0,
            per_key: HashMap::new(),
            answers: HashMap::new(),
        }));
        let accept = tokio::spawn(serve(listener, Arc::clone(&state))).abort_handle();
        Ok(Self { address, state, accept })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it answered with `status`.
    pub fn answers(&self, status: u16) -> u32 {
        lock(&self.state).answers.get(&status).copied().unwrap_or(0)
    }
}

impl Drop for Llm {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&state)));
            // A client that goes away in the middle is no concern of the provider.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = request
        .headers()
        .get("x-api-key")
        .and_then(|key| key.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let (reply, latency) = {
        let mut state = lock(&state);
        let reply = state.reply(&key, &body, Instant::now());
        *state.answers.entry(reply.status.as_u16()).or_default() += 1;
        (reply, state.limits.latency)
    };
    tokio::time::sleep(latency).await;
    let mut response = Response::new(Full::from(reply.body.to_string()));
    *response.status_mut() = reply.status;
    if let Some(wait) = reply.retry_after {
        let seconds = wait.as_secs_f64().ceil().to_string();
        response
            .headers_mut()
            .insert("retry-after", seconds.parse().expect("digits make a header"));
    }
    Ok(response)
}

struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Value,
}

impl State {
    fn reply(&mut self, key: &str, body: &[u8], now: Instant) -> Reply {
        self.requests += 1;
        if key == self.limits.revoked {
            return error(StatusCode::UNAUTHORIZED, "authentication_error", "invalid x-api-key");
        }
        if self.requests.is_multiple_of(self.limits.overloaded_every) {
            let overloaded = StatusCode::from_u16(529).expect("a status has three digits");
            return error(overloaded, "overloaded_error", "Overloaded");
        }
        let usage = self.per_key.entry(key.to_owned()).or_default();
        usage.requests += 1;
        if !usage.was_limited && usage.requests > self.limits.burst {
            usage.was_limited = true;
            usage.limited_until = Some(now + self.limits.retry_after);
        }
        match usage.limited_until.filter(|&until| now < until) {
            Some(until) => Reply {
                retry_after: Some(until - now),
                ..error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_error",
                    "This request would exceed your rate limit",
                )
            },
            None => Reply { status: StatusCode::OK, retry_after: None, body: message(body) },
        }
    }
}

fn error(status: StatusCode, kind: &str, message: &str) -> Reply {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    Reply { status, retry_after: None, body }
}

fn message(request: &[u8]) -> Value {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let prompt = request["messages"][0]["content"].as_str().unwrap_or_default();
    json!({
        "type": "message",
        "role": "assistant",
        "content": [{ "type": "text", "text": format!("Done: {prompt}") }],
        "stop_reason": "end_turn",
        "usage": { "input_tokens": prompt.len() / 4 + 8, "output_tokens": 42 },
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
