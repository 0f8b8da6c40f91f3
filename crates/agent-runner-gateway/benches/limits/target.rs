//! The client: requests to the provider, directly or through something.

use std::time::Instant;

use agent_runner_gateway::Network;
use tokio::task::JoinSet;

use crate::Failure;

/// Where requests go, and what opens it.
#[derive(Clone)]
pub(crate) struct Target {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Target {
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, Failure> {
        let url = format!("{url}/v1/messages");
        Ok(Self { client: Network::from_env()?.client()?, url, token: token.to_owned() })
    }

    pub(crate) async fn ask(&self, query: &str) -> Result<reqwest::Response, Failure> {
        let body =
            r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}"#;
        let request = self.client.post(format!("{}{query}", self.url)).body(body);
        Ok(request.header("x-api-key", &self.token).send().await?.error_for_status()?)
    }

    /// The time of one small request in microseconds.
    pub(crate) async fn time(&self) -> Result<f64, Failure> {
        let started = Instant::now();
        self.ask("").await?.bytes().await?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }

    /// Requests a second, with so many under way.
    pub(crate) async fn rate(&self, count: u32, at_once: u32) -> Result<f64, Failure> {
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
    pub(crate) async fn throughput(&self, pieces: usize) -> Result<f64, Failure> {
        let started = Instant::now();
        let mut response = self.ask(&format!("?long={pieces}")).await?;
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await? {
            bytes += piece.len();
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundred megabytes")]
        Ok(bytes as f64 / 1e6 / started.elapsed().as_secs_f64())
    }

    /// So many streams that have begun and do not end.
    pub(crate) async fn open(&self, count: usize) -> Result<Vec<reqwest::Response>, Failure> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = self.ask("?open=1").await?;
            stream.chunk().await?.ok_or("a stream begins with an event")?;
            streams.push(stream);
        }
        Ok(streams)
    }
}
