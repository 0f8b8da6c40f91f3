//! Resource locks: the claim goes around a task whose lock is held, once.
//!
//! A ready task that a claim finds blocked is *parked* on the lock's name. Releasing a name makes
//! the first task parked there ready again (one for each tag, since a claim may ask for tags).
//! Whoever is ready without taking a free name in the end, because it is parked elsewhere or
//! leaves, passes the wake-up on. So a free name with tasks parked on it always has a ready task
//! before them, and no claim looks at more tasks than were woken.

use super::{
    fault::Outcome,
    state::State,
    tx::{Spot, Tx},
};

impl Tx<'_> {
    /// The first of a task's locks that a running task holds.
    pub(super) fn lock_in_the_way(&self, seq: i64) -> Outcome<Option<String>> {
        self.first(
            "SELECT lock.name FROM lock JOIN held ON held.name = lock.name WHERE lock.seq = ?1
             LIMIT 1",
            [seq],
            |row| row.get(0),
        )
    }

    pub(super) fn park(&mut self, spot: Spot, name: &str) -> Outcome<()> {
        let rank = -spot.priority;
        self.run("INSERT INTO waiter VALUES (?1, '', ?2, ?3)", (name, rank, spot.seq))?;
        if spot.marks.tags() {
            self.run(
                "INSERT INTO waiter SELECT ?1, '#' || name, ?2, seq FROM tag WHERE seq = ?3",
                (name, rank, spot.seq),
            )?;
        }
        self.set_state(spot, State::Parked)
    }

    pub(super) fn hold_locks(&self, seq: i64) -> Outcome<()> {
        self.run("INSERT INTO held (name, seq) SELECT name, seq FROM lock WHERE seq = ?1", [seq])?;
        Ok(())
    }

    pub(super) fn release_locks(&mut self, seq: i64) -> Outcome<()> {
        let names: Vec<String> =
            self.all("SELECT name FROM held WHERE seq = ?1", [seq], |row| row.get(0))?;
        self.run("DELETE FROM held WHERE seq = ?1", [seq])?;
        names.iter().try_for_each(|name| self.wake(name))
    }

    /// Wakes others for the free locks of a task that is no longer ready.
    pub(super) fn pass_on(&mut self, seq: i64) -> Outcome<()> {
        let free: Vec<String> = self.all(
            "SELECT name FROM lock WHERE seq = ?1
             AND NOT EXISTS (SELECT 1 FROM held WHERE held.name = lock.name)",
            [seq],
            |row| row.get(0),
        )?;
        free.iter().try_for_each(|name| self.wake(name))
    }

    /// Makes the first task parked on `name` ready, for every tag.
    fn wake(&mut self, name: &str) -> Outcome<()> {
        let mut heads: Vec<i64> = Vec::new();
        let mut next = self.first(
            "SELECT tag, seq FROM waiter WHERE name = ?1 ORDER BY tag, rank, seq LIMIT 1",
            [name],
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
        )?;
        while let Some((tag, seq)) = next {
            heads.push(seq);
            next = self.first(
                "SELECT tag, seq FROM waiter WHERE name = ?1 AND tag > ?2
                 ORDER BY tag, rank, seq LIMIT 1",
                (name, &tag),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
        }
        heads.sort_unstable();
        heads.dedup();
        for seq in heads {
            let spot = self.spot(seq)?;
            self.set_state(spot, State::Ready)?;
        }
        Ok(())
    }
}
