//! Adding tasks: rows as they come, dependencies when all are there.

use std::collections::HashSet;

use super::{
    content::{self, Hash},
    fault::Outcome,
    row,
    state::State,
    tx::{Marks, Spot, Tx},
};
use crate::{AddReport, NewTask, StoreError, TaskId, TaskSource, clock, content::normalise, graph};

impl Tx<'_> {
    pub(super) fn add(&mut self, tasks: Vec<NewTask>) -> Outcome<AddReport> {
        let named = tasks.iter().filter_map(|task| task.id.clone()).collect();
        self.all_or_none(|tx| {
            let mut adder = Adder::new(tx, named)?;
            let mut ids = Vec::with_capacity(tasks.len());
            for task in tasks {
                ids.push(adder.push(tx, task)?);
            }
            let report = adder.close(tx)?;
            Ok(AddReport { ids, ..report })
        })
    }

    pub(super) fn import(&mut self, tasks: TaskSource) -> Outcome<AddReport> {
        self.all_or_none(|tx| {
            let mut adder = Adder::new(tx, HashSet::new())?;
            for task in tasks {
                adder.push(tx, task.map_err(StoreError::Source)?)?;
            }
            adder.close(tx)
        })
    }
}

/// One call's tasks on their way into the store.
struct Adder {
    /// Rows from here on are this call's.
    first_new: i64,
    /// Older rows that this call has named.
    named_old: HashSet<i64>,
    /// Ids that the call names itself, so that no number takes them.
    named: HashSet<TaskId>,
    next_number: i64,
    /// What to link when all tasks are there.
    links: Vec<Link>,
    report: AddReport,
}

/// A task that is blocked until its dependencies have been looked up.
struct Link {
    seq: i64,
    due: clock::Millis,
    needs: Vec<TaskId>,
}

/// A task of the call, ready to be written.
struct Row {
    task: NewTask,
    content: String,
    hash: Hash,
}

impl Adder {
    fn new(tx: &Tx<'_>, named: HashSet<TaskId>) -> Outcome<Self> {
        let last = tx.first("SELECT max(seq) FROM task", [], |row| row.get::<_, Option<i64>>(0))?;
        let next = tx.first("SELECT next FROM numbering", [], |row| row.get(0))?;
        Ok(Self {
            first_new: last.flatten().unwrap_or(0) + 1,
            named_old: HashSet::new(),
            named,
            next_number: next.unwrap_or(1),
            links: Vec::new(),
            report: AddReport::default(),
        })
    }

    fn push(&mut self, tx: &mut Tx<'_>, mut task: NewTask) -> Outcome<TaskId> {
        normalise(&mut task);
        if task.id.is_some() {
            // A key is for a task without an id.
            task.key = None;
        }
        let Some((seq, id)) = find(tx, &task)? else {
            let id = match task.id.take() {
                Some(id) => id,
                None => self.number(tx)?,
            };
            self.insert(tx, &id, Row::new(task)?)?;
            self.report.added += 1;
            return Ok(id);
        };
        let again = seq >= self.first_new || !self.named_old.insert(seq);
        if again && task.key.is_some() {
            self.report.unchanged += 1;
        } else if again {
            return Err(StoreError::Duplicate { task: id }.into());
        } else {
            self.meet(tx, seq, &id, Row::new(task)?)?;
        }
        Ok(id)
    }

    /// The next number that is nobody's id.
    fn number(&mut self, tx: &Tx<'_>) -> Outcome<TaskId> {
        loop {
            let id = row::task_id(self.next_number.to_string())?;
            self.next_number += 1;
            if !self.named.contains(&id) && lookup(tx, &id)?.is_none() {
                return Ok(id);
            }
        }
    }

