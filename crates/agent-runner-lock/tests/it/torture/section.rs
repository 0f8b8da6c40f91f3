//! A critical section, and a store that checks tokens: where two holders at once are seen.

use std::{
    io::{self, Write},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use super::harness::{Plan, Trouble};
use crate::agent::{Kind, TTL};

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) sections: AtomicU64,
    /// How often somebody entered while somebody was inside.
    pub(super) overlaps: AtomicU64,
    /// Those of them whose tokens are closer than a lease lasts. A token is the time of its grant.
    pub(super) too_early: AtomicU64,
    /// Tokens that were not higher than one that was seen before the lock was asked for.
    pub(super) inversions: AtomicU64,
    pub(super) equal_tokens: AtomicU64,
    /// Writes that the store refused, because it had seen a higher token.
    pub(super) fenced: AtomicU64,
    /// Writes that it took, and that are gone nevertheless.
    pub(super) lost_updates: AtomicU64,
    /// Holders that knew, and that did not know, that somebody came after them.
    pub(super) told: AtomicU64,
    pub(super) untold: AtomicU64,
    pub(super) kills: AtomicU64,
    pub(super) stops: AtomicU64,
    pub(super) cleaned: AtomicU64,
    pub(super) removals: AtomicU64,
    pub(super) errors: Mutex<Vec<String>>,
}

impl Verdict {
    /// Whether there is proof against a positive control. Who may be deposed when it is stopped is
    /// caught by its tokens.
    pub(super) fn is_caught(&self, plan: &Plan) -> bool {
        let stops = plan.has(Trouble::Stops);
        let proof = if stops { &self.too_early } else { &self.overlaps };
        proof.load(SeqCst) > 0
    }

    /// No two at once, ever.
    pub(super) fn assert_exclusive(&self) {
        self.assert_fenced();
        let counts = [&self.overlaps, &self.fenced];
        assert!(counts.iter().all(|count| count.load(SeqCst) == 0), "two at once: {self:?}");
    }

    /// Whoever is followed by another had its time, and knows it; no token is given twice.
    pub(super) fn assert_leased(&self) {
        self.assert_fenced();
        let counts = [&self.too_early, &self.equal_tokens, &self.untold];
        assert!(counts.iter().all(|count| count.load(SeqCst) == 0), "broken too early: {self:?}");
    }

    /// Tokens only grow, and so a store that checks them loses nothing.
    pub(super) fn assert_fenced(&self) {
        let counts = [&self.inversions, &self.lost_updates];
        let clean = counts.iter().all(|count| count.load(SeqCst) == 0);
        assert!(clean && self.errors.lock().unwrap().is_empty(), "no fence: {self:?}");
    }

    pub(super) fn assert_at_least(&self, what: &str, count: &AtomicU64, least: u64) {
        assert!(count.load(SeqCst) >= least, "too few {what}: {self:?}");
    }

    /// One line of JSON for `cargo xtask torture`.
    pub(super) fn print(&self, plan: &Plan, took: Duration) {
        let mut scene = vec![format!("{} on {}", plan.processes, plan.keys)];
        scene.extend(plan.with.iter().map(|trouble| format!("{trouble:?}").to_lowercase()));
        let get = |count: &AtomicU64| count.load(SeqCst);
        let line = serde_json::json!({
            "kind": plan.kind.name(), "scene": scene.join(", "), "secs": took.as_secs_f64(),
            "sections": get(&self.sections), "overlaps": get(&self.overlaps),
            "too_early": get(&self.too_early), "inversions": get(&self.inversions),
            "equal": get(&self.equal_tokens), "lost": get(&self.lost_updates),
            "fenced": get(&self.fenced), "untold": get(&self.untold), "kills": get(&self.kills),
            "stops": get(&self.stops), "removals": get(&self.removals),
        });
        // Its own line, whatever a test runner wrote before.
        io::stdout().write_all(format!("\n{line}\n").as_bytes()).unwrap();
    }
}

/// One key's critical section, and what the key protects.
#[derive(Debug, Default)]
pub(super) struct Section(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    visits: u64,
    present: Vec<Visit>,
    newest: Option<u64>,
    /// How many writes the store took, and what they made of the counter.
    taken: u64,
    counter: u64,
}

/// Somebody's time in a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    number: u64,
    token: Option<u64>,
    /// The counter as it was read.
    counter: u64,
}

impl Section {
    /// The highest token that was seen so far.
    pub(super) fn newest(&self) -> Option<u64> {
        self.lock().newest
    }

    /// Enters with the token of a lock that was asked for when another one was the newest; reads
    /// from the store.
    pub(super) fn enter(&self, token: Option<u64>, asked: Option<u64>, verdict: &Verdict) -> Visit {
        let count = |count: &AtomicU64, happened| count.fetch_add(u64::from(happened), SeqCst);
        let mut this = self.lock();
        let ttl = u64::try_from(TTL.as_micros()).unwrap();
        let close = |other: &Visit| {
            other.token.zip(token).is_some_and(|(one, two)| one.abs_diff(two) < ttl)
        };
        count(&verdict.sections, true);
        count(&verdict.overlaps, !this.present.is_empty());
        count(&verdict.too_early, this.present.iter().any(close));
        count(&verdict.inversions, token.is_some() && token <= asked);
        count(&verdict.equal_tokens, token.is_some() && token == this.newest);

        this.newest = this.newest.max(token);
        this.visits += 1;
        let visit = Visit { number: this.visits, token, counter: this.counter };
        this.present.push(visit);
        visit
    }

    /// Whether somebody entered since with a higher token.
    pub(super) fn was_followed(&self, visit: &Visit) -> bool {
        self.lock().newest > visit.token
    }

    /// Writes to the store, which refuses those who come with an old token, and leaves.
    pub(super) fn leave(&self, visit: &Visit, verdict: &Verdict) {
        let mut this = self.lock();
        if visit.token < this.newest {
            verdict.fenced.fetch_add(1, SeqCst);
        } else {
            this.taken += 1;
            this.counter = visit.counter + 1;
        }
        this.present.retain(|other| other.number != visit.number);
    }

    /// Counts what was lost.
    pub(super) fn close(&self, verdict: &Verdict) {
        let this = self.lock();
        verdict.lost_updates.fetch_add(this.taken - this.counter, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }
}

/// A lease in a torture.
pub(super) const LEASE: Kind = Kind::Lease(TTL);
