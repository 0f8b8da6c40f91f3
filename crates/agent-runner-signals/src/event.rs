//! What an agent tells while it works, in the same words for every CLI.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{Outcome, Trouble};

/// Something that an agent's output tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A session has begun, or is known by another name from here on.
    SessionStarted {
        /// What resumes it.
        id: String,
        /// The model, if the CLI names it.
        model: Option<String>,
    },
    /// The agent said something. A long text is cut.
    MessageSaid {
        /// Its words.
        text: String,
    },
    /// The agent used a tool.
    ToolUsed {
        /// The tool's name.
        name: String,
    },
    /// All that the run has used so far.
    UsageGrew(Usage),
    /// All that the run has cost so far, in US dollars, as the CLI counts it.
    CostGrew {
        /// US dollars.
        usd: f64,
    },
    /// A request failed, and the CLI will ask again. This is the moment to act on a limit: a CLI
    /// can go on for minutes before it gives up.
    Retried(Retry),
    /// The provider told how far its limit is used.
    LimitTold(RateLimit),
    /// The CLI went on with another model.
    ModelFellBack {
        /// The model that was asked for.
        from: String,
        /// The model that is used.
        to: String,
        /// Why.
        reason: Option<String>,
    },
    /// The agent said how its work ended. Its process may still hang.
    Ended {
        /// Whether it is content.
        is_success: bool,
    },
}

/// Tokens. Each is counted once: what was read from a cache or written to it is not in `input`,
/// also where a CLI counts it there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Read, and in no cache.
    pub input_tokens: u64,
    /// Written.
    pub output_tokens: u64,
    /// Read from a cache.
    pub cache_read_tokens: u64,
    /// Read, and written to a cache.
    pub cache_write_tokens: u64,
}

/// A request that failed and is made again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// Which one it is, from 1.
    pub attempt: u64,
    /// How many there will be at most.
    pub max_attempts: Option<u64>,
    /// How long the CLI waits.
    pub wait: Option<Duration>,
    /// Why it failed, in the CLI's words.
    pub trouble: Trouble,
    /// Why it failed, by the rules: what the run will come to if this goes on.
    pub outcome: Outcome,
}

/// How far a subscription's limit is used.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Whether it holds.
    pub state: LimitState,
    /// Which one, in the provider's words, such as `five_hour`.
    pub window: Option<String>,
    /// When it begins anew.
    pub reset_at: Option<SystemTime>,
    /// The part that is used, 1 for all.
    pub utilization: Option<f64>,
}

/// Whether a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitState {
    /// It does not.
    Allowed,
    /// It soon will: time to spare this key.
    Warning,
    /// It does.
    Rejected,
}

impl Usage {
    /// All tokens.
    pub const fn total(self) -> u64 {
        self.input_tokens
            .saturating_add(self.output_tokens)
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
    }

    pub(crate) const fn plus(self, more: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(more.input_tokens),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(more.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(more.cache_write_tokens),
        }
    }
}

impl RateLimit {
    /// Whether a window of a subscription is used up, as opposed to a rate.
    pub(crate) fn is_spent_window(&self) -> bool {
        self.state == LimitState::Rejected && (self.window.is_some() || self.reset_at.is_some())
    }
}