    fn insert(&mut self, tx: &mut Tx<'_>, id: &TaskId, row: Row) -> Outcome<()> {
        let task = row.task;
        let due = first_due(&task);
        let state = if task.depends_on.is_empty() { tx.resting(0, due) } else { State::Blocked };
        let marks = Marks::of(&task);
        let priority = i64::from(task.priority);
        tx.run(
            "INSERT INTO task (id, state, priority, unmet, due, marks, max_attempts, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                id.as_str(),
                state,
                priority,
                // The true number is counted when the task is linked.
                state == State::Blocked,
                due,
                marks.0,
                task.max_attempts,
                tx.now,
            ),
        )?;
        let seq = tx.last_seq();
        tx.run(
            "INSERT INTO spec (seq, hash, content, key, source) VALUES (?1, ?2, ?3, ?4, ?5)",
            (seq, row.hash, &row.content, &task.key, &task.source),
        )?;
        write_words(tx, seq, &task)?;
        tx.appear(Spot { seq, state, priority, marks })?;
        if state == State::Blocked {
            self.links.push(Link { seq, due, needs: task.depends_on });
        }
        Ok(())
    }

    /// Brings a task that is there up to date.
    fn meet(&mut self, tx: &mut Tx<'_>, seq: i64, id: &TaskId, row: Row) -> Outcome<()> {
        let same = tx.first(
            "SELECT hash = ?2, source IS ?3 FROM spec WHERE seq = ?1",
            (seq, row.hash, &row.task.source),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        match same {
            Some((true, true)) => self.report.unchanged += 1,
            Some((true, false)) => {
                tx.run("UPDATE spec SET source = ?2 WHERE seq = ?1", (seq, &row.task.source))?;
                self.report.unchanged += 1;
            }
            _ => {
                self.update(tx, seq, id, row)?;
                self.report.updated += 1;
            }
        }
        Ok(())
    }

    fn update(&mut self, tx: &mut Tx<'_>, seq: i64, id: &TaskId, row: Row) -> Outcome<()> {
        let spot = tx.spot(seq)?;
        if spot.state == State::Running {
            return Err(StoreError::Running { task: id.clone() }.into());
        }
        let task = row.task;
        // Out of every list under its old words, then back under the new ones when it is linked.
        tx.set_state(spot, State::Blocked)?;
        if spot.state == State::Succeeded {
            tx.unmet(seq)?;
        }
        let due = tx.first(
            "UPDATE task SET priority = ?2, marks = ?3, max_attempts = ?4,
                 due = CASE WHEN attempt = 0 OR ?5 THEN ?6 ELSE due END,
                 failures = CASE WHEN ?5 THEN 0 ELSE failures END,
                 recoveries = CASE WHEN ?5 THEN 0 ELSE recoveries END, finished = NULL
             WHERE seq = ?1 RETURNING due",
            (
                seq,
                task.priority,
                Marks::of(&task).0,
                task.max_attempts,
                spot.state.is_final(),
                first_due(&task),
            ),
            |row| row.get(0),
        )?;
        tx.run(
            "UPDATE spec SET hash = ?2, content = ?3, source = ?4 WHERE seq = ?1",
            (seq, row.hash, &row.content, &task.source),
        )?;
        tx.run("DELETE FROM dep WHERE task = ?1", [seq])?;
        tx.run("DELETE FROM tag WHERE seq = ?1", [seq])?;
        tx.run("DELETE FROM want WHERE seq = ?1", [seq])?;
        write_words(tx, seq, &task)?;
        self.links.push(Link { seq, due: due.unwrap_or(0), needs: task.depends_on });
        Ok(())
    }

    /// Links the tasks, and puts each where it belongs.
    fn close(self, tx: &mut Tx<'_>) -> Outcome<AddReport> {
        let mut forward = false;
        for link in &self.links {
            for on in &link.needs {
                let Some(needs) = lookup(tx, on)? else {
                    let (task, missing) = (id_of(tx, link.seq)?, on.clone());
                    return Err(StoreError::UnknownDependency { task, missing }.into());
                };
                forward |= needs >= link.seq;
                tx.run("INSERT INTO dep (task, needs) VALUES (?1, ?2)", (link.seq, needs))?;
            }
        }
        self.refuse_circles(tx, forward)?;
        for link in &self.links {
            settle(tx, link)?;
        }
        tx.run("UPDATE numbering SET next = ?1 WHERE next <> ?1", [self.next_number])?;
        Ok(self.report)
    }

    /// A new circle goes through a task of this call; and where only new tasks were linked, and
    /// each to earlier ones, there is none.
    fn refuse_circles(&self, tx: &Tx<'_>, forward: bool) -> Outcome<()> {
        let linked = || self.links.iter().filter(|link| !link.needs.is_empty());
        let old_linked = linked().any(|link| link.seq < self.first_new);
        if !forward && !old_linked {
            return Ok(());
        }
        // Nothing old leads to something new, unless something old was linked anew.
        let horizon = if old_linked { 0 } else { self.first_new };
        let found = graph::find_cycle(linked().map(|link| link.seq), |seq| {
            tx.all("SELECT needs FROM dep WHERE task = ?1 AND needs >= ?2", (seq, horizon), |row| {
                row.get::<_, i64>(0)
            })
        })?;
        match found {
            None => Ok(()),
            Some(seqs) => {
                let cycle = seqs.into_iter().map(|seq| id_of(tx, seq)).collect::<Outcome<_>>()?;
                Err(StoreError::Cycle { cycle }.into())
            }
        }
    }
}

