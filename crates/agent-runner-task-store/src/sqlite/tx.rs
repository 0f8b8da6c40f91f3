//! A transaction on the writer's connection, and the moves of a task from state to state.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::{
    fault::{Fault, Outcome, repeat},
    state::State,
};
use crate::{NewTask, Overlap, clock::Millis};

/// What operations write with.
///
/// The counters are kept here while the transaction runs and written once at its end.
pub(super) struct Tx<'c> {
    conn: &'c Connection,
    pub(super) now: Millis,
    overlap: Overlap,
    deltas: [i64; State::ALL.len()],
    lost: Option<rusqlite::Error>,
}

/// A task's place among the others: what a move needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) seq: i64,
    pub(super) state: State,
    pub(super) priority: i64,
    pub(super) marks: Marks,
}

/// What a task has that is kept elsewhere, so that for most tasks nothing else is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks(pub(super) i64);

impl Marks {
    pub(super) fn of(task: &NewTask) -> Self {
        let touches = !task.touches.is_empty();
        let wants = touches || !task.locks.is_empty();
        Self(
            i64::from(!task.tags.is_empty())
                | i64::from(wants) << 1
                | i64::from(touches) << 2
                | i64::from(task.command.is_some()) << 3,
        )
    }

    pub(super) const fn tags(self) -> bool {
        self.0 & 1 != 0
    }

    /// Resources of any kind.
    pub(super) const fn wants(self) -> bool {
        self.0 & 2 != 0
    }

    /// A command of its own.
    pub(super) const fn commands(self) -> bool {
        self.0 & 8 != 0
    }

    /// Patterns among them.
    pub(super) const fn touches(self) -> bool {
        self.0 & 4 != 0
    }
}

impl Spot {
    /// The columns that [`Spot::read`] wants, first in the row.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            state: row.get(1)?,
            priority: row.get(2)?,
            marks: Marks(row.get(3)?),
        })
    }
}

impl<'c> Tx<'c> {
    pub(super) const fn new(conn: &'c Connection, now: Millis, overlap: Overlap) -> Self {
        Self { conn, now, overlap, deltas: [0; State::ALL.len()], lost: None }
    }

    pub(super) const fn connection(&self) -> &'c Connection {
        self.conn
    }

    /// Whether two patterns can match one path.
    pub(super) fn overlap(&self, one: &str, other: &str) -> bool {
        (self.overlap)(one, other)
    }

    /// Runs one operation of those that share the transaction.
    ///
    /// An operation refuses before it writes, or guards itself with [`Tx::all_or_none`]. When the
    /// database fails in the middle of one, the transaction is lost for all.
    pub(super) fn part<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let done = work(self);
        if let Err(Fault::Sql(error)) = &done {
            self.lost = Some(repeat(error));
        }
        done
    }

    /// Undoes what an operation has written when it refuses.
    ///
    /// SQLite copies each page that changes under a savepoint, so that small operations do better
    /// without.
    pub(super) fn all_or_none<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<T> {
        let before = self.deltas;
        self.run("SAVEPOINT part", [])?;
        let done = work(self);
        if let Err(Fault::Store(_)) = &done {
            self.deltas = before;
            self.run("ROLLBACK TO part", [])?;
        }
        if !matches!(done, Err(Fault::Sql(_))) {
            self.run("RELEASE part", [])?;
        }
        done
    }

    /// Why the whole transaction is gone, if it is.
    pub(super) fn lost(&mut self) -> Option<rusqlite::Error> {
        self.lost.take()
    }

    /// Writes the counters; the last thing before the commit.
    pub(super) fn close(&mut self) -> rusqlite::Result<()> {
        for state in State::ALL {
            let delta = std::mem::take(&mut self.deltas[state as usize]);
            if delta != 0 {
                self.conn
                    .prepare_cached("UPDATE counter SET tasks = tasks + ?2 WHERE state = ?1")?
                    .execute((state, delta))?;
            }
        }
        Ok(())
    }

    pub(super) fn prepare(&self, sql: &str) -> Outcome<CachedStatement<'c>> {
        Ok(self.conn.prepare_cached(sql)?)
    }

    pub(super) fn run(&self, sql: &str, params: impl Params) -> Outcome<usize> {
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Outcome<Option<T>> {
        Ok(self.conn.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Outcome<Vec<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn last_seq(&self) -> i64 {
        self.conn.last_insert_rowid()
    }

    /// Counts a task that is new, and enters it where ready tasks are looked for.
    pub(super) fn appear(&mut self, spot: Spot) -> Outcome<()> {
        self.deltas[spot.state as usize] += 1;
        if spot.state == State::Ready { self.list_tags(spot) } else { Ok(()) }
    }

    /// Accounts for a task's move, which its row already shows: counters, the lists of tagged and
    /// of parked tasks, and those who waited for it to take a resource that it now leaves.
    pub(super) fn moved(&mut self, spot: Spot, to: State) -> Outcome<()> {
        self.deltas[spot.state as usize] -= 1;
        self.deltas[to as usize] += 1;
        match spot.state {
            State::Ready => self.unlist_tags(spot)?,
            State::Parked => {
                self.run("DELETE FROM waiter WHERE seq = ?1", [spot.seq])?;
            }
            _ => {}
        }
        if to == State::Ready {
            self.list_tags(spot)?;
        }
        if spot.state == State::Ready && to != State::Running && spot.marks.wants() {
            self.pass_on(spot.seq)?;
        }
        Ok(())
    }

    /// Writes a task's state and accounts for it.
    pub(super) fn set_state(&mut self, spot: Spot, to: State) -> Outcome<()> {
        self.run("UPDATE task SET state = ?2 WHERE seq = ?1", (spot.seq, to))?;
        self.moved(spot, to)
    }

    /// The state of a task that nothing but its dependencies or a time keeps from being claimed.
    pub(super) const fn resting(&self, unmet: i64, due: Millis) -> State {
        if unmet > 0 {
            State::Blocked
        } else if due > self.now {
            State::Delayed
        } else {
            State::Ready
        }
    }

    fn list_tags(&self, spot: Spot) -> Outcome<()> {
        if spot.marks.tags() {
            self.run(
                "INSERT INTO ready_tag (name, rank, seq)
                 SELECT name, ?2, seq FROM tag WHERE seq = ?1",
                (spot.seq, -spot.priority),
            )?;
        }
        Ok(())
    }

    fn unlist_tags(&self, spot: Spot) -> Outcome<()> {
        if spot.marks.tags() {
            self.run(
                "DELETE FROM ready_tag WHERE seq = ?1 AND rank = ?2
                 AND name IN (SELECT name FROM tag WHERE seq = ?1)",
                (spot.seq, -spot.priority),
            )?;
        }
        Ok(())
    }
}
