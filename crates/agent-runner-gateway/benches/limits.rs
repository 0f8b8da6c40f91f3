//! Requests through the gateway beside the same requests sent directly, in the same run. Provider,
//! gateway and client are processes of their own, on the same cores.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]

use std::{
    convert::Infallible,
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    pin::Pin,
    process::{Child, Command, Stdio},
    task::{Context, Poll},
    time::Instant,
};

use agent_runner_credentials::{ApiKey, Credential, KeyRing, SharedRing};
use agent_runner_gateway::{Caller, Gateway, Options, http_client};
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

const ROLE: &str = "AGENT_RUNNER_BENCH_ROLE";
const SMALL: &str = r#"{"type":"message","model":"m","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":10,"output_tokens":5}}"#;
const EVENT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"some words\"}}\n\n";
/// Events in one piece of a long stream.
const TOGETHER: usize = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    match env::var(ROLE).as_deref() {
        Ok("provider") => provider().await,
        Ok("gateway") => gateway().await,
        Ok(_) => drive().await,
        Err(_) => {
            let status = role("drive", "").spawn()?.wait()?;
            if status.success() { Ok(()) } else { Err("the benchmark failed".into()) }
        }
    }
}

/// This program again, with room for a thousand connections.
fn role(role: &str, argument: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 8192 2>/dev/null; exec \"$0\" \"$@\""]);
    command.arg(env::current_exe().expect("it runs")).args(env::args().skip(1));
    command.env(ROLE, role).env("AGENT_RUNNER_BENCH_ARGUMENT", argument);
    command
}

/// A process that says where it listens, and ends with this one.
struct Server {
    child: Child,
    line: String,
}

impl Server {
    fn start(name: &str, argument: &str) -> Result<Self, Failure> {
        let mut command = role(name, argument);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line)?;
        Ok(Self { child, line: line.trim_end().to_owned() })
    }

    /// Memory in MiB: now, and at most. Nothing where the system does not say.
    fn memory(&self) -> Option<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        };
        Some((field("VmRSS:")? / 1024.0, field("VmHWM:")? / 1024.0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// Waits until nobody holds the other end of stdin any more.
fn parent_is_gone() {
    drop(std::io::stdin().read(&mut [0]));
}

async fn gateway() -> Result<(), Failure> {
    let url = env::var("AGENT_RUNNER_BENCH_ARGUMENT")?;
    let key = Credential::new("K", "anthropic", ApiKey::new("sk-bench-0123456789abcdef")?);
    let ring = SharedRing::new(KeyRing::new([key.with_base_url(url)]));
    // Without headers a ring begins carefully; what is measured here is the gateway.
    let gateway = Gateway::start(ring, Options::default()).await?;
    let access = gateway.lend(Caller::named("bench"));
    println!("{} {}", gateway.base_url("anthropic"), access.token());
    tokio::task::spawn_blocking(parent_is_gone).await?;
    Ok(())
}

/// An answer of the provider: small, long, or one that stays open.
enum Answer {
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

async fn provider() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
            );
        }
    });
    tokio::task::spawn_blocking(parent_is_gone).await?;
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
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

/// Where requests go, and what opens it.
#[derive(Clone)]
struct Target {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Target {
    fn new(url: &str, token: &str) -> Result<Self, Failure> {
        let url = format!("{url}/v1/messages");
        Ok(Self { client: http_client()?, url, token: token.to_owned() })
    }

    async fn ask(&self, query: &str) -> Result<reqwest::Response, Failure> {
        let body =
            r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}"#;
        let request = self.client.post(format!("{}{query}", self.url)).body(body);
        Ok(request.header("x-api-key", &self.token).send().await?.error_for_status()?)
    }

    /// The time of one small request in microseconds.
    async fn time(&self) -> Result<f64, Failure> {
        let started = Instant::now();
        self.ask("").await?.bytes().await?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }

    /// Requests a second, with so many under way.
    async fn rate(&self, count: u32, at_once: u32) -> Result<f64, Failure> {
        let started = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            let target = self.clone();
            workers.spawn(async move {
                for _ in 0..count / at_once {
                    target.ask("").await?.bytes().await?;
                }
                Ok::<_, Failure>(())
            });
        }
        for worker in workers.join_all().await {
            worker?;
        }
        Ok(f64::from(count) / started.elapsed().as_secs_f64())
    }

    /// Megabytes a second of one stream.
    async fn throughput(&self, pieces: usize) -> Result<f64, Failure> {
        let started = Instant::now();
        let mut response = self.ask(&format!("?long={pieces}")).await?;
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await? {
            bytes += piece.len();
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundred megabytes")]
        Ok(bytes as f64 / 1e6 / started.elapsed().as_secs_f64())
    }
}

async fn drive() -> Result<(), Failure> {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let (single, many, rounds, pieces, open) =
        if quick { (20, 64, 1, 10, 10) } else { (2_000, 10_000, 5, 20_000, 1_000) };
    let provider = Server::start("provider", "")?;
    let gateway = Server::start("gateway", &provider.line)?;
    let (url, token) = gateway.line.split_once(' ').ok_or("the gateway says where it is")?;
    let direct = Target::new(&provider.line, "none")?;
    let through = Target::new(url, token)?;

    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..single {
        limit.push(direct.time().await?);
        ours.push(through.time().await?);
    }
    for (name, share) in [("p50", 50), ("p99", 99)] {
        let at = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[(times.len() - 1) * share / 100]
        };
        tell(
            &format!("one request, {name}"),
            at(&mut ours),
            at(&mut limit),
            "us",
            "<= 300 us more",
        );
    }
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        limit.push(direct.rate(many, 32).await?);
        ours.push(through.rate(many, 32).await?);
    }
    tell("requests a second, 32 at once", median(ours), median(limit), "1/s", ">= 0.5");
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        limit.push(direct.throughput(pieces).await?);
        ours.push(through.throughput(pieces).await?);
    }
    tell("one stream", median(ours), median(limit), "MB/s", "-");
    if let Some((_, most)) = gateway.memory() {
        tell("memory after the requests", most, 30.0, "MiB", "<= 30 MiB");
    }
    let mut streams = Vec::new();
    for _ in 0..open {
        let mut stream = through.ask("?open=1").await?;
        stream.chunk().await?.ok_or("a stream begins with an event")?;
        streams.push(stream);
    }
    if let Some((now, _)) = gateway.memory() {
        tell(&format!("memory with {open} open streams"), now, 30.0, "MiB", "<= 30 MiB");
    }
    Ok(())
}

fn tell(case: &str, ours: f64, limit: f64, unit: &str, goal: &str) {
    println!(
        r#"{{"bench":"gateway","case":"{case}","ours":{ours:.1},"limit":{limit:.1},"unit":"{unit}","ratio":{:.2},"goal":"{goal}"}}"#,
        ours / limit
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
