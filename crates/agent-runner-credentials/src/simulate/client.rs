//! The side that wants answers.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use super::provider::time_of;
use crate::{
    Answer, ApiKey, Credential, End, KeyRing, Lease, Session, Ticket, Usage, Verdict, Want,
    classify,
};

/// A request that somebody wants to make.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its conversation.
    pub job: usize,
    /// Whether it has several requests.
    pub is_session: bool,
    /// About how many input tokens are new.
    pub fresh: u64,
    /// How many input tokens were in the conversation before.
    pub context: u64,
}

/// What a client does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The answer is good.
    Done,
    /// The request is made again, when the client says so.
    Again,
    /// The request is lost.
    GiveUp,
}

/// A way to choose keys and times. Each worker makes one request at a time.
pub trait Client {
    /// A worker wants to make a request.
    fn ask(&mut self, now: Duration, worker: usize, request: &Request);

    /// A request that is sent now: by whom, and with which key.
    fn send(&mut self, now: Duration) -> Option<(usize, usize)>;

    /// When to look again for what is sent.
    fn wake_at(&self, now: Duration) -> Option<Duration>;

    /// An answer came.
    fn answered(
        &mut self,
        now: Duration,
        worker: usize,
        answer: &Answer<'_>,
        usage: Option<Usage>,
    ) -> Next;
}

/// The client that uses a [`KeyRing`].
#[derive(Debug)]
pub struct Scheduled {
    ring: KeyRing,
    patience: Duration,
    requests: HashMap<usize, Request>,
    tickets: HashMap<Ticket, usize>,
    leases: HashMap<usize, Lease>,
}

impl Scheduled {
    /// A ring of so many keys, of which nothing is known.
    ///
    /// # Panics
    ///
    /// Never: the keys that it makes up are sound.
    pub fn new(keys: usize) -> Self {
        let key = |number| {
            let key = ApiKey::new(&format!("sk-{number}")).expect("it has no white space");
            Credential::new(format!("key-{number}"), "anthropic", key)
        };
        Self {
            ring: KeyRing::new((0..keys).map(key)),
            patience: Want::call().patience,
            requests: HashMap::new(),
            tickets: HashMap::new(),
            leases: HashMap::new(),
        }
    }

    /// Sets how long conversations wait for their own key.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The ring.
    pub const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    fn enqueue(&mut self, now: SystemTime, worker: usize) {
        let request = &self.requests[&worker];
        let mut want = Want::call().patience(self.patience).tokens(request.fresh, 0);
        want.cached_tokens = request.context;
        want.session = request.is_session.then(|| Session::new(request.job));
        let ticket = self.ring.enqueue(now, want);
        self.tickets.insert(ticket, worker);
    }
}

impl Client for Scheduled {
    fn ask(&mut self, now: Duration, worker: usize, request: &Request) {
        self.requests.insert(worker, *request);
        self.enqueue(time_of(now), worker);
    }

    fn send(&mut self, now: Duration) -> Option<(usize, usize)> {
        loop {
            let (ticket, served) = self.ring.serve(time_of(now))?;
            let worker = self.tickets.remove(&ticket)?;
            if let Ok(lease) = served {
                let key = lease.key_id().index();
                self.leases.insert(worker, lease);
                return Some((worker, key));
            }
            // Waiting does not help any more: the request is lost, and its worker with it.
        }
    }

    fn wake_at(&self, now: Duration) -> Option<Duration> {
        let at = self.ring.wake_at(time_of(now))?;
        Some(now + at.duration_since(time_of(now)).unwrap_or_default())
    }

    fn answered(
        &mut self,
        now: Duration,
        worker: usize,
        answer: &Answer<'_>,
        usage: Option<Usage>,
    ) -> Next {
        let now = time_of(now);
        if let Some(lease) = self.leases.remove(&worker) {
            self.ring.settle(lease, now, End::Answer(answer, usage));
        }
        match classify(answer, now) {
            Verdict::Fine => Next::Done,
            Verdict::BadRequest => Next::GiveUp,
            Verdict::Rejected(_) | Verdict::Transient => {
                self.enqueue(now, worker);
                Next::Again
            }
        }
    }
}
