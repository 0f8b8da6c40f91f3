//! Looking: what callers read, from one snapshot each.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::{
    fault::Outcome,
    row::{self, RawTask, seq_of, task_id},
    state::State,
};
use crate::{
    Attempt, Counts, Fence, Filter, RunningTask, Task, TaskId, TaskStatus,
    clock::{self, Millis},
};

pub(super) fn get(conn: &Connection, id: &TaskId, now: Millis) -> Outcome<Option<Task>> {
    let seq = conn
        .prepare_cached("SELECT seq FROM task WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    seq.map(|seq| RawTask::find(conn, seq)?.parse(now)).transpose()
}

pub(super) fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<&TaskId>,
    limit: usize,
    now: Millis,
) -> Outcome<Vec<Task>> {
    let after = after.map_or(Ok(0), |id| seq_of(conn, id))?;
    let seqs = page(conn, filter, after, limit, now)?;
    seqs.into_iter().map(|seq| RawTask::find(conn, seq)?.parse(now)).collect()
}

/// The next tasks after `after` that a filter lets through, by their place.
pub(super) fn page(
    conn: &Connection,
    filter: &Filter,
    after: i64,
    limit: usize,
    now: Millis,
) -> Outcome<Vec<i64>> {
    let limit_sql = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut seqs: Vec<i64> = Vec::new();
    let mut take = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Outcome<()> {
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| row.get(0))?;
        for seq in rows {
            seqs.push(seq?);
        }
        Ok(())
    };
    if !filter.tags.is_empty() {
        let mask = mask(&filter.statuses);
        for tag in &filter.tags {
            take(
                "SELECT tag.seq FROM tag CROSS JOIN task ON task.seq = tag.seq
                 WHERE tag.name = ?1 AND tag.seq > ?2
                 AND (?4 >> CASE WHEN state = 2 AND due <= ?5 THEN 0 ELSE state END) & 1
                 ORDER BY tag.seq LIMIT ?3",
                &[tag, &after, &limit_sql, &mask, &now],
            )?;
        }
    } else if filter.statuses.is_empty() {
        take("SELECT seq FROM task WHERE seq > ?1 ORDER BY seq LIMIT ?2", &[&after, &limit_sql])?;
    } else {
        for (state, elapsed) in states(&filter.statuses) {
            take(
                "SELECT seq FROM task WHERE state = ?1 AND seq > ?2
                 AND (?4 IS NULL OR (due <= ?5) = ?4) ORDER BY seq LIMIT ?3",
                &[&state, &after, &limit_sql, &elapsed, &now],
            )?;
        }
    }
    seqs.sort_unstable();
    seqs.dedup();
    seqs.truncate(limit);
    Ok(seqs)
}

/// The states that statuses stand for; for delayed tasks, whether their time has come.
fn states(statuses: &[TaskStatus]) -> Vec<(State, Option<bool>)> {
    let mut states = Vec::new();
    for status in TaskStatus::ALL {
        if !statuses.contains(&status) {
            continue;
        }
        match status {
            TaskStatus::Pending => {
                states.extend([(State::Ready, None), (State::Delayed, Some(true))]);
            }
            TaskStatus::Waiting => states.extend([
                (State::Blocked, None),
                (State::Delayed, Some(false)),
                (State::Parked, None),
            ]),
            TaskStatus::Running => states.push((State::Running, None)),
            ended => states.push((State::ended(ended), None)),
        }
    }
    states
}

/// The states that statuses stand for as bits, an elapsed delay counting as ready.
fn mask(statuses: &[TaskStatus]) -> i64 {
    if statuses.is_empty() {
        return -1;
    }
    let states = states(statuses).into_iter();
    let kept = states.filter(|(_, elapsed)| *elapsed != Some(true));
    kept.fold(0, |mask, (state, _)| mask | 1 << (state as i64))
}

