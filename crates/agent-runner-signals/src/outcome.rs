//! How a run of an agent ended, in a word.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run of an agent ended.
///
/// The names in JSON, and those of [`as_str`](Self::as_str), are in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The agent says that it is done.
    Succeeded,
    /// The agent failed at its task, or in a way that no rule knows.
    TaskFailed,
    /// The provider asks to slow down. The same key is good again in a while.
    Throttled,
    /// What the key or the plan may use is used up, until it is reset.
    Quota,
    /// The key or the login is refused.
    Auth,
    /// The account has to pay, or an administrator has to act.
    Billing,
    /// The provider has no room, or is broken; no key's fault.
    Overloaded,
    /// The conversation, or one request of it, is too large for the model.
    ContextOverflow,
    /// The model or its provider refuses to do this.
    Refused,
    /// The model does not exist, or the key may not use it.
    ModelNotFound,
    /// The agent used up the turns that it was given.
    MaxTurns,
    /// The agent used up the money or tokens that it was given.
    Budget,
    /// The provider could not be reached, or the line was cut.
    Network,
    /// The agent's process died.
    Crashed,
    /// The agent's process ended without saying how its work ended, which is no success.
    NoTerminalEvent,
    /// Somebody stopped it.
    Cancelled,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Succeeded,
        Self::TaskFailed,
        Self::Throttled,
        Self::Quota,
        Self::Auth,
        Self::Billing,
        Self::Overloaded,
        Self::ContextOverflow,
        Self::Refused,
        Self::ModelNotFound,
        Self::MaxTurns,
        Self::Budget,
        Self::Network,
        Self::Crashed,
        Self::NoTerminalEvent,
        Self::Cancelled,
    ];

    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::TaskFailed => "task_failed",
            Self::Throttled => "throttled",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::Overloaded => "overloaded",
            Self::ContextOverflow => "context_overflow",
            Self::Refused => "refused",
            Self::ModelNotFound => "model_not_found",
            Self::MaxTurns => "max_turns",
            Self::Budget => "budget",
            Self::Network => "network",
            Self::Crashed => "crashed",
            Self::NoTerminalEvent => "no_terminal_event",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it says something about the key that was used, so that another key may do better.
    pub const fn is_about_key(self) -> bool {
        matches!(self, Self::Throttled | Self::Quota | Self::Auth | Self::Billing)
    }

    /// Whether it goes away by itself, so that the same call is worth another try later.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Throttled | Self::Quota | Self::Overloaded | Self::Network)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for outcome in Outcome::ALL {
            let json = serde_json::to_string(&outcome).unwrap();
            assert_eq!(json, format!("\"{outcome}\""));
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
        }
    }
}
