//! An event as one line for people.

use std::time::{Duration, SystemTime};

use agent_runner_gateway::Line;
use agent_runner_task_store::TaskStatus;

use super::Event;
use crate::run::{DiffStat, Proof};
use crate::ui::{BOLD, DIM, ERROR, GOOD, WARNING, headline, printable};
use crate::units::{count, show_clock, show_duration, show_tokens};

/// The line, or `None` for an event that says nothing to a person.
pub(super) fn of(event: &Event, verbose: bool) -> Option<String> {
    match event {
        Event::RunStarted { jobs, keys, counts, run, .. } => {
            let done = counts.succeeded;
            let resumed = if done > 0 { format!(", {done} done before") } else { String::new() };
            let keys =
                if *keys > 0 { format!(", {}", count(*keys as u64, "key")) } else { String::new() };
            Some(format!(
                "{BOLD}run {run}{BOLD:#}: {} to do{resumed}, {jobs} at once{keys}",
                count(counts.open(), "task")
            ))
        }
        Event::TaskStarted { task, title, attempt, worker, credential } if verbose => {
            let key = credential.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
            Some(format!(
                "{DIM}▶ {task} {} attempt {attempt} w{worker}{key}{DIM:#}",
                headline(title, 50)
            ))
        }
        Event::TaskFinished { .. } => finished(event),
        Event::ClaimLost { task, attempt, .. } => Some(format!(
            "{WARNING}↯{WARNING:#} {task} attempt {attempt} ended after its claim was taken away: not recorded"
        )),
        Event::TaskOrphaned { task, holder, .. } => Some(format!(
            "{WARNING}…{WARNING:#} {task} waits for the agent of {}, which is gone",
            printable(holder)
        )),
        Event::TaskRescued { task, holder, ended_processes, .. } => {
            let ended = match ended_processes {
                0 => String::new(),
                n => format!(", {} ended", count(u64::from(*n), "left-over process")),
            };
            Some(format!(
                "{WARNING}↻{WARNING:#} {task} taken back from {}, which is gone{ended}",
                printable(holder)
            ))
        }
        Event::WorkSaved { task, attempt, commit, files } => Some(format!(
            "{WARNING}↻{WARNING:#} {} attempt {attempt}: {} saved as {}",
            printable(task),
            count(*files as u64, "changed file"),
            short(commit)
        )),
        Event::KeyRested { key, state, ready_in_s } => Some(match ready_in_s {
            Some(s) => format!("{WARNING}⏸{WARNING:#} {key} is {state}, ready in {}", seconds(*s)),
            None => format!("{ERROR}⏸{ERROR:#} {key} is {state}"),
        }),
        Event::KeysExhausted { ready_in_s, unreachable: Some(why), .. } => {
            Some(unreachable(*ready_in_s, why))
        }
        Event::KeysExhausted { ready_in_s, providers, .. } => {
            Some(exhausted(*ready_in_s, &providers.join(", ")))
        }
        Event::KeysUsed { lines } => Some(used(lines)),
        Event::StartsHeld { message, at_work, .. } => Some(format!(
            "{WARNING}⏸{WARNING:#} no more agents are started: {message}; {at_work} at work"
        )),
        Event::StartsResumed { held_s } if verbose => {
            Some(format!("{DIM}▶ agents are started again after {}{DIM:#}", seconds(*held_s)))
        }
        Event::TaskStarted { .. } | Event::StartsResumed { .. } => None,
        Event::LimitChanged { limit, reason } => Some(format!(
            "{DIM}⇅ {} at once from now on: {}{DIM:#}",
            count(*limit as u64, "agent"),
            reason.replace('_', " "),
        )),
        Event::WorkerRecovered { worker, recoveries, reason } => Some(format!(
            "{WARNING}☠{WARNING:#} w{worker} {} → recovered ({recoveries} so far)",
            headline(reason, 70)
        )),
        Event::WorkerRetired { worker, reason } => {
            Some(format!("{ERROR}☠{ERROR:#} w{worker} is given up: {}", headline(reason, 70)))
        }
        Event::Stopping { reason, next } => Some(format!("{BOLD}{reason}{BOLD:#}: {next}")),
        Event::RunFinished { reason, counts, attempts, duration_s, .. } => Some(format!(
            "{BOLD}{reason}{BOLD:#} after {}: {} succeeded, {} failed, {} left, {} in this run",
            seconds(*duration_s),
            counts.succeeded,
            counts.failed,
            counts.open(),
            count(*attempts, "attempt"),
        )),
    }
}

