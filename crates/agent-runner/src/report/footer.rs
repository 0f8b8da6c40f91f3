//! The footer on a terminal: how far the run is, and what each worker does.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use agent_runner_task_store::{TaskId, TaskStatus};

use super::Event;
use crate::{ui::headline, units::show_duration};

/// At most so many workers are shown.
const ROWS: usize = 8;
const WIDTH: u64 = 24;

#[derive(Debug)]
pub(super) struct Footer {
    started: Instant,
    jobs: u32,
    total: u64,
    done: u64,
    failed: u64,
    /// Attempts that ended a task, and how long they took in all: what the estimate is made of.
    measured: (u32, Duration),
    running: BTreeMap<u32, Row>,
    note: String,
    hold: String,
}

#[derive(Debug)]
struct Row {
    task: TaskId,
    title: String,
    attempt: u32,
    since: Instant,
}

impl Footer {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            jobs: 1,
            total: 0,
            done: 0,
            failed: 0,
            measured: (0, Duration::ZERO),
            running: BTreeMap::new(),
            note: String::new(),
            hold: String::new(),
        }
    }

    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::RunStarted { counts, jobs, .. } => {
                self.jobs = *jobs;
                self.total = counts.total();
                self.done = counts.succeeded + counts.cancelled;
                self.failed = counts.failed;
            }
            Event::TaskStarted { task, title, attempt, worker, .. } => {
                let row = Row {
                    task: task.clone(),
                    title: title.clone(),
                    attempt: *attempt,
                    since: Instant::now(),
                };
                self.running.insert(*worker, row);
            }
            Event::TaskFinished { worker, status, duration_s, .. } => {
                self.running.remove(worker);
                self.end(*status, *duration_s);
            }
            Event::ClaimLost { worker, .. } => drop(self.running.remove(worker)),
            Event::KeysExhausted { unreachable: Some(_), .. } => {
                self.note = "the provider cannot be reached".into();
            }
            Event::KeysExhausted { ready_in_s, .. } => {
                self.note = match ready_in_s {
                    Some(s) => format!("no key is ready for {s:.0}s"),
                    None => "no key is left".into(),
                };
            }
            Event::StartsHeld { message, .. } => {
                self.hold = format!("no more agents are started: {message}");
            }
            Event::StartsResumed { .. } => self.hold.clear(),
            Event::LimitChanged { limit, .. } => {
                self.jobs = u32::try_from(*limit).unwrap_or(u32::MAX);
            }
            Event::Stopping { reason, next } => self.note = format!("{reason}: {next}"),
            _ => {}
        }
    }

    fn end(&mut self, status: TaskStatus, duration_s: f64) {
        match status {
            TaskStatus::Succeeded | TaskStatus::Cancelled => self.done += 1,
            TaskStatus::Failed => self.failed += 1,
            _ => return,
        }
        self.measured.0 += 1;
        self.measured.1 += Duration::try_from_secs_f64(duration_s).unwrap_or_default();
    }

    pub(super) fn text(&self, now: Instant) -> String {
        let ended = (self.done + self.failed).min(self.total);
        let filled = (WIDTH * ended).checked_div(self.total).unwrap_or(0);
        let bar: String = (0..WIDTH).map(|i| if i < filled { '█' } else { '·' }).collect();
        let mut text = format!(
            "  ▕{bar}▏ {ended}/{}  {} failed  {}",
            self.total,
            self.failed,
            show_duration(now.duration_since(self.started)),
        );
        if let Some(left) = self.estimate(ended) {
            // Writing to a string cannot fail.
            let _ = write!(text, "  ETA {}", show_duration(left));
        }
        for (worker, row) in self.running.iter().take(ROWS) {
            let _ = write!(
                text,
                "\n     w{worker} {} {} {}{}",
                row.task,
                headline(&row.title, 40),
                show_duration(now.duration_since(row.since)),
                if row.attempt > 1 { format!(" attempt {}", row.attempt) } else { String::new() },
            );
        }
        if self.running.len() > ROWS {
            let _ = write!(text, "\n     … and {} more", self.running.len() - ROWS);
        }
        for note in [&self.hold, &self.note].into_iter().filter(|note| !note.is_empty()) {
            let _ = write!(text, "\n  {note}");
        }
        text
    }

    /// Mean time of an attempt × what is left ÷ workers; after three attempts.
    fn estimate(&self, ended: u64) -> Option<Duration> {
        let (attempts, time) = self.measured;
        let left = u32::try_from(self.total - ended).ok().filter(|&left| left > 0)?;
        (attempts >= 3).then(|| (time / attempts).saturating_mul(left) / self.jobs.max(1))
    }
}
