//! Codex, from 0.169: what it was seen to print, and the texts of its errors since 0.150.

use super::{
    Rule,
    Test::{Says, Starts},
    rule,
};
use crate::Outcome::{
    Auth, Billing, Budget, ContextOverflow, ModelNotFound, Network, Overloaded, Quota, Refused,
    Throttled,
};

pub(super) const RULES: &[Rule] = &[
    // It tries WebSockets first, and goes on without them.
    rule("codex.websocket", &[Says(", url: ws")], Network),
    // The limits of a plan.
    rule("codex.usage-limit", &[Starts("you've hit your usage limit")], Quota),
    rule("codex.quota-exceeded", &[Starts("quota exceeded.")], Quota),
    rule("codex.out-of-credits", &[Starts("your workspace is out of credits")], Billing),
    rule("codex.spend-cap", &[Starts("you hit your spend cap")], Billing),
    rule("codex.plan-without-codex", &[Starts("to use codex with your chatgpt plan")], Billing),
    rule("codex.session-budget", &[Says("token budget exhausted")], Budget),
    // What was asked for.
    rule(
        "codex.context-window",
        &[Starts("codex ran out of room in the model's context window")],
        ContextOverflow,
    ),
    rule("codex.prompt-length", &[Says("maximum prompt length is")], ContextOverflow),
    rule(
        "codex.no-such-model",
        &[Says("does not exist or you do not have access to it")],
        ModelNotFound,
    ),
    rule("codex.model-missing", &[Says("model"), Says("does not exist")], ModelNotFound),
    rule("codex.model-unsupported", &[Says("model is not supported")], ModelNotFound),
    rule("codex.flagged-prompt", &[Says("your prompt was flagged")], Refused),
    rule("codex.flagged-content", &[Starts("this content was flagged")], Refused),
    // The provider, as far as it has no status.
    rule("codex.at-capacity", &[Starts("selected model is at capacity")], Overloaded),
    rule("codex.high-demand", &[Says("we're currently experiencing high demand")], Overloaded),
    rule("codex.rate-limit", &[Says("rate limit reached for ")], Throttled),
    rule("codex.rate-limit-exceeded", &[Starts("rate limit exceeded")], Throttled),
    // Keys and logins.
    rule("codex.refresh-token", &[Starts("your access token could not be refreshed")], Auth),
    rule("codex.sign-in-again", &[Says("log out and sign in again")], Auth),
    rule("codex.no-variable", &[Starts("missing environment variable")], Auth),
    rule("codex.auth-command", &[Starts("provider auth command")], Auth),
    // The way to the provider.
    rule("codex.cut-stream", &[Starts("stream disconnected before completion")], Network),
    rule("codex.connection-failed", &[Starts("connection failed")], Network),
    rule("codex.no-request", &[Says("error sending request")], Network),
    rule("codex.broken-answer", &[Starts("error while reading the server response")], Network),
    rule("codex.timed-out", &[Starts("request timed out")], Network),
];
