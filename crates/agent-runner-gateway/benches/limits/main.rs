//! Requests through the gateway beside the same requests sent directly, and through the least proxy
//! that there can be, in the same run. Provider, gateway, proxy and client are processes of their
//! own, on the same cores.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]

mod provider;
mod servers;
mod target;

use std::env;

use servers::Server;
use target::Target;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    match servers::role().as_deref() {
        Some("provider") => servers::provider().await,
        Some("gateway") => servers::gateway().await,
        Some("bare") => servers::bare().await,
        Some(_) => drive().await,
        None => {
            let status = servers::start("drive", "").spawn()?.wait()?;
            if status.success() { Ok(()) } else { Err("the benchmark failed".into()) }
        }
    }
}

/// How much is measured.
struct Size {
    single: u32,
    many: u32,
    rounds: u32,
    pieces: usize,
    open: usize,
}

/// Everything that runs.
struct Bench {
    size: Size,
    direct: Target,
    bare: Target,
    ours: Target,
    proxy: Server,
    gateway: Server,
    _provider: Server,
}

/// What was measured on each way.
#[derive(Default)]
struct Ways {
    direct: Vec<f64>,
    bare: Vec<f64>,
    ours: Vec<f64>,
}

async fn drive() -> Result<(), Failure> {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let size = if quick {
        Size { single: 20, many: 64, rounds: 1, pieces: 10, open: 10 }
    } else {
        Size { single: 2_000, many: 10_000, rounds: 5, pieces: 20_000, open: 1_000 }
    };
    let bench = Bench::start(size)?;
    bench.latency().await?;
    bench.rate().await?;
    bench.throughput().await?;
    bench.memory().await
}

impl Bench {
    fn start(size: Size) -> Result<Self, Failure> {
        let provider = Server::start("provider", "")?;
        let proxy = Server::start("bare", &provider.line)?;
        let gateway = Server::start("gateway", &provider.line)?;
        let (url, token) = gateway.line.split_once(' ').ok_or("the gateway says where it is")?;
        Ok(Self {
            size,
            direct: Target::new(&provider.line, "none")?,
            bare: Target::new(&proxy.line, "none")?,
            ours: Target::new(url, token)?,
            proxy,
            gateway,
            _provider: provider,
        })
    }

    async fn latency(&self) -> Result<(), Failure> {
        let mut ways = Ways::default();
        for _ in 0..self.size.single {
            ways.direct.push(self.direct.time().await?);
            ways.bare.push(self.bare.time().await?);
            ways.ours.push(self.ours.time().await?);
        }
        ways.tell("one request, p50", 50, "us", ["<= 300 us more", "-"]);
        ways.tell("one request, p99", 99, "us", ["<= 300 us more", "-"]);
        Ok(())
    }

    async fn rate(&self) -> Result<(), Failure> {
        let (many, before) = (self.size.many, (self.gateway.cpu(), self.proxy.cpu()));
        let mut ways = Ways::default();
        for _ in 0..self.size.rounds {
            ways.direct.push(self.direct.rate(many, 32).await?);
            ways.bare.push(self.bare.rate(many, 32).await?);
            ways.ours.push(self.ours.rate(many, 32).await?);
        }
        ways.tell("requests a second, 32 at once", 50, "1/s", [">= 0.5", ">= 0.7"]);
        let after = (self.gateway.cpu(), self.proxy.cpu());
        if let ((Some(ours), Some(bare)), (Some(our_end), Some(bare_end))) = (before, after) {
            let each = |time: f64| time / f64::from(many * self.size.rounds);
            let (ours, bare) = (each(our_end - ours), each(bare_end - bare));
            tell("CPU of a request, and of the least proxy's", ours, bare, "us", "<= 1.5");
        }
        Ok(())
    }

    async fn throughput(&self) -> Result<(), Failure> {
        let (pieces, mut ways) = (self.size.pieces, Ways::default());
        for _ in 0..self.size.rounds {
            ways.direct.push(self.direct.throughput(pieces).await?);
            ways.bare.push(self.bare.throughput(pieces).await?);
            ways.ours.push(self.ours.throughput(pieces).await?);
        }
        ways.tell("one stream", 50, "MB/s", ["-", "-"]);
        Ok(())
    }

    async fn memory(&self) -> Result<(), Failure> {
        if let Some((_, most)) = self.gateway.memory() {
            tell("memory after the requests", most, 30.0, "MiB", "<= 30 MiB");
        }
        let mut streams = self.ours.open(self.size.open).await?;
        streams.extend(self.bare.open(self.size.open).await?);
        let case = format!("memory with {} open streams", self.size.open);
        if let (Some((ours, _)), Some((bare, _))) = (self.gateway.memory(), self.proxy.memory()) {
            tell(&case, ours, 30.0, "MiB", "<= 30 MiB");
            tell(&format!("{case}, and the least proxy's"), ours, bare, "MiB", "-");
        }
        Ok(())
    }
}

impl Ways {
    /// Ours beside both others, at so many hundredths of what was measured.
    fn tell(&mut self, case: &str, share: usize, unit: &str, goals: [&str; 2]) {
        let at = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[(values.len() - 1) * share / 100]
        };
        let ours = at(&mut self.ours);
        tell(case, ours, at(&mut self.direct), unit, goals[0]);
        tell(&format!("{case}, and the least proxy's"), ours, at(&mut self.bare), unit, goals[1]);
    }
}

fn tell(case: &str, ours: f64, limit: f64, unit: &str, goal: &str) {
    let ratio = ours / limit;
    // The kernel counts CPU in hundredths of a second, which few requests do not take.
    let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "null".to_owned() };
    println!(
        r#"{{"bench":"gateway","case":"{case}","ours":{ours:.1},"limit":{limit:.1},"unit":"{unit}","ratio":{ratio},"goal":"{goal}"}}"#
    );
}
