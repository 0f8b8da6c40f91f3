//! The gateway, what it is measured against, and the provider behind both: each a process.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
};

use agent_runner_credentials::{ApiKey, Credential, KeyRing, SharedRing};
use agent_runner_gateway::{Caller, Gateway, Options};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::{TcpListener, TcpStream};

use crate::{Failure, provider::answer};

const ROLE: &str = "AGENT_RUNNER_BENCH_ROLE";
const ARGUMENT: &str = "AGENT_RUNNER_BENCH_ARGUMENT";

/// What this process is, if it was started by a benchmark.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// This program again, with room for a thousand connections.
pub(crate) fn start(role: &str, argument: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 8192 2>/dev/null; exec \"$0\" \"$@\""]);
    command.arg(env::current_exe().expect("it runs")).args(env::args().skip(1));
    command.env(ROLE, role).env(ARGUMENT, argument);
    command
}

/// A process that says where it listens, and ends with this one.
pub(crate) struct Server {
    child: Child,
    pub(crate) line: String,
}

impl Server {
    pub(crate) fn start(name: &str, argument: &str) -> Result<Self, Failure> {
        let mut command = start(name, argument);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line)?;
        Ok(Self { child, line: line.trim_end().to_owned() })
    }

    /// Memory in MiB: now, and at most. Nothing where the system does not say.
    pub(crate) fn memory(&self) -> Option<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        };
        Some((field("VmRSS:")? / 1024.0, field("VmHWM:")? / 1024.0))
    }

    /// CPU time so far in microseconds, of which the system keeps hundredths of a second.
    pub(crate) fn cpu(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let times = fields.split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<f64>().ok()).sum::<Option<f64>>().map(|it| it * 1e4)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

pub(crate) async fn gateway() -> Result<(), Failure> {
    let url = env::var(ARGUMENT)?;
    let key = Credential::new("K", "anthropic", ApiKey::new("sk-bench-0123456789abcdef")?);
    let ring = SharedRing::new(KeyRing::new([key.with_base_url(url)]));
    let gateway = Gateway::start(ring, Options::default()).await?;
    let access = gateway.lend(Caller::named("bench"));
    println!("{} {}", gateway.base_url("anthropic"), access.token());
    parent_is_gone().await
}

/// The least that can stand there: hyper's server and hyper's client, and not a look at what passes.
pub(crate) async fn bare() -> Result<(), Failure> {
    let provider = env::var(ARGUMENT)?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, Incoming>(connector);
    listen(move |stream| {
        let (client, provider) = (client.clone(), provider.clone());
        let pass = move |mut request: Request<Incoming>| {
            let path = request.uri().path_and_query().expect("a path").as_str();
            *request.uri_mut() = format!("{provider}{path}").parse().expect("it is one");
            client.request(request)
        };
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(pass)),
        );
    })
    .await
}

pub(crate) async fn provider() -> Result<(), Failure> {
    listen(|stream| {
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    })
    .await
}

/// Says where, and serves until nobody needs it any more.
async fn listen(serve: impl Fn(TcpStream) + Send + 'static) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            serve(stream);
        }
    });
    parent_is_gone().await
}

/// Waits until nobody holds the other end of stdin any more.
async fn parent_is_gone() -> Result<(), Failure> {
    tokio::task::spawn_blocking(|| drop(std::io::stdin().read(&mut [0]))).await?;
    Ok(())
}
