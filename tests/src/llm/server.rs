//! Serves the pretend provider, and remembers what it answered.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};

use super::{
    Behaviour, anthropic,
    behaviour::Memory,
    chat, gemini, openai,
    reply::{Body, Reply},
};

/// A running provider. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeLlm {
    address: SocketAddr,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

/// An answer that was given.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When.
    pub at: SystemTime,
    /// To which request, such as `POST /v1/messages`.
    pub request: String,
    /// To which key.
    pub key: String,
    /// The status; 0 if there was none, and never will be.
    pub status: u16,
}

type OnAnswer = dyn Fn(&Answer) + Send + Sync;

struct State {
    keys: Mutex<HashMap<String, Memory>>,
    answers: Mutex<Vec<Answer>>,
    on_answer: Box<OnAnswer>,
    /// How long the model thinks before it begins to answer.
    latency: Mutex<Duration>,
}

impl FakeLlm {
    /// Starts one on a port of 127.0.0.1; port 0 is a free one. `on_answer` hears of each answer.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub fn start(
        port: u16,
        on_answer: impl Fn(&Answer) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            keys: Mutex::default(),
            answers: Mutex::default(),
            on_answer: Box::new(on_answer),
            latency: Mutex::default(),
        });
        runtime.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, runtime: Some(runtime) })
    }

    /// Its address, such as `http://127.0.0.1:4711`. The base URL of the Responses API ends in `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, so long passes before an answer begins. Refusals come at once.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.state.latency) = latency;
    }

    /// All answers to requests for a model, in their order.
    pub fn answers(&self) -> Vec<Answer> {
        lock(&self.state.answers).clone()
    }
}

impl Drop for FakeLlm {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("answers", &lock(&self.answers).len()).finish_non_exhaustive()
    }
}

impl State {
    fn reply(&self, request: &str, headers: &HeaderMap, body: &Value) -> Reply {
        let api: &dyn Fn(&Value, Behaviour, Duration) -> Reply = match request {
            "POST /v1/messages" => &anthropic::messages,
            "POST /v1/responses" => &openai::responses,
            "POST /v1/messages/count_tokens" => {
                return Reply::json(200, &json!({ "input_tokens": 100 }));
            }
            "POST /v1/chat/completions" => &chat::completions,
            "GET /v1/models" | "GET /v1beta/models" => return models(&key(headers)),
            _ => match request.strip_prefix("POST ").and_then(gemini::method) {
                Some((model, "generateContent")) => {
                    &move |body, does, wait| gemini::generate(model, false, body, does, wait)
                }
                Some((model, "streamGenerateContent")) => {
                    &move |body, does, wait| gemini::generate(model, true, body, does, wait)
                }
                Some((_, "countTokens")) => {
                    return Reply::json(200, &json!({ "totalTokens": 100 }));
                }
                _ => {
                    let error = json!({ "type": "not_found_error", "message": "no such path" });
                    return Reply::json(404, &json!({ "error": error }));
                }
            },
        };
        let key = key(headers);
        let (does, wait) = Behaviour::of_key(&key)
            .next(lock(&self.keys).entry(key.clone()).or_default(), Instant::now());
        let reply = api(body, does, wait);
        let status = if does == Behaviour::Hang { 0 } else { reply.status };
        let answer = Answer { at: SystemTime::now(), request: request.to_owned(), key, status };
        (self.on_answer)(&answer);
        lock(&self.answers).push(answer);
        reply
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
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
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = format!("{} {}", head.method, head.uri.path());
    let reply = state.reply(&request, &head.headers, &body);
    if reply.chunks.is_empty() {
        // Not even a status.
        std::future::pending::<()>().await;
    }
    if reply.status == 200 {
        let latency = *lock(&state.latency);
        tokio::time::sleep(latency).await;
    }
    Ok(reply.start())
}

/// The list of models, which does not count as a request for one.
fn models(key: &str) -> Reply {
    if Behaviour::of_key(key) == Behaviour::Revoked {
        let error = json!({ "type": "authentication_error", "message": "invalid x-api-key" });
        return Reply::json(401, &json!({ "type": "error", "error": error }));
    }
    Reply::json(200, &json!({ "object": "list", "data": [], "models": [] }))
}

/// The key of a request: `x-api-key`, `x-goog-api-key`, or a bearer's.
fn key(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    text("x-api-key").or_else(|| text("x-goog-api-key")).or(bearer).unwrap_or_default().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