impl Row {
    fn new(task: NewTask) -> Outcome<Self> {
        let content = content::to_json(&task)?;
        Ok(Self { hash: content::hash(&content), content, task })
    }
}

/// The task that is there under the same id or key.
fn find(tx: &Tx<'_>, task: &NewTask) -> Outcome<Option<(i64, TaskId)>> {
    match (&task.id, &task.key) {
        (Some(id), _) => Ok(lookup(tx, id)?.map(|seq| (seq, id.clone()))),
        (None, Some(key)) => {
            let seq = tx.first("SELECT seq FROM spec WHERE key = ?1", [key], |row| row.get(0))?;
            seq.map(|seq| Ok((seq, id_of(tx, seq)?))).transpose()
        }
        (None, None) => Ok(None),
    }
}

fn lookup(tx: &Tx<'_>, id: &TaskId) -> Outcome<Option<i64>> {
    tx.first("SELECT seq FROM task WHERE id = ?1", [id.as_str()], |row| row.get(0))
}

fn id_of(tx: &Tx<'_>, seq: i64) -> Outcome<TaskId> {
    let id = tx.first("SELECT id FROM task WHERE seq = ?1", [seq], |row| row.get(0))?;
    row::task_id(id.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

/// Counts what a linked task still misses, and lets it out if that is nothing.
fn settle(tx: &mut Tx<'_>, link: &Link) -> Outcome<()> {
    let unmet = tx.first(
        "UPDATE task SET unmet = (
             SELECT count(*) FROM dep JOIN task AS needed ON needed.seq = dep.needs
             WHERE dep.task = ?1 AND needed.state <> 5)
         WHERE seq = ?1 RETURNING unmet",
        [link.seq],
        |row| row.get(0),
    )?;
    match tx.resting(unmet.unwrap_or(0), link.due) {
        State::Blocked => Ok(()),
        state => {
            let spot = tx.spot(link.seq)?;
            tx.set_state(spot, state)
        }
    }
}

fn write_words(tx: &Tx<'_>, seq: i64, task: &NewTask) -> Outcome<()> {
    for tag in &task.tags {
        tx.run("INSERT INTO tag (seq, name) VALUES (?1, ?2)", (seq, tag))?;
    }
    tx.want(seq, task)
}

fn first_due(task: &NewTask) -> clock::Millis {
    task.not_before.map_or(0, clock::ceil)
}
