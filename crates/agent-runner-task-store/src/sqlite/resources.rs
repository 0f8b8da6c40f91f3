//! Resources: a claim goes around a task that wants what a running one has taken, once.
//!
//! A resource is the name of a lock, written `=db`, or a pattern of paths, written `~src/**`. Two
//! conflict when they are equal or are patterns that overlap. A resource is *closed* by the running
//! task that has taken it, or has taken one that a claim saw to conflict with it.
//!
//! A ready task that a claim finds wanting a closed resource is *parked* on it. When the task that
//! closed the resource ends, it is *handed on*: to another running task that is in its way, which
//! closes it anew, or else to the first task parked there, which is made ready (one for each tag,
//! since a claim may ask for tags). Whoever is ready and does not take an open resource in the end,
//! because it is parked elsewhere or leaves, hands it on.
//!
//! A claim that passes over a ready task whose command it does not take makes all ready that are
//! parked behind it on what is open.
//!
//! So a resource that tasks are parked on is closed, or a ready task that wants it stands before
//! them. No claim looks at more tasks than were woken, and whether a pattern overlaps what runs is
//! asked once for all tasks that want the same pattern.

use super::{
    fault::Outcome,
    state::State,
    tx::{Spot, Tx},
};
use crate::NewTask;

/// What the resource of a lock begins with.
const LOCK: char = '=';

/// What the resource of a pattern begins with. All patterns come after all locks.
const PATTERN: char = '~';

impl Tx<'_> {
    /// Writes what a task wants.
    pub(super) fn want(&self, seq: i64, task: &NewTask) -> Outcome<()> {
        let locks = task.locks.iter().map(|name| format!("{LOCK}{name}"));
        let patterns = task.touches.iter().map(|pattern| format!("{PATTERN}{pattern}"));
        for resource in locks.chain(patterns) {
            self.run("INSERT INTO want (seq, resource) VALUES (?1, ?2)", (seq, resource))?;
        }
        Ok(())
    }

    /// The first closed one of the resources that a task wants.
    pub(super) fn in_the_way(&self, spot: Spot) -> Outcome<Option<String>> {
        let known = self.first(
            "SELECT want.resource FROM want JOIN closed ON closed.resource = want.resource
             WHERE want.seq = ?1 LIMIT 1",
            [spot.seq],
            |row| row.get(0),
        )?;
        if known.is_some() || !spot.marks.touches() {
            return Ok(known);
        }
        let patterns: Vec<String> = self.all(
            "SELECT resource FROM want WHERE seq = ?1 AND resource >= '~'",
            [spot.seq],
            |row| row.get(0),
        )?;
        for pattern in patterns {
            if self.close_if_overlapped(&pattern)? {
                return Ok(Some(pattern));
            }
        }
        Ok(None)
    }

    pub(super) fn park(&mut self, spot: Spot, resource: &str) -> Outcome<()> {
        let rank = -spot.priority;
        self.run("INSERT INTO waiter VALUES (?1, '', ?2, ?3)", (resource, rank, spot.seq))?;
        if spot.marks.tags() {
            self.run(
                "INSERT INTO waiter SELECT ?1, '#' || name, ?2, seq FROM tag WHERE seq = ?3",
                (resource, rank, spot.seq),
            )?;
        }
        self.set_state(spot, State::Parked)
    }

    /// Takes what a task wants; nothing is in the way.
    pub(super) fn take_resources(&self, seq: i64) -> Outcome<()> {
        self.run(
            "INSERT INTO closed (resource, seq, own)
             SELECT resource, seq, 1 FROM want WHERE seq = ?1",
            [seq],
        )?;
        Ok(())
    }

    /// Opens and hands on what a running task has closed.
    pub(super) fn release_resources(&mut self, seq: i64) -> Outcome<()> {
        let awaited = self.all(
            "SELECT resource FROM closed WHERE seq = ?1
             AND EXISTS (SELECT 1 FROM waiter WHERE waiter.resource = closed.resource)",
            [seq],
            |row| row.get(0),
        )?;
        self.run("DELETE FROM closed WHERE seq = ?1", [seq])?;
        self.hand_on(awaited)
    }

    /// Hands on the open resources of a task that is no longer ready and has not taken them.
    pub(super) fn pass_on(&mut self, seq: i64) -> Outcome<()> {
        let awaited = self.all(
            "SELECT resource FROM want WHERE seq = ?1
             AND EXISTS (SELECT 1 FROM waiter WHERE waiter.resource = want.resource)
             AND NOT EXISTS (SELECT 1 FROM closed WHERE closed.resource = want.resource)",
            [seq],
            |row| row.get(0),
        )?;
        self.hand_on(awaited)
    }

    /// Makes ready whoever is parked behind these ready tasks, and says whether anybody was.
    pub(super) fn wake_behind(&mut self, ready: &[Spot]) -> Outcome<bool> {
        let mut woken = false;
        for spot in ready {
            let behind: Vec<i64> = self.all(
                "SELECT waiter.seq FROM want JOIN waiter ON waiter.resource = want.resource
                 WHERE want.seq = ?1 AND waiter.tag = ''
                 AND NOT EXISTS (SELECT 1 FROM closed WHERE closed.resource = want.resource)",
                [spot.seq],
                |row| row.get(0),
            )?;
            for seq in behind {
                let spot = self.spot(seq)?;
                self.set_state(spot, State::Ready)?;
                woken = true;
            }
        }
        Ok(woken)
    }

    /// Has each of some open resources closed by what runs, or wakes those parked on it.
    fn hand_on(&mut self, resources: Vec<String>) -> Outcome<()> {
        for resource in resources {
            if !self.close_if_overlapped(&resource)? {
                self.wake(&resource)?;
            }
        }
        Ok(())
    }

    /// Closes an open resource if one that is taken overlaps it, and says so.
    fn close_if_overlapped(&self, resource: &str) -> Outcome<bool> {
        let Some(pattern) = resource.strip_prefix(PATTERN) else { return Ok(false) };
        let taken: Vec<(i64, String)> = self.all(
            "SELECT seq, substr(resource, 2) FROM closed INDEXED BY closed_pattern
             WHERE own = 1 AND resource >= '~'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some((seq, _)) = taken.into_iter().find(|(_, taken)| self.overlap(pattern, taken))
        else {
            return Ok(false);
        };
        self.run("INSERT INTO closed (resource, seq, own) VALUES (?1, ?2, 0)", (resource, seq))?;
        Ok(true)
    }

    /// Makes the first task parked on a resource ready, for every tag.
    fn wake(&mut self, resource: &str) -> Outcome<()> {
        let mut heads: Vec<i64> = Vec::new();
        let mut next = self.first(
            "SELECT tag, seq FROM waiter WHERE resource = ?1 ORDER BY tag, rank, seq LIMIT 1",
            [resource],
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
        )?;
        while let Some((tag, seq)) = next {
            heads.push(seq);
            next = self.first(
                "SELECT tag, seq FROM waiter WHERE resource = ?1 AND tag > ?2
                 ORDER BY tag, rank, seq LIMIT 1",
                (resource, &tag),
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
