//! What the gateway counts of itself.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use agent_runner_credentials::Rejection;

/// Counters. All only grow but `open_streams`.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// By the first digit of what the client was answered.
    pub(crate) answers: [AtomicU64; 6],
    /// Requests that were sent to a provider.
    pub(crate) sent: AtomicU64,
    /// Times that a refusal was tried again and not passed on, by kind.
    retried: [AtomicU64; KINDS.len()],
    /// Answers that pass through at this moment.
    pub(crate) open_streams: Arc<AtomicU64>,
    /// Time that requests waited for a key, in microseconds.
    pub(crate) waited_us: AtomicU64,
}

/// The kinds of trouble that are tried again.
pub(crate) const KINDS: [&str; 8] = [
    "rate_limited",
    "slow_down",
    "overloaded",
    "quota_exhausted",
    "billing",
    "unauthorized",
    "forbidden",
    "transient",
];

impl Stats {
    pub(crate) fn answered(&self, status: u16) {
        if let Some(answers) = self.answers.get(usize::from(status / 100)) {
            answers.fetch_add(1, Relaxed);
        }
    }

    /// Counts a refusal, or else trouble that is nobody's.
    pub(crate) fn retried(&self, rejection: Option<Rejection>) {
        let kind = rejection.map_or("transient", Rejection::as_str);
        let place = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1);
        self.retried[place].fetch_add(1, Relaxed);
    }

    pub(crate) fn retries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.retried.iter().map(|count| count.load(Relaxed)))
    }
}

/// Counts one up for as long as it lives.
#[derive(Debug)]
pub(crate) struct Gauge(Arc<AtomicU64>);

impl Gauge {
    pub(crate) fn up(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