pub(super) fn attempts(conn: &Connection, id: &TaskId) -> Outcome<Vec<Attempt>> {
    let seq = seq_of(conn, id)?;
    let mut ended = conn.prepare_cached(
        "SELECT attempt.number, started, finished, report, run, host, pid, worker.number
         FROM attempt JOIN worker ON worker.id = attempt.worker
         WHERE seq = ?1 ORDER BY attempt.number",
    )?;
    let mut rows = ended.query([seq])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        attempts.push(Attempt {
            task: id.clone(),
            number: row.get(0)?,
            worker: row::worker(row, 4)?,
            started_at: clock::time(row.get(1)?),
            finished_at: Some(clock::time(row.get(2)?)),
            report: Some(row::json(&row.get::<_, String>(3)?)?),
        });
    }
    let mut now = conn.prepare_cached(
        "SELECT attempt, started, run, host, pid, number
         FROM task JOIN worker ON worker.id = task.worker WHERE seq = ?1 AND state = 4",
    )?;
    let running = now.query_row([seq], |row| {
        Ok(Attempt {
            task: id.clone(),
            number: row.get(0)?,
            worker: row::worker(row, 2)?,
            started_at: clock::time(row.get(1)?),
            finished_at: None,
            report: None,
        })
    });
    attempts.extend(running.optional()?);
    Ok(attempts)
}

pub(super) fn running(conn: &Connection, now: Millis) -> Outcome<Vec<RunningTask>> {
    let mut statement = conn.prepare_cached(
        "SELECT task.id, attempt, nonce, started, lease_until, run, host, pid, number
         FROM task JOIN worker ON worker.id = task.worker
         WHERE state = 4 ORDER BY started, seq",
    )?;
    let mut rows = statement.query([])?;
    let mut running = Vec::new();
    while let Some(row) = rows.next()? {
        let nonce: i64 = row.get(2)?;
        let (started, until): (Millis, Millis) = (row.get(3)?, row.get(4)?);
        running.push(RunningTask {
            fence: Fence {
                task: task_id(row.get(0)?)?,
                attempt: row.get(1)?,
                nonce: nonce.cast_unsigned(),
            },
            worker: row::worker(row, 5)?,
            held_for: clock::duration(now.saturating_sub(started)),
            lease_left: clock::duration(until.saturating_sub(now)),
        });
    }
    Ok(running)
}

pub(super) fn counts(conn: &Connection, now: Millis) -> Outcome<Counts> {
    let mut counts = Counts::default();
    let mut statement = conn.prepare_cached("SELECT state, tasks FROM counter")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let state: State = row.get(0)?;
        *counts.of(state.status(Millis::MAX, now)) += row.get::<_, i64>(1)?.cast_unsigned();
    }
    let elapsed: i64 = conn
        .prepare_cached(
            "SELECT count(*) FROM task INDEXED BY task_delayed WHERE state = 2 AND due <= ?1",
        )?
        .query_row([now], |row| row.get(0))?;
    counts.waiting -= elapsed.cast_unsigned();
    counts.pending += elapsed.cast_unsigned();
    Ok(counts)
}

pub(super) fn next_due(conn: &Connection, now: Millis) -> Outcome<Option<Duration>> {
    let due = |sql: &str| -> Outcome<Option<Millis>> {
        Ok(conn.prepare_cached(sql)?.query_row([now], |row| row.get(0))?)
    };
    let delay =
        due("SELECT min(due) FROM task INDEXED BY task_delayed WHERE state = 2 AND due > ?1")?;
    let lease = conn
        .prepare_cached("SELECT min(lease_until) FROM task INDEXED BY task_lease WHERE state = 4")?
        .query_row([], |row| row.get::<_, Option<Millis>>(0))?;
    let next = delay.into_iter().chain(lease).min();
    Ok(next.map(|at| clock::duration(at.saturating_sub(now))))
}

pub(super) fn delayed(conn: &Connection, limit: usize, now: Millis) -> Outcome<Vec<Task>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(
        "SELECT seq FROM task INDEXED BY task_delayed
         WHERE state = 2 AND due > ?1 ORDER BY due LIMIT ?2",
    )?;
    let seqs = statement.query_map([now, limit], |row| row.get(0))?;
    seqs.map(|seq| RawTask::find(conn, seq?)?.parse(now)).collect()
}
