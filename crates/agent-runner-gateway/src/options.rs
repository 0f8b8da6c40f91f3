//! How a gateway works.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{Budget, Network, Prices};

const MIB: usize = 1024 * 1024;

/// How a gateway works. The defaults:
///
/// | option | default |
/// |---|---|
/// | `listen` | a free port of 127.0.0.1 |
/// | `hold` | 240 s |
/// | `first_byte` | 600 s |
/// | `stream_idle` | 300 s |
/// | `header_timeout`, `body_timeout` | 30 s, 60 s |
/// | `write_timeout` | 300 s |
/// | `largest_body`, `room_for_bodies` | 64 MiB, 256 MiB |
/// | `connections` | 4096 |
/// | `budget`, `prices` | none |
/// | `metrics_token` | none: `/metrics` is closed |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where to listen. It must be an address of this machine that no other can reach.
    pub listen: SocketAddr,
    /// How long a request may wait for a key that is ready and be tried again, before it is
    /// answered with the limit. Agents give up on a request after about five minutes.
    pub hold: Duration,
    /// How long a provider may take to begin its answer.
    pub first_byte: Duration,
    /// How long a provider may be silent in the middle of an answer.
    pub stream_idle: Duration,
    /// How long a client may take to send the head of a request, or keep a connection unused.
    pub header_timeout: Duration,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// The largest body of a request, in bytes.
    pub largest_body: usize,
    /// What the bodies of all requests that are under way may take together, in bytes. Whoever
    /// comes when it is taken waits.
    pub room_for_bodies: usize,
    /// Connections at once. Others wait to be accepted.
    pub connections: usize,
    /// How providers are reached; `None` is what the environment says.
    pub network: Option<Network>,
    /// What all callers together may spend.
    pub budget: Budget,
    /// What models cost.
    pub prices: Prices,
    /// Where providers are, beside those that are known, for keys that do not say it themselves.
    pub providers: BTreeMap<String, String>,
    /// The token that opens `/metrics`.
    pub metrics_token: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hold: Duration::from_secs(240),
            first_byte: Duration::from_secs(600),
            stream_idle: Duration::from_secs(300),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(300),
            largest_body: 64 * MIB,
            room_for_bodies: 256 * MIB,
            connections: 4096,
            network: None,
            budget: Budget::default(),
            prices: Prices::default(),
            providers: BTreeMap::new(),
            metrics_token: None,
        }
    }
}

impl Options {
    /// Where a provider is.
    pub(crate) fn base_url(&self, provider: &str) -> Option<&str> {
        let own = self.providers.get(provider).map(String::as_str);
        own.or_else(|| default_base_url(provider))
    }
}

/// Where a provider is that everybody knows, in the form of its own SDK's base URL.
pub fn default_base_url(provider: &str) -> Option<&'static str> {
    Some(match provider {
        "anthropic" => "https://api.anthropic.com",
        "openai" => "https://api.openai.com/v1",
        "gemini" => "https://generativelanguage.googleapis.com",
        "openrouter" => "https://openrouter.ai/api/v1",
        _ => return None,
    })
}
