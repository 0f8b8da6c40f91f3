//! Claiming: the head of an index, never a scan.

use super::{
    fault::Outcome,
    row::RawTask,
    state::State,
    tx::{Spot, Tx},
};
use crate::{Claim, ClaimRequest, CommandLine, Fence, Takes, Worker, clock};

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
            let (head, passed_over) = self.head(request)?;
            if self.wake_behind(&passed_over)? {
                continue;
            }
            let Some(spot) = head else { return Ok(Found::Nothing) };
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

    /// The ready task that comes first of those that are asked for, and those before it which are
    /// not taken and want resources.
    fn head(&self, request: &ClaimRequest) -> Outcome<(Option<Spot>, Vec<Spot>)> {
        let ClaimRequest { tags, takes, .. } = request;
        let mut passed_over = Vec::new();
        if tags.is_empty() {
            let mut ready = self.prepare(
                "SELECT seq, 0, priority, marks FROM task INDEXED BY task_ready
                 WHERE state = 0 ORDER BY priority DESC, seq",
            )?;
            let ready = ready.query_map([], Spot::read)?;
            return Ok((self.first_taken(ready, takes, &mut passed_over)?, passed_over));
        }
        let mut statement = self.prepare(
            "SELECT seq, 0, -rank, (SELECT marks FROM task WHERE task.seq = ready_tag.seq)
             FROM ready_tag WHERE name = ?1 ORDER BY rank, seq",
        )?;
        let mut best: Option<Spot> = None;
        for tag in tags {
            let ready = statement.query_map([tag], Spot::read)?;
            let head = self.first_taken(ready, takes, &mut passed_over)?;
            best = best.into_iter().chain(head).min_by_key(|spot| (-spot.priority, spot.seq));
        }
        Ok((best, passed_over))
    }

    fn first_taken(
        &self,
        ready: impl Iterator<Item = rusqlite::Result<Spot>>,
        takes: &Takes,
        passed_over: &mut Vec<Spot>,
    ) -> Outcome<Option<Spot>> {
        for spot in ready {
            let spot = spot?;
            let own = spot.marks.commands() && !takes.takes_all();
            let command = if own { self.command(spot.seq)? } else { None };
            if takes.takes(command.as_ref()) {
                return Ok(Some(spot));
            }
            passed_over.extend(spot.marks.wants().then_some(spot));
        }
        Ok(None)
    }

    /// A task's own command.
    fn command(&self, seq: i64) -> Outcome<Option<CommandLine>> {
        let text: Option<String> = self
            .first("SELECT content -> '$.command' FROM spec WHERE seq = ?1", [seq], |row| {
                row.get(0)
            })?
            .flatten();
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
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
