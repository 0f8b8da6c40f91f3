//! The simulated provider behind a server.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agent_runner_credentials::simulate::{self, Job, Reply, Scenario, Turn, time_of};
use http_body_util::{BodyExt as _, channel::Channel};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

use super::{Clock, messages};

type Body = Channel<Bytes, Infallible>;

/// A server with a simulated provider. It ends when it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    _work: JoinSet<()>,
}

/// What a provider has counted.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Answers by their status.
    pub answers: BTreeMap<u16, usize>,
    /// Input tokens that were read anew or written to a cache.
    pub input_tokens: u64,
    /// Input tokens that came from a cache.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Keys that were told to be dead, with the requests that came after the first time.
    pub dead: BTreeMap<usize, usize>,
}

/// Hears at each request of the keys that were told to be dead.
type OnDead = dyn Fn(usize) + Send + Sync;

struct State {
    clock: Arc<Clock>,
    model: Mutex<simulate::Provider>,
    jobs: Vec<Job>,
    network: Duration,
    counts: Mutex<Counts>,
    on_dead: Box<OnDead>,
}

impl Provider {
    /// Starts one in the current runtime. `on_dead` hears, whenever a request comes, of each key that
    /// was told that it is dead.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start(
        clock: Arc<Clock>,
        scenario: &Scenario,
        jobs: &[Job],
        on_dead: impl Fn(usize) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            clock,
            model: Mutex::new(simulate::Provider::new(scenario)),
            jobs: jobs.to_vec(),
            network: scenario.network,
            counts: Mutex::default(),
            on_dead: Box::new(on_dead),
        });
        let mut work = JoinSet::new();
        work.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, _work: work })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        lock(&self.state.counts).clone()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        drop(stream.set_nodelay(true));
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| serve(request, Arc::clone(&state)));
            let mut server = http1::Builder::new();
            // The night has a date of its own.
            server.auto_date_header(false);
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let arrived = state.clock.now();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let which = messages::which(&head.headers);
    let turn = which.and_then(|(job, turn, _)| state.jobs.get(job)?.turns.get(turn).copied());
    let (Some((job, _, key)), Some(turn)) = (which, turn) else {
        return Ok(whole(Response::builder().status(400), "no such turn".into()));
    };
    let is_stream = body.windows(13).any(|part| part == b"\"stream\":true");
    let asked = Asked { job, key, turn, is_stream, arrived };
    Ok(state.answer(asked).await)
}

/// A request, understood.
#[derive(Debug, Clone, Copy)]
struct Asked {
    job: usize,
    key: usize,
    turn: Turn,
    is_stream: bool,
    /// When it came out of the socket.
    arrived: Duration,
}

impl State {
    async fn answer(self: Arc<Self>, asked: Asked) -> Response<Body> {
        let Asked { job, key, turn, is_stream, arrived } = asked;
        self.look(key);
        self.clock.until(arrived + self.network).await;
        let mut reply = {
            let mut model = lock(&self.model);
            model.take(self.clock.now(), key, job, &turn)
        };
        let (came, begun) = (arrived + self.network, reply.status == 200 && is_stream);
        let usage = messages::usage(&reply, self.jobs[job].turns.len() > 1);
        if begun {
            let (mut sender, body) = Channel::new(1);
            let response = self.head(&reply, "text/event-stream").body(body);
            tokio::spawn(async move {
                let _gone = sender.send_data(messages::opening(&usage)).await.is_err();
                self.finish(came, &asked, &mut reply).await;
                let _gone = sender.send_data(messages::rest(&turn)).await.is_err();
            });
            return response.expect("it is fit for a header");
        }
        self.finish(came, &asked, &mut reply).await;
        let head = self.head(&reply, "application/json");
        let body = if reply.status == 200 { messages::message(&usage) } else { reply.body.into() };
        whole(head, body)
    }

    /// The time that the answer and its way back take, in which it is counted.
    async fn finish(&self, came: Duration, asked: &Asked, reply: &mut Reply) {
        self.clock.until(came + reply.takes).await;
        {
            let mut model = lock(&self.model);
            model.finish(self.clock.now(), asked.key, &asked.turn, reply);
        }
        self.clock.until(came + reply.takes + self.network).await;
        lock(&self.counts).add(asked.key, reply);
    }

    /// Counts what comes for a key that is dead, and tells of all such keys.
    fn look(&self, key: usize) {
        let dead: Vec<_> = {
            let mut counts = lock(&self.counts);
            if let Some(after) = counts.dead.get_mut(&key) {
                *after += 1;
            }
            counts.dead.keys().copied().collect()
        };
        dead.into_iter().for_each(&self.on_dead);
    }

    fn head(&self, reply: &Reply, kind: &str) -> hyper::http::response::Builder {
        let date = jiff::Timestamp::try_from(time_of(self.clock.now())).expect("it is in range");
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
        let date = date.expect("a date with four digits");
        let head = Response::builder().status(reply.status);
        let head = head.header("content-type", kind).header("date", date);
        reply.headers.iter().fold(head, |head, (name, value)| head.header(*name, value))
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Counts {
    fn add(&mut self, key: usize, reply: &Reply) {
        let usage = reply.usage.unwrap_or_default();
        *self.answers.entry(reply.status).or_default() += 1;
        self.input_tokens += usage.input_tokens;
        self.cached_tokens += reply.cached;
        self.output_tokens += usage.output_tokens;
        if reply.status == 401 {
            self.dead.entry(key).or_default();
        }
    }

    /// All requests that were answered.
    pub fn asked(&self) -> usize {
        self.answers.values().sum()
    }

    /// How many of them had this status.
    pub fn with(&self, status: u16) -> usize {
        self.answers.get(&status).copied().unwrap_or_default()
    }
}

fn whole(head: hyper::http::response::Builder, text: String) -> Response<Body> {
    let (mut sender, body) = Channel::new(1);
    let length = text.len();
    sender.try_send(Frame::data(text.into())).expect("it has room for one");
    head.header("content-length", length).body(body).expect("it is fit for a header")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
