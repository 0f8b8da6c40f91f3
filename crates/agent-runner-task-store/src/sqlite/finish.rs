//! The end of an attempt, by its holder or by somebody who saw that the holder is gone.

use super::{
    fault::Outcome,
    state::State,
    tx::{Spot, Tx},
};
use crate::{
    Beat, Budget, Fence, Report, StoreError, TaskId, TaskStatus,
    clock::Millis,
    rules::{self, Ledger, Next},
};

/// A claim as the database has it.
#[derive(Clone, Copy)]
struct Held {
    spot: Spot,
    unmet: i64,
    ledger: Ledger,
    worker: i64,
    started: Millis,
    lease: Millis,
}

impl Tx<'_> {
    /// Ends the attempt that `fence` proves, and says where the task stands then.
    pub(super) fn finish(&mut self, fence: &Fence, report: &Report) -> Outcome<TaskStatus> {
        let held = self.holder(fence)?;
        self.end(fence, held, report)
    }

    pub(super) fn rescue(&mut self, fence: &Fence, reason: &str) -> Outcome<TaskStatus> {
        let held = self.holder(fence)?;
        let report = rules::lost(reason, self.now.saturating_sub(held.started));
        self.end(fence, held, &report)
    }

    pub(super) fn rescue_expired(&mut self, limit: usize) -> Outcome<Vec<TaskId>> {
        let late = self.all(
            "SELECT id, attempt, nonce FROM task INDEXED BY task_lease
             WHERE state = 4 AND lease_until <= ?1 ORDER BY lease_until, seq LIMIT ?2",
            (self.now, i64::try_from(limit).unwrap_or(i64::MAX)),
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, i64>(2)?)),
        )?;
        let mut rescued = Vec::with_capacity(late.len());
        for (id, attempt, nonce) in late {
            let task = super::row::task_id(id)?;
            let fence = Fence { task, attempt, nonce: nonce.cast_unsigned() };
            self.rescue(&fence, "the lease ran out")?;
            rescued.push(fence.task);
        }
        Ok(rescued)
    }

    pub(super) fn heartbeat(&mut self, fence: &Fence) -> Outcome<Beat> {
        let Some(held) = self.find(fence)? else { return Ok(Beat::Lost) };
        self.run(
            "UPDATE task SET lease_until = ?2 WHERE seq = ?1",
            (held.spot.seq, self.now.saturating_add(held.lease)),
        )?;
        Ok(if held.ledger.cancel { Beat::Cancel } else { Beat::Continue })
    }

    fn end(&mut self, fence: &Fence, held: Held, report: &Report) -> Outcome<TaskStatus> {
        let Held { spot, unmet, mut ledger, worker, started, .. } = held;
        let json = serde_json::to_string(report)?;
        let next = ledger.settle(report.verdict, self.now);
        let (state, due, finished) = match next {
            Next::End(status) => (State::ended(status), 0, Some(self.now)),
            Next::Rest { due } => (self.resting(unmet, due), due, None),
        };
        self.run(
            "UPDATE task SET state = ?2, due = ?3, finished = ?4, failures = ?5, recoveries = ?6
             WHERE seq = ?1",
            (spot.seq, state, due, finished, ledger.failures, ledger.recoveries),
        )?;
        self.run(
            "INSERT INTO attempt (seq, number, worker, started, finished, report)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (spot.seq, fence.attempt, worker, started, self.now, json),
        )?;
        self.moved(spot, state)?;
        if spot.marks.wants() {
            self.release_resources(spot.seq)?;
        }
        if state == State::Succeeded {
            self.met(spot.seq)?;
        }
        Ok(state.status(due, self.now))
    }

    fn holder(&self, fence: &Fence) -> Outcome<Held> {
        let lost = || StoreError::LeaseLost { task: fence.task.clone(), attempt: fence.attempt };
        Ok(self.find(fence)?.ok_or_else(lost)?)
    }

    fn find(&self, fence: &Fence) -> Outcome<Option<Held>> {
        self.first(
            "SELECT seq, state, priority, marks, unmet, failures, recoveries, allowed_attempts,
                 allowed_recoveries, cancel, worker, started, lease
             FROM task WHERE id = ?1 AND state = 4 AND attempt = ?2 AND nonce = ?3",
            (fence.task.as_str(), fence.attempt, fence.nonce.cast_signed()),
            |row| {
                let budget = Budget { attempts: row.get(7)?, recoveries: row.get(8)? };
                Ok(Held {
                    spot: Spot::read(row)?,
                    unmet: row.get(4)?,
                    ledger: Ledger {
                        failures: row.get(5)?,
                        recoveries: row.get(6)?,
                        budget,
                        cancel: row.get(9)?,
                    },
                    worker: row.get(10)?,
                    started: row.get(11)?,
                    lease: row.get(12)?,
                })
            },
        )
    }
}
