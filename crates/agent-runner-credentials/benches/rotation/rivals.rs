//! Other ways to use several keys.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashMap, time::Duration};

use agent_runner_credentials::{
    Answer, Usage,
    simulate::{Client, Next, Random, Request},
};

/// How a rival picks keys, and how long it sleeps after a refusal.
pub(crate) trait Policy {
    /// The key for a worker's request.
    fn pick(&mut self, worker: usize, request: &Request) -> usize;
    /// What a refusal leads to. The first one of a request is number 0.
    fn refused(&mut self, worker: usize, answer: &Answer<'_>, number: u32) -> Duration;
}

/// Workers that each sleep on their own.
pub(crate) struct Alone<P> {
    policy: P,
    awake: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    requests: HashMap<usize, (Request, u32)>,
    number: u64,
}

impl<P: Policy> Alone<P> {
    pub(crate) fn new(policy: P) -> Self {
        Self { policy, awake: BinaryHeap::new(), requests: HashMap::new(), number: 0 }
    }

    fn wake(&mut self, worker: usize, at: Duration) {
        self.number += 1;
        self.awake.push(Reverse((at, self.number, worker)));
    }
}

impl<P: Policy> Client for Alone<P> {
    fn ask(&mut self, now: Duration, worker: usize, request: &Request) {
        self.requests.insert(worker, (*request, 0));
        self.wake(worker, now);
    }

    fn send(&mut self, now: Duration) -> Option<(usize, usize)> {
        let Reverse((at, _, worker)) = *self.awake.peek()?;
        (at <= now).then(|| {
            self.awake.pop();
            (worker, self.policy.pick(worker, &self.requests[&worker].0))
        })
    }

    fn wake_at(&self, _: Duration) -> Option<Duration> {
        self.awake.peek().map(|Reverse((at, ..))| *at)
    }

    fn answered(
        &mut self,
        now: Duration,
        worker: usize,
        answer: &Answer<'_>,
        _: Option<Usage>,
    ) -> Next {
        if answer.is_success() {
            return Next::Done;
        }
        let (_, refusals) = self.requests.get_mut(&worker).expect("it has asked");
        let number = *refusals;
        *refusals += 1;
        let sleep = self.policy.refused(worker, answer, number);
        self.wake(worker, now + sleep);
        Next::Again
    }
}

fn doubled(number: u32) -> Duration {
    Duration::from_secs(1 << number.min(6)).min(Duration::from_secs(60))
}

/// The rotation that this project began as: each worker goes on to the next key after a 429, a 401
/// or a 403, and sleeps 1 s, doubled up to a minute.
pub(crate) struct Seed {
    keys: usize,
    random: Random,
    index: HashMap<usize, usize>,
    spent: HashMap<usize, Vec<usize>>,
}

impl Seed {
    pub(crate) fn new(keys: usize, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { keys, random, index: HashMap::new(), spent: HashMap::new() }
    }

    fn available(&self, worker: usize) -> Vec<usize> {
        let spent = self.spent.get(&worker);
        (0..self.keys).filter(|key| !spent.is_some_and(|spent| spent.contains(key))).collect()
    }

    fn current(&self, worker: usize) -> usize {
        let available = self.available(worker);
        let index = self.index.get(&worker).copied().unwrap_or_default();
        available.get(index % available.len().max(1)).copied().unwrap_or_default()
    }
}

impl Policy for Seed {
    fn pick(&mut self, worker: usize, _: &Request) -> usize {
        self.current(worker)
    }

    fn refused(&mut self, worker: usize, answer: &Answer<'_>, number: u32) -> Duration {
        if answer.body.contains("daily") {
            let key = self.current(worker);
            self.spent.entry(worker).or_default().push(key);
        }
        if matches!(answer.status, 401 | 403 | 429) {
            *self.index.entry(worker).or_default() += 1;
        }
        doubled(number).mul_f64(self.random.between(1.0, 1.1))
    }
}

/// The next key for each request, and exponential backoff with full jitter.
pub(crate) struct RoundRobin {
    keys: usize,
    next: usize,
    random: Random,
}

impl RoundRobin {
    pub(crate) fn new(keys: usize, seed: u64) -> Self {
        Self { keys, next: 0, random: Random::new(seed) }
    }
}

impl Policy for RoundRobin {
    fn pick(&mut self, _: usize, _: &Request) -> usize {
        self.next += 1;
        self.next % self.keys
    }

    fn refused(&mut self, _: usize, _: &Answer<'_>, number: u32) -> Duration {
        doubled(number).mul_f64(self.random.unit())
    }
}

/// A key for each conversation, and the pause that the server asks for.
pub(crate) struct Pinned {
    keys: usize,
    random: Random,
}

impl Pinned {
    pub(crate) fn new(keys: usize, seed: u64) -> Self {
        Self { keys, random: Random::new(seed) }
    }
}

impl Policy for Pinned {
    fn pick(&mut self, _: usize, request: &Request) -> usize {
        request.job % self.keys
    }

    fn refused(&mut self, _: usize, answer: &Answer<'_>, number: u32) -> Duration {
        let named = answer.header("retry-after").and_then(|wait| wait.parse().ok());
        named.map_or_else(|| doubled(number).mul_f64(self.random.unit()), Duration::from_secs)
    }
}
