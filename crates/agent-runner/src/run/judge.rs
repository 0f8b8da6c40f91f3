//! From what a process did to what an attempt came to. Never by searching its output.

use agent_runner_exec::{End, Exit};

use super::{
    agent_result::{AgentResult, AgentResultError},
    attempt::{Ended, Order},
    outcome::Outcome,
};

/// How much of a failed check is handed to the next attempt.
const FEEDBACK_BYTES: usize = 2_000;

/// The agent ended by itself, or was too slow.
pub(super) fn agent(exit: &Exit, result: Result<Option<AgentResult>, AgentResultError>) -> Ended {
    let ended = match exit.end {
        End::TimedOut => Ended::new(Outcome::TimedOut, with_last_line("timed out", exit)),
        End::IdleTimedOut => {
            Ended::new(Outcome::IdleTimedOut, with_last_line("timed out without output", exit))
        }
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

/// The agent was content: what the check of its work says.
pub(super) fn verified(check: &Exit, agent: Ended) -> Ended {
    if check.is_success() {
        return agent;
    }
    let message =
        format!("the check failed ({})\n{}", check.end, last_bytes(&check.tail, FEEDBACK_BYTES));
    let failed = Ended { details: agent.details, ..Ended::new(Outcome::VerifyFailed, message) };
    Ended { duration: agent.duration + check.duration, ..measured(failed, check) }
}

/// Somebody wanted it to end.
pub(super) fn stopped(exit: &Exit, order: Order) -> Ended {
    let ended = match order {
        Order::Cancel => Ended::new(Outcome::Cancelled, "cancelled while it ran".to_owned()),
        Order::Lost => Ended::new(Outcome::Stopped, "the claim was taken away".to_owned()),
        Order::Stop => Ended::new(Outcome::Stopped, "the run was stopped".to_owned()),
    };
    measured(ended, exit)
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

fn measured(ended: Ended, exit: &Exit) -> Ended {
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
