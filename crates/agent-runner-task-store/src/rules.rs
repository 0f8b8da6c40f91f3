//! What an attempt's end makes of its task: the rules that every store here shares, without a store.

use crate::{
    Budget, Report, TaskStatus, Verdict,
    clock::{self, Millis},
};

/// Says whether two patterns of [`NewTask::touches`](crate::NewTask::touches) can match one path.
///
/// A store passes the patterns as they were added. All that it knows of them is that equal ones
/// overlap. The order of the two must not matter. A claim waits for the answer, so it should be
/// quick and must not panic.
pub type Overlap = fn(&str, &str) -> bool;

/// The safe answer of a store that was told no other.
pub(crate) const fn any_two_overlap(_: &str, _: &str) -> bool {
    true
}

/// What a task has used of its budgets, and what its claim allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger {
    pub(crate) failures: u32,
    pub(crate) recoveries: u32,
    pub(crate) budget: Budget,
    /// Somebody wants the task cancelled.
    pub(crate) cancel: bool,
}

/// Where a task goes from its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Back among those to do, not before this time.
    Rest { due: Millis },
    /// To its end.
    End(TaskStatus),
}

impl Ledger {
    /// Charges an attempt that ended with `verdict` at `now`.
    pub(crate) fn settle(&mut self, verdict: Verdict, now: Millis) -> Next {
        let (spent, retry_after) = match verdict {
            Verdict::Succeeded => return Next::End(TaskStatus::Succeeded),
            Verdict::Dead => return Next::End(TaskStatus::Failed),
            Verdict::Cancelled => return Next::End(TaskStatus::Cancelled),
            Verdict::Failed { retry_after } => {
                self.failures = self.failures.saturating_add(1);
                (self.failures >= self.budget.attempts, retry_after)
            }
            Verdict::Crashed { retry_after } => {
                self.recoveries = self.recoveries.saturating_add(1);
                (self.recoveries > self.budget.recoveries, retry_after)
            }
            Verdict::Released { retry_after } => (false, retry_after),
        };
        if self.cancel {
            Next::End(TaskStatus::Cancelled)
        } else if spent {
            Next::End(TaskStatus::Failed)
        } else if retry_after.is_zero() {
            Next::Rest { due: 0 }
        } else {
            Next::Rest { due: now.saturating_add(clock::length(retry_after)) }
        }
    }
}

/// What is recorded of an attempt whose holder was lost.
pub(crate) fn lost(reason: &str, held: Millis) -> Report {
    let verdict = Verdict::Crashed { retry_after: std::time::Duration::ZERO };
    let mut report = Report::new(verdict, "lost").with_message(reason);
    report.duration = clock::duration(held);
    report
}

/// Why an attempt did not succeed, for [`Task::error`](crate::Task::error).
pub(crate) fn error_of(report: &Report) -> Option<String> {
    match report.verdict {
        Verdict::Succeeded => None,
        _ => Some(report.message.clone().unwrap_or_else(|| report.outcome.clone())),
    }
}
