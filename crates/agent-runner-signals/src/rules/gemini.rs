//! Gemini CLI, from 0.61: what it was seen to print, and its documented exit codes.

use super::{
    Rule,
    Test::{Exit, Says, Starts, Word, WordHas},
    rule,
};
use crate::Outcome::{
    Auth, Cancelled, ContextOverflow, MaxTurns, ModelNotFound, Network, Overloaded, Quota,
    TaskFailed, Throttled,
};

pub(super) const RULES: &[Rule] = &[
    // Its own ends.
    rule("gemini.cancelled", &[Exit(130)], Cancelled),
    rule("gemini.exit-max-turns", &[Exit(53)], MaxTurns),
    rule("gemini.max-turns", &[Word("fatalturnlimitederror")], MaxTurns),
    rule("gemini.max-session-turns", &[Says("max session turns")], MaxTurns),
    rule("gemini.exit-no-auth", &[Exit(41)], Auth),
    rule("gemini.no-auth", &[Word("fatalauthenticationerror")], Auth),
    rule("gemini.invalid-auth-method", &[Starts("invalid auth method selected")], Auth),
    rule("gemini.set-auth-method", &[Starts("please set an auth method")], Auth),
    rule("gemini.exit-bad-input", &[Exit(42)], TaskFailed),
    rule("gemini.exit-bad-settings", &[Exit(52)], TaskFailed),
    // Quotas of a day, which share status and code with those of a minute.
    rule("gemini.quota-per-day", &[WordHas("perday")], Quota),
    rule("gemini.quota-daily", &[WordHas("daily")], Quota),
    rule("gemini.terminal-quota", &[Starts("terminalquotaerror")], Quota),
    rule("gemini.daily-quota", &[Says("you have exhausted your daily quota")], Quota),
    rule("gemini.exhausted-capacity", &[Says("you have exhausted your capacity")], Quota),
    rule("gemini.quota-will-reset", &[Says("your quota will reset after")], Quota),
    rule("gemini.no-quota", &[Says("limit: 0")], Quota),
    // The provider.
    rule("gemini.exhausted", &[Says("resource has been exhausted")], Throttled),
    rule("gemini.key-not-valid", &[Says("api key not valid")], Auth),
    rule("gemini.key-expired", &[Says("api key expired")], Auth),
    rule("gemini.model-not-found", &[Says("is not found for api version")], ModelNotFound),
    rule("gemini.model-error", &[Starts("modelnotfounderror")], ModelNotFound),
    rule("gemini.no-capacity", &[Says("no capacity available")], Overloaded),
    rule("gemini.overloaded", &[Says("the model is overloaded")], Overloaded),
    rule(
        "gemini.too-many-tokens",
        &[Says("exceeds the maximum number of tokens")],
        ContextOverflow,
    ),
    rule("gemini.no-connection", &[Says("fetch failed")], Network),
];
