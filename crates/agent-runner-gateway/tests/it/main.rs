//! The gateway from outside: real sockets on loopback, a provider that follows a script.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod budgets;
mod client;
mod forwarding;
mod provider;
mod proxy;
mod reasons;
mod rotation;
mod sdks;
mod secure;
mod streams;
mod tls;
mod usage;

use agent_runner_credentials::{ApiKey, Credential, KeyRing, SharedRing};
use agent_runner_gateway::{Access, Caller, Gateway, Options};

/// How long anything here may take before a test is lost. It is never waited for.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// A gateway before a provider, and a token for it.
struct Setup {
    gateway: Gateway,
    access: Access,
    ring: SharedRing,
}

/// The real key of this number.
fn key(number: usize) -> String {
    format!("sk-real-{number}-0123456789abcdef")
}

/// Keys `K1`, `K2` and so on of a provider at this URL.
fn keys(provider: &str, url: &str, count: usize) -> Vec<Credential> {
    let one = |number| {
        let key = ApiKey::new(&key(number)).unwrap();
        Credential::new(format!("K{number}"), provider, key).with_base_url(url)
    };
    (1..=count).map(one).collect()
}

async fn setup(credentials: Vec<Credential>, options: Options) -> Setup {
    let ring = SharedRing::new(KeyRing::new(credentials));
    let gateway = Gateway::start(ring.clone(), options).await.unwrap();
    let access = gateway.lend(Caller::attempt("task", 1));
    Setup { gateway, access, ring }
}
