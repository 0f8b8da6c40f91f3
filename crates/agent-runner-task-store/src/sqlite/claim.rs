//! Claiming: the head of an index, never a scan.

use rusqlite::OptionalExtension;

use super::{
    fault::Outcome,
    row::RawTask,
    state::State,
    tx::{Spot, Tx},
};
use crate::{Claim, ClaimRequest, Fence, Worker, clock};

/// How many elapsed delays one claim brings back. More come with the next one.
const PROMOTED: i64 = 1_000;

/// How many blocked tasks one transaction puts aside, so that nobody else waits long for it.
const PARKED: usize = 1_000;

/// What one transaction found.
#[derive(Debug)]
pub(super) enum Found {
    Task(RawClaim),
    Nothing,
    /// Only tasks that are blocked, so far: ask again.
    Blocked,
}

/// A claim whose content has not been parsed: the caller does that, not the writer.
#[derive(Debug)]
pub(super) struct RawClaim {
    pub(super) nonce: u64,
    pub(super) task: RawTask,
}

impl RawClaim {
    pub(super) fn parse(self, now: clock::Millis) -> Outcome<Claim> {
        let task = self.task.parse(now)?;
        let fence = Fence { task: task.id.clone(), attempt: task.attempt, nonce: self.nonce };
        Ok(Claim { fence, task })
    }
}

impl Tx<'_> {
    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Outcome<Found> {
        self.promote()?;
        for _ in 0..PARKED {
            let Some(spot) = self.head(&request.tags)? else { return Ok(Found::Nothing) };
            let closed = if spot.marks.wants() { self.in_the_way(spot)? } else { None };
            match closed {
                Some(resource) => self.park(spot, &resource)?,
                None => return self.take(spot, request).map(Found::Task),
            }
        }
        Ok(Found::Blocked)
    }

    /// Makes tasks ready whose time has come.
    fn promote(&mut self) -> Outcome<()> {
        let due = self.all(
            "SELECT seq, state, priority, marks FROM task INDEXED BY task_delayed
             WHERE state = 2 AND due <= ?1 ORDER BY due LIMIT ?2",
            (self.now, PROMOTED),
            Spot::read,
        )?;
        due.into_iter().try_for_each(|spot| self.set_state(spot, State::Ready))
    }

    /// The ready task that comes first.
    fn head(&self, tags: &[String]) -> Outcome<Option<Spot>> {
        if tags.is_empty() {
            return self.first(
                "SELECT seq, state, priority, marks FROM task INDEXED BY task_ready
                 WHERE state = 0 ORDER BY priority DESC, seq LIMIT 1",
                [],
                Spot::read,
            );
        }
        let mut statement = self.prepare(
            "SELECT rank, seq FROM ready_tag WHERE name = ?1 ORDER BY rank, seq LIMIT 1",
        )?;
        let mut best: Option<(i64, i64)> = None;
        for tag in tags {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let head = statement.query_row([tag], read).optional()?;
            best = best.into_iter().chain(head).min();
        }
        best.map(|(_, seq)| self.spot(seq)).transpose()
    }

    fn take(&mut self, spot: Spot, request: &ClaimRequest) -> Outcome<RawClaim> {
        let nonce: u64 = rand::random();
        let lease = clock::length(request.lease);
        self.run(
            "UPDATE task SET state = 4, attempt = attempt + 1, nonce = ?2, worker = ?3,
                 started = ?4, lease = ?5, lease_until = ?6,
                 allowed_attempts = coalesce(max_attempts, ?7), allowed_recoveries = ?8, cancel = 0
             WHERE seq = ?1",
            (
                spot.seq,
                nonce.cast_signed(),
                self.worker(&request.worker)?,
                self.now,
                lease,
                self.now.saturating_add(lease),
                request.budget.attempts,
                request.budget.recoveries,
            ),
        )?;
        self.moved(spot, State::Running)?;
        if spot.marks.wants() {
            self.take_resources(spot.seq)?;
        }
        Ok(RawClaim { nonce, task: self.task(spot.seq)? })
    }

    /// The number under which a worker is kept.
    fn worker(&self, worker: &Worker) -> Outcome<i64> {
        let Worker { run, host, pid, number } = worker;
        let known = self.first(
            "SELECT id FROM worker WHERE run = ?1 AND host = ?2 AND pid = ?3 AND number = ?4",
            (run, host, pid, number),
            |row| row.get(0),
        )?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.run(
            "INSERT INTO worker (run, host, pid, number) VALUES (?1, ?2, ?3, ?4)",
            (run, host, pid, number),
        )?;
        Ok(self.last_seq())
    }
}
