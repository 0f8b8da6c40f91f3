//! How an attempt ended, in a word, and who pays for it.

use serde::{Deserialize, Serialize};

/// The kind of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The agent and the check succeeded.
    Succeeded,
    /// The agent said no.
    TaskFailed,
    /// The agent was content, the check was not.
    VerifyFailed,
    /// The attempt took too long.
    TimedOut,
    /// The agent was silent too long.
    IdleTimedOut,
    /// The task cannot be run: its command is missing or cannot be filled in.
    Invalid,
    /// The provider asks to slow down.
    Throttled,
    /// The provider has no room; no key's fault.
    Overloaded,
    /// The credential's quota is spent.
    Quota,
    /// The credential is refused.
    Auth,
    /// The credential's account owes.
    Billing,
    /// The agent was killed by a signal that this program did not send.
    Crashed,
    /// The agent could not be started, or not be watched.
    WorkerFailed,
    /// Somebody else holds the task's lock.
    Locked,
    /// A person took the task out.
    Cancelled,
    /// The run stopped.
    Stopped,
}

/// Who pays for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// Nobody: it is done.
    Done,
    /// The task: an attempt of its own.
    Task,
    /// The task, with all that it has: no retry mends it.
    TaskForGood,
    /// The worker: its health, and one of the task's recoveries.
    Worker,
    /// Nobody: the task goes back to its place.
    Nobody,
    /// Nobody: the task is taken out.
    Person,
}

impl Outcome {
    /// Who pays.
    pub const fn payer(self) -> Payer {
        match self {
            Self::Succeeded => Payer::Done,
            Self::TaskFailed | Self::VerifyFailed | Self::TimedOut | Self::IdleTimedOut => {
                Payer::Task
            }
            Self::Invalid => Payer::TaskForGood,
            Self::Crashed | Self::WorkerFailed => Payer::Worker,
            Self::Cancelled => Payer::Person,
            Self::Throttled
            | Self::Overloaded
            | Self::Quota
            | Self::Auth
            | Self::Billing
            | Self::Locked
            | Self::Stopped => Payer::Nobody,
        }
    }

    /// The name in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::TaskFailed => "task_failed",
            Self::VerifyFailed => "verify_failed",
            Self::TimedOut => "timed_out",
            Self::IdleTimedOut => "idle_timed_out",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Overloaded => "overloaded",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::Crashed => "crashed",
            Self::WorkerFailed => "worker_failed",
            Self::Locked => "locked",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }
}
