//! Dependencies as a count of what is missing, so that no claim looks at the graph.

use super::{
    fault::Outcome,
    state::State,
    tx::{Spot, Tx},
};

impl Tx<'_> {
    /// A task has succeeded: those that need it miss one less.
    pub(super) fn met(&mut self, seq: i64) -> Outcome<()> {
        for task in self.dependents(seq)? {
            let (spot, unmet, due) = self.count(task, -1)?;
            if spot.state == State::Blocked && unmet == 0 {
                let state = self.resting(unmet, due);
                self.set_state(spot, state)?;
            }
        }
        Ok(())
    }

    /// A task that had succeeded is to be done again: those that need it and have not begun wait.
    pub(super) fn unmet(&mut self, seq: i64) -> Outcome<()> {
        for task in self.dependents(seq)? {
            let (spot, ..) = self.count(task, 1)?;
            if matches!(spot.state, State::Ready | State::Delayed | State::Parked) {
                self.set_state(spot, State::Blocked)?;
            }
        }
        Ok(())
    }

    fn dependents(&self, seq: i64) -> Outcome<Vec<i64>> {
        self.all("SELECT task FROM dep WHERE needs = ?1", [seq], |row| row.get(0))
    }

    fn count(&self, seq: i64, change: i64) -> Outcome<(Spot, i64, i64)> {
        let row = self.first(
            "UPDATE task SET unmet = unmet + ?2 WHERE seq = ?1
             RETURNING seq, state, priority, marks, unmet, due",
            (seq, change),
            |row| Ok((Spot::read(row)?, row.get(4)?, row.get(5)?)),
        )?;
        Ok(row.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
    }
}
