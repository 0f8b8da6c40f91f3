//! Rows as they are read, and what they mean to a caller.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    fault::Outcome,
    state::State,
    tx::{Spot, Tx},
};
use crate::{
    NewTask, Report, StoreError, Task, TaskId, Worker,
    clock::{self, Millis},
    rules,
};

/// A task as the database has it, its JSON not yet parsed.
#[derive(Debug)]
pub(super) struct RawTask {
    id: String,
    state: State,
    due: Millis,
    attempt: u32,
    failures: u32,
    recoveries: u32,
    created: Millis,
    finished: Option<Millis>,
    content: String,
    key: Option<String>,
    source: Option<String>,
    last_report: Option<String>,
}

impl RawTask {
    pub(super) fn find(conn: &Connection, seq: i64) -> Outcome<Self> {
        let mut task = conn
            .prepare_cached(
                "SELECT id, state, due, attempt, failures, recoveries, created, finished,
                     content, key, source
                 FROM task JOIN spec USING (seq) WHERE seq = ?1",
            )?
            .query_row([seq], Self::read)?;
        if task.attempt > 0 && task.state != State::Succeeded {
            task.last_report = conn
                .prepare_cached(
                    "SELECT report FROM attempt WHERE seq = ?1 ORDER BY number DESC LIMIT 1",
                )?
                .query_row([seq], |row| row.get(0))
                .optional()?;
        }
        Ok(task)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            state: row.get(1)?,
            due: row.get(2)?,
            attempt: row.get(3)?,
            failures: row.get(4)?,
            recoveries: row.get(5)?,
            created: row.get(6)?,
            finished: row.get(7)?,
            content: row.get(8)?,
            key: row.get(9)?,
            source: row.get(10)?,
            last_report: None,
        })
    }

    pub(super) fn parse(self, now: Millis) -> Outcome<Task> {
        let id = task_id(self.id)?;
        let mut spec: NewTask = json(&self.content)?;
        spec.id = Some(id.clone());
        spec.key = self.key;
        spec.source = self.source;
        let report: Option<Report> = self.last_report.as_deref().map(json).transpose()?;
        Ok(Task {
            id,
            spec,
            status: self.state.status(self.due, now),
            attempt: self.attempt,
            failures: self.failures,
            recoveries: self.recoveries,
            created_at: clock::time(self.created),
            finished_at: self.finished.map(clock::time),
            error: report.as_ref().and_then(rules::error_of),
        })
    }
}

impl Tx<'_> {
    pub(super) fn task(&self, seq: i64) -> Outcome<RawTask> {
        RawTask::find(self.connection(), seq)
    }

    pub(super) fn spot(&self, seq: i64) -> Outcome<Spot> {
        let spot = self.first(
            "SELECT seq, state, priority, marks FROM task WHERE seq = ?1",
            [seq],
            Spot::read,
        )?;
        Ok(spot.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
    }
}

/// The place of a task in the order of adding.
pub(super) fn seq_of(conn: &Connection, id: &TaskId) -> Outcome<i64> {
    let seq = conn
        .prepare_cached("SELECT seq FROM task WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(seq.ok_or_else(|| StoreError::NotFound { task: id.clone() })?)
}

pub(super) fn task_id(id: String) -> Outcome<TaskId> {
    Ok(TaskId::new(id).map_err(|error| unreadable(error.to_string()))?)
}

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Outcome<T> {
    Ok(serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?)
}

/// The four columns of a worker, from `at` on.
pub(super) fn worker(row: &Row<'_>, at: usize) -> rusqlite::Result<Worker> {
    Ok(Worker {
        run: row.get(at)?,
        host: row.get(at + 1)?,
        pid: row.get(at + 2)?,
        number: row.get(at + 3)?,
    })
}

/// A value that this code did not write.
fn unreadable(detail: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, detail.into())
}
