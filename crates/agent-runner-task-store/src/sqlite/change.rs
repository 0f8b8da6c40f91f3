//! What people do to tasks: cancel and retry.

use super::{
    fault::Outcome,
    read::page,
    row::{self, seq_of},
    state::State,
    tx::{Spot, Tx},
};
use crate::{Filter, Selector, clock};

/// How many tasks are looked at before the next are asked for.
const PAGE: usize = 1_000;

impl Tx<'_> {
    pub(super) fn cancel(&mut self, which: &Selector) -> Outcome<u64> {
        self.each(which, Self::cancel_one)
    }

    pub(super) fn retry(&mut self, which: &Selector) -> Outcome<u64> {
        self.each(which, Self::retry_one)
    }

    /// Applies a change to the tasks chosen, and counts those that it concerned.
    fn each(
        &mut self,
        which: &Selector,
        change: impl Fn(&mut Self, Spot) -> Outcome<bool>,
    ) -> Outcome<u64> {
        let mut changed = 0;
        let mut apply = |tx: &mut Self, seqs: &[i64]| -> Outcome<()> {
            for seq in seqs {
                let spot = tx.spot(*seq)?;
                changed += u64::from(change(tx, spot)?);
            }
            Ok(())
        };
        match which {
            Selector::Ids(ids) => {
                let seqs = ids.iter().map(|id| seq_of(self.connection(), id));
                let seqs: Vec<i64> = seqs.collect::<Outcome<_>>()?;
                apply(self, &seqs)?;
            }
            Selector::Matching(filter) => {
                let mut last = 0;
                loop {
                    let seqs = self.page(filter, last)?;
                    let Some(end) = seqs.last() else { break };
                    last = *end;
                    apply(self, &seqs)?;
                }
            }
        }
        Ok(changed)
    }

    fn page(&self, filter: &Filter, after: i64) -> Outcome<Vec<i64>> {
        page(self.connection(), filter, after, PAGE, self.now)
    }

    fn cancel_one(&mut self, spot: Spot) -> Outcome<bool> {
        if spot.state.is_final() {
            return Ok(false);
        }
        if spot.state == State::Running {
            let sql = "UPDATE task SET cancel = 1 WHERE seq = ?1 AND cancel = 0";
            return Ok(self.run(sql, [spot.seq])? > 0);
        }
        self.run("UPDATE task SET finished = ?2 WHERE seq = ?1", (spot.seq, self.now))?;
        self.set_state(spot, State::Cancelled)?;
        Ok(true)
    }

    fn retry_one(&mut self, spot: Spot) -> Outcome<bool> {
        if !spot.state.is_final() {
            return Ok(false);
        }
        let due = self.not_before(spot.seq)?;
        let unmet = self.first(
            "UPDATE task SET failures = 0, recoveries = 0, finished = NULL, due = ?2
             WHERE seq = ?1 RETURNING unmet",
            (spot.seq, due),
            |row| row.get(0),
        )?;
        let state = self.resting(unmet.unwrap_or(0), due);
        self.set_state(spot, state)?;
        if spot.state == State::Succeeded {
            self.unmet(spot.seq)?;
        }
        Ok(true)
    }

    /// The earliest time that the content asks for.
    fn not_before(&self, seq: i64) -> Outcome<clock::Millis> {
        let content: Option<String> =
            self.first("SELECT content FROM spec WHERE seq = ?1", [seq], |row| row.get(0))?;
        let task: crate::NewTask = row::json(&content.unwrap_or_default())?;
        Ok(task.not_before.map_or(0, clock::ceil))
    }
}
