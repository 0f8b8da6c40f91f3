//! The Messages API, without a CLI between: the codes of its errors and the reasons for which an
//! answer ends. `network_error` is what `agent-runner messages` calls an answer that it did not get.

use super::{
    Rule,
    Test::{WindowSpent, Word},
    rule,
};
use crate::Outcome::{ContextOverflow, Network, Overloaded, Quota, Refused};

pub(super) const RULES: &[Rule] = &[
    rule("messages.window", &[WindowSpent, Word("rate_limit_error")], Quota),
    rule("messages.refusal", &[Word("refusal")], Refused),
    rule("messages.context-window", &[Word("model_context_window_exceeded")], ContextOverflow),
    rule("messages.network", &[Word("network_error")], Network),
    // Errors in the midst of an answer have no status.
    rule("messages.api-error", &[Word("api_error")], Overloaded),
    rule("messages.timeout", &[Word("timeout_error")], Overloaded),
];