fn finished(event: &Event) -> Option<String> {
    let Event::TaskFinished {
        task,
        title,
        attempt,
        worker,
        status,
        outcome,
        message,
        duration_s,
        retry_after_s,
        proof,
        ..
    } = event
    else {
        return None;
    };
    let (style, glyph) = match status {
        TaskStatus::Succeeded => (GOOD, "✓"),
        TaskStatus::Failed => (ERROR, "✗"),
        TaskStatus::Cancelled => (DIM, "-"),
        _ => (WARNING, "↻"),
    };
    let mut line = format!("{style}{glyph}{style:#} {task} {}", headline(title, 48));
    if *status != TaskStatus::Succeeded {
        let why = message.as_deref().unwrap_or(outcome);
        line = format!("{line}: {}", headline(why, 100));
    }
    if let Some(proof) = proof {
        line += &whereabouts(proof);
    }
    if let Some(after) = retry_after_s {
        line = format!("{line}, again in {}", seconds(*after));
    }
    Some(format!("{line} {DIM}{} attempt {attempt} w{worker}{DIM:#}", seconds(*duration_s)))
}

/// What tasks wait for, until when, and what a person can do.
fn unreachable(ready_in_s: Option<f64>, why: &str) -> String {
    let why = printable(why);
    match ready_in_s {
        Some(s) => format!(
            "{WARNING}⏸{WARNING:#} the provider cannot be reached, tried again in {}: {why}",
            seconds(s)
        ),
        None => format!(
            "{ERROR}⏸{ERROR:#} the provider cannot be reached: {why}; `agent-runner keys test` tries it"
        ),
    }
}

fn exhausted(ready_in_s: Option<f64>, providers: &str) -> String {
    match (ready_in_s, providers) {
        (Some(s), "") => format!(
            "{WARNING}⏸{WARNING:#} the provider takes no more for now: the agent's tasks wait {}",
            seconds(s)
        ),
        (None, "") => format!(
            "{ERROR}⏸{ERROR:#} the agent's own login is refused: log in anew, or give it keys (`agent-runner help environment`)"
        ),
        (Some(s), _) => format!(
            "{WARNING}⏸{WARNING:#} no key of {providers} is ready before {} (in {}): tasks that need one wait; another key would help, or `agent-runner keys reset` once one works again",
            at(s),
            seconds(s)
        ),
        (None, _) => format!(
            "{ERROR}⏸{ERROR:#} no key of {providers} is left: `agent-runner keys list` says why, `keys reset` that one works again"
        ),
    }
}

/// The clock's time in so many seconds.
fn at(in_s: f64) -> String {
    let wait = Duration::try_from_secs_f64(in_s).unwrap_or_default();
    SystemTime::now().checked_add(wait).map(show_clock).unwrap_or_default()
}

/// Where the work of an attempt is that succeeded.
fn whereabouts(proof: &Proof) -> String {
    let Proof { merged, work, diff, .. } = proof;
    let place = match (merged, work) {
        (Some(merged), _) => format!("{} {}", merged.target, short(&merged.commit)),
        (None, Some(work)) => work.branch.clone(),
        (None, None) => return String::new(),
    };
    let diff =
        diff.map(|DiffStat { insertions, deletions, .. }| format!(" +{insertions} -{deletions}"));
    format!(" {DIM}→ {place}{}{DIM:#}", diff.unwrap_or_default())
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// What the keys were used for, in one line.
fn used(lines: &[Line]) -> String {
    let requests = lines.iter().map(|line| line.requests).sum();
    let sum = |part: fn(&Line) -> u64| show_tokens(lines.iter().map(part).sum());
    let usd: f64 = lines.iter().filter_map(|line| line.cost_usd).sum();
    let cost = if usd > 0.0 { format!(", ${usd:.2}") } else { String::new() };
    let mut keys: Vec<_> = lines.iter().map(|line| &line.key).collect();
    keys.dedup();
    format!(
        "{DIM}used {} of {}: {} tokens in, {} more from the cache, {} out{cost}{DIM:#}",
        count(requests, "request"),
        count(keys.len() as u64, "key"),
        sum(|line| line.usage.input + line.usage.cache_write),
        sum(|line| line.usage.cache_read),
        sum(|line| line.usage.output),
    )
}

fn seconds(seconds: f64) -> String {
    show_duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
