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
    /// The agent and the check were content, but no file was changed, and one should have been.
    NoDiff,
    /// The work does not go together with what others have merged, or the agent left conflicts.
    Conflict,
    /// The attempt took too long.
    TimedOut,
    /// The agent was silent too long.
    IdleTimedOut,
    /// The agent, or what it started, used more memory than it may.
    MemoryExceeded,
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
    /// The conversation, or one request of it, was too large for the model.
    ContextOverflow,
    /// The model or its provider refused to do it.
    Refused,
    /// The model does not exist, or the credential may not use it.
    ModelNotFound,
    /// The agent used up the turns that it was given.
    MaxTurns,
    /// The agent used up the money or tokens that it was given.
    Budget,
    /// The task, with all its attempts, has spent what it may.
    BudgetSpent,
    /// The provider could not be reached, or the line was cut.
    Network,
    /// The gateway made no connection to the provider: a proxy, a certificate or the network is in
    /// the way, for all tasks alike.
    Unreachable,
    /// The agent ended without saying how its work ended, which is no success.
    NoTerminalEvent,
    /// The agent was killed by a signal that this program did not send.
    Crashed,
    /// The agent could not be started, or not be watched.
    WorkerFailed,
    /// Somebody else holds the task's lock.
    Locked,
    /// No worktree can be made ready for it before a person has put something right.
    WorktreeBlocked,
    /// The work is done, but something that a person has to put right keeps it from being merged.
    MergeBlocked,
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
            Self::TaskFailed
            | Self::VerifyFailed
            | Self::NoDiff
            | Self::Conflict
            | Self::TimedOut
            | Self::IdleTimedOut
            | Self::MemoryExceeded
            | Self::ContextOverflow
            | Self::Refused
            | Self::MaxTurns
            | Self::Budget => Payer::Task,
            Self::Invalid | Self::BudgetSpent => Payer::TaskForGood,
            // What would befall the next task as well is not this one's failure.
            Self::Crashed
            | Self::WorkerFailed
            | Self::Network
            | Self::NoTerminalEvent
            | Self::ModelNotFound => Payer::Worker,
            Self::Cancelled => Payer::Person,
            Self::Throttled
            | Self::Overloaded
            | Self::Quota
            | Self::Auth
            | Self::Billing
            | Self::Unreachable
            | Self::Locked
            | Self::WorktreeBlocked
            | Self::MergeBlocked
            | Self::Stopped => Payer::Nobody,
        }
    }

    /// Whether its agent worked to an end of its own, without a word about limits.
    pub const fn met_no_limit(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::TaskFailed
                | Self::VerifyFailed
                | Self::ContextOverflow
                | Self::Refused
                | Self::MaxTurns
                | Self::Budget
        )
    }

    /// Whether it may be what became of a request that was refused.
    pub const fn is_word_of_provider(self) -> bool {
        matches!(
            self,
            Self::TaskFailed
                | Self::Throttled
                | Self::Overloaded
                | Self::Quota
                | Self::Auth
                | Self::Billing
                | Self::Refused
                | Self::Budget
                | Self::Network
                | Self::NoTerminalEvent
        )
    }

    /// What an agent's own words came to.
    pub const fn of_signals(outcome: agent_runner_signals::Outcome) -> Self {
        use agent_runner_signals::Outcome as Said;
        match outcome {
            Said::Succeeded => Self::Succeeded,
            Said::Throttled => Self::Throttled,
            Said::Quota => Self::Quota,
            Said::Auth => Self::Auth,
            Said::Billing => Self::Billing,
            Said::Overloaded => Self::Overloaded,
            Said::ContextOverflow => Self::ContextOverflow,
            Said::Refused => Self::Refused,
            Said::ModelNotFound => Self::ModelNotFound,
            Said::MaxTurns => Self::MaxTurns,
            Said::Budget => Self::Budget,
            Said::Network => Self::Network,
            // Nobody of ours stopped it: that is told before anybody asks what it said.
            Said::Crashed | Said::Cancelled => Self::Crashed,
            Said::NoTerminalEvent => Self::NoTerminalEvent,
            _ => Self::TaskFailed,
        }
    }

    /// The name in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::TaskFailed => "task_failed",
            Self::VerifyFailed => "verify_failed",
            Self::NoDiff => "no_diff",
            Self::Conflict => "conflict",
            Self::TimedOut => "timed_out",
            Self::IdleTimedOut => "idle_timed_out",
            Self::MemoryExceeded => "memory_exceeded",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Overloaded => "overloaded",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::ContextOverflow => "context_overflow",
            Self::Refused => "refused",
            Self::ModelNotFound => "model_not_found",
            Self::MaxTurns => "max_turns",
            Self::Budget => "budget",
            Self::BudgetSpent => "budget_spent",
            Self::Network => "network",
            Self::Unreachable => "unreachable",
            Self::NoTerminalEvent => "no_terminal_event",
            Self::Crashed => "crashed",
            Self::WorkerFailed => "worker_failed",
            Self::Locked => "locked",
            Self::WorktreeBlocked => "worktree_blocked",
            Self::MergeBlocked => "merge_blocked",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }
}
