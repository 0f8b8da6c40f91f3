//! From what a process did to what an attempt came to. Never by searching its output.

use std::time::{Duration, SystemTime};

use agent_runner_exec::{End, Exit};
use agent_runner_signals::{self as signals, Format, Summary};

use super::{
    agent_result::{AgentResult, AgentResultError},
    attempt::{Ended, Order},
    limits::{CHECK, PROCESS, figures},
    outcome::Outcome,
    proof::Proof,
    reading,
};
use crate::units::{local, show_size};

/// How much of a failed check is handed to the next attempt.
const FEEDBACK_BYTES: usize = 2_000;

/// The agent ended by itself, or was too slow. What it wrote to its result file counts first, then
/// what its CLI says, then how its process ended.
pub(super) fn agent(
    exit: &Exit,
    result: Result<Option<AgentResult>, AgentResultError>,
    summary: &Summary,
) -> Ended {
    let wrote_nothing = matches!(result, Ok(None));
    if wrote_nothing && summary.format != Format::Plain {
        return measured(spoke(exit, summary), exit);
    }
    let ended = match exit.end {
        End::TimedOut => Ended::new(Outcome::TimedOut, with_last_line("timed out", exit)),
        End::IdleTimedOut => {
            Ended::new(Outcome::IdleTimedOut, with_last_line("timed out without output", exit))
        }
        End::MemoryExceeded => Ended::new(Outcome::MemoryExceeded, too_much_memory(exit)),
        End::Signaled(_) => {
            Ended::new(Outcome::Crashed, with_last_line(&exit.end.to_string(), exit))
        }
        _ => match result {
            Ok(Some(result)) => said(exit, result),
            Ok(None) => silent(exit),
            Err(error) => Ended::new(Outcome::TaskFailed, error.to_string()),
        },
    };
    measured(ended, exit)
}

/// What the CLI of the agent says.
fn spoke(exit: &Exit, summary: &Summary) -> Ended {
    let end = match exit.end {
        End::Exited(code) => signals::End::Exited(code),
        End::Signaled(signal) => signals::End::Signaled(signal),
        End::TimedOut | End::IdleTimedOut | End::MemoryExceeded => signals::End::TimedOut,
        _ => signals::End::Stopped,
    };
    let now = SystemTime::now();
    let verdict = signals::judge(summary, end, &local(now));
    let retry_after = verdict.wait(now);
    let (outcome, message) = match (verdict.outcome, exit.end) {
        (signals::Outcome::NoTerminalEvent, End::TimedOut) => {
            (Outcome::TimedOut, Some(with_last_line("timed out", exit)))
        }
        (signals::Outcome::NoTerminalEvent, End::IdleTimedOut) => {
            (Outcome::IdleTimedOut, Some("timed out without output".to_owned()))
        }
        (signals::Outcome::NoTerminalEvent, End::MemoryExceeded) => {
            (Outcome::MemoryExceeded, Some(too_much_memory(exit)))
        }
        (outcome, _) => (Outcome::of_signals(outcome), verdict.message),
    };
    let proof = Proof { terminal_event: Some(summary.ending.is_some()), ..Proof::default() };
    Ended {
        retry_after,
        details: reading::details(summary, verdict.rule),
        proof,
        ..Ended::new(outcome, message)
    }
}

/// The agent was content: what the check of its work says.
pub(super) fn verified(check: &Exit, mut agent: Ended) -> Ended {
    agent.details.insert(CHECK.to_owned(), figures(check));
    if check.is_success() {
        let survivors = agent.proof.survivors + check.survivors;
        let proof = Proof { verified: Some(true), survivors, ..agent.proof };
        return Ended { proof, ..agent };
    }
    let tail = last_bytes(&check.tail, FEEDBACK_BYTES);
    let message = format!("the check failed ({})\n{tail}", check.end);
    let mut failed = measured(Ended::new(Outcome::VerifyFailed, message), check);
    failed.proof.verified = Some(false);
    agent.but(failed)
}

/// The check was content before the work was moved onto the target, and is not now.
pub(super) fn refused(check: &Exit) -> Ended {
    let tail = last_bytes(&check.tail, FEEDBACK_BYTES);
    let message = format!(
        "the check failed after the work was moved onto what others have merged ({})\n{tail}",
        check.end
    );
    let mut failed = measured(Ended::new(Outcome::VerifyFailed, message), check);
    failed.proof = Proof { verified: Some(false), ..Proof::default() };
    Ended { duration: Duration::ZERO, ..failed }
}

/// Somebody wanted it to end.
pub(super) fn stopped(exit: &Exit, order: Order) -> Ended {
    measured(ordered(order), exit)
}

/// Somebody wanted it to end while nothing ran.
pub(super) fn ordered(order: Order) -> Ended {
    match order {
        Order::Cancel => Ended::new(Outcome::Cancelled, "cancelled while it ran".to_owned()),
        Order::Lost => Ended::new(Outcome::Stopped, "the claim was taken away".to_owned()),
        Order::Stop => Ended::new(Outcome::Stopped, "the run was stopped".to_owned()),
    }
}

/// What the agent says of itself counts, but for a success that its exit code denies.
fn said(exit: &Exit, result: AgentResult) -> Ended {
    let retry_after = result.retry_after();
    let denied = result.outcome == Outcome::Succeeded && !exit.is_success();
    let outcome = if denied { Outcome::TaskFailed } else { result.outcome };
    let message = match outcome {
        Outcome::Succeeded => result.message,
        _ => Some(result.message.unwrap_or_else(|| with_last_line(&exit.end.to_string(), exit))),
    };
    let details = result.details.into_iter().collect();
    Ended { retry_after, details, ..Ended::new(outcome, message) }
}

fn silent(exit: &Exit) -> Ended {
    if exit.is_success() {
        Ended::new(Outcome::Succeeded, None)
    } else {
        Ended::new(Outcome::TaskFailed, with_last_line(&exit.end.to_string(), exit))
    }
}

fn too_much_memory(exit: &Exit) -> String {
    let what = match exit.usage.peak_memory {
        Some(peak) => format!("{} (it had {})", exit.end, show_size(peak)),
        None => exit.end.to_string(),
    };
    with_last_line(&what, exit)
}

fn measured(mut ended: Ended, exit: &Exit) -> Ended {
    ended.proof.survivors = exit.survivors;
    ended.details.insert(PROCESS.to_owned(), figures(exit));
    Ended { exit_code: exit.code, signal: exit.signal, duration: exit.duration, ..ended }
}

fn with_last_line(what: &str, exit: &Exit) -> String {
    match exit.last_line() {
        Some(line) => format!("{what}: {line}"),
        None => what.to_owned(),
    }
}

fn last_bytes(text: &str, bytes: usize) -> &str {
    let text = text.trim_end();
    let start = text.len().saturating_sub(bytes);
    let start = (start..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(start);
    &text[start..]
}
