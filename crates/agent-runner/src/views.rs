//! Tasks, attempts and counts as scripts see them. `docs/schemas/` describes each.

use std::collections::BTreeMap;

use agent_runner_task_store::{
    Attempt, CommandLine, Counts, RunningTask, Task, TaskId, TaskStatus, Verdict,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    key_state::RunKeys,
    life::{Life, LivingRun},
    run::PROOF,
    units::show_time,
};

/// A line of `list --json`.
#[derive(Debug, Serialize)]
pub struct TaskView<'a> {
    id: &'a TaskId,
    status: TaskStatus,
    title: &'a str,
    prompt: &'a str,
    command: Option<&'a CommandLine>,
    verify: Option<&'a CommandLine>,
    expect_diff: Option<bool>,
    priority: i32,
    depends_on: &'a [TaskId],
    locks: &'a [String],
    touches: &'a [String],
    tags: &'a [String],
    max_attempts: Option<u32>,
    timeout_s: Option<f64>,
    idle_timeout_s: Option<f64>,
    memory_bytes: Option<u64>,
    not_before: Option<String>,
    payload: &'a Value,
    source: Option<&'a str>,
    attempts: u32,
    failures: u32,
    recoveries: u32,
    created_at: String,
    finished_at: Option<String>,
    error: Option<&'a str>,
}

impl<'a> From<&'a Task> for TaskView<'a> {
    fn from(task: &'a Task) -> Self {
        let spec = &task.spec;
        Self {
            id: &task.id,
            status: task.status,
            title: &spec.title,
            prompt: &spec.prompt,
            command: spec.command.as_ref(),
            verify: spec.verify.as_ref(),
            expect_diff: spec.expect_diff,
            priority: spec.priority,
            depends_on: &spec.depends_on,
            locks: &spec.locks,
            touches: &spec.touches,
            tags: &spec.tags,
            max_attempts: spec.max_attempts,
            timeout_s: spec.timeout.map(|d| d.as_secs_f64()),
            memory_bytes: spec.memory,
            idle_timeout_s: spec.idle_timeout.map(|d| d.as_secs_f64()),
            not_before: spec.not_before.map(show_time),
            payload: &spec.payload,
            source: spec.source.as_deref(),
            attempts: task.attempt,
            failures: task.failures,
            recoveries: task.recoveries,
            created_at: show_time(task.created_at),
            finished_at: task.finished_at.map(show_time),
            error: task.error.as_deref(),
        }
    }
}

/// An attempt in `show --json`.
#[derive(Debug, Serialize)]
pub struct AttemptView<'a> {
    number: u32,
    run: &'a str,
    host: &'a str,
    pid: u32,
    worker: u32,
    started_at: String,
    finished_at: Option<String>,
    outcome: Option<&'a str>,
    verdict: Option<&'static str>,
    message: Option<&'a str>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    duration_s: Option<f64>,
    log: Option<&'a str>,
    credential: Option<&'a str>,
    proof: Option<&'a Value>,
    details: Option<BTreeMap<&'a str, &'a Value>>,
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let report = attempt.report.as_ref();
        Self {
            number: attempt.number,
            run: &attempt.worker.run,
            host: &attempt.worker.host,
            pid: attempt.worker.pid,
            worker: attempt.worker.number,
            started_at: show_time(attempt.started_at),
            finished_at: attempt.finished_at.map(show_time),
            outcome: report.map(|r| r.outcome.as_str()),
            verdict: report.map(|r| verdict_name(r.verdict)),
            message: report.and_then(|r| r.message.as_deref()),
            exit_code: report.and_then(|r| r.exit_code),
            signal: report.and_then(|r| r.signal),
            duration_s: report.map(|r| r.duration.as_secs_f64()),
            log: report.and_then(|r| r.log.as_deref()),
            credential: report.and_then(|r| r.credential.as_deref()),
            proof: report.and_then(|r| r.details.get(PROOF)),
            details: report.map(|r| details(&r.details)),
        }
    }
}

/// What the agent said, without what the runner found out.
fn details(all: &BTreeMap<String, Value>) -> BTreeMap<&str, &Value> {
    all.iter().filter(|(name, _)| *name != PROOF).map(|(name, it)| (name.as_str(), it)).collect()
}

/// A verdict's name in JSON.
pub const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Failed { .. } => "failed",
        Verdict::Dead => "dead",
        Verdict::Crashed { .. } => "crashed",
        Verdict::Released { .. } => "released",
        Verdict::Cancelled => "cancelled",
    }
}

/// `status --json`.
#[derive(Debug, Serialize)]
pub struct StatusView<'a> {
    /// The store.
    pub store: &'a str,
    /// How many tasks stand where.
    pub counts: Counts,
    /// All tasks.
    pub total: u64,
    /// What runs now.
    pub running: Vec<RunningView<'a>>,
    /// The runs that go on on this machine.
    pub runs: Vec<LivingRun>,
    /// How the credentials of the runs on this machine stand.
    pub keys: Vec<RunKeys>,
}

/// A running task in `status --json`.
#[derive(Debug, Serialize)]
pub struct RunningView<'a> {
    id: &'a TaskId,
    attempt: u32,
    run: &'a str,
    host: &'a str,
    pid: u32,
    worker: u32,
    held_s: f64,
    lease_left_s: f64,
    state: Life,
    waits_to_merge: bool,
}

impl<'a> RunningView<'a> {
    /// A running task, and who works on it.
    pub fn new(task: &'a RunningTask, state: Life, waits_to_merge: bool) -> Self {
        Self {
            id: &task.fence.task,
            attempt: task.fence.attempt,
            run: &task.worker.run,
            host: &task.worker.host,
            pid: task.worker.pid,
            worker: task.worker.number,
            held_s: task.held_for.as_secs_f64(),
            lease_left_s: task.lease_left.as_secs_f64(),
            state,
            waits_to_merge,
        }
    }
}
