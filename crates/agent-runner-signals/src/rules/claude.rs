//! Claude Code, from 2.1.197: what it was seen to print, and the texts in its program.

use super::{
    Rule,
    Test::{Says, Starts, WindowSpent, Word},
    rule,
};
use crate::Outcome::{
    Auth, Billing, Budget, ContextOverflow, MaxTurns, ModelNotFound, Network, Overloaded, Quota,
    Refused, Throttled,
};

pub(super) const RULES: &[Rule] = &[
    // Its own limits.
    rule("claude.max-turns", &[Word("error_max_turns")], MaxTurns),
    rule("claude.max-budget", &[Word("error_max_budget_usd")], Budget),
    // The limits of a plan. They share status and code with a request that came too soon.
    rule("claude.window", &[WindowSpent, Word("rate_limit")], Quota),
    rule("claude.hit-your-limit", &[Starts("you've hit your ")], Quota),
    rule("claude.reached-your-limit", &[Starts("you've reached your ")], Quota),
    rule("claude.used-your-limit", &[Starts("you've used ")], Quota),
    rule("claude.org-out-of-usage", &[Starts("your org is out of usage")], Quota),
    rule("claude.limit-reached", &[Starts("limit reached · resets ")], Quota).before([2, 1, 197]),
    rule("claude.limit-until", &[Starts("claude ai usage limit reached|")], Quota)
        .before([2, 1, 197]),
    rule(
        "claude.api-limit",
        &[Says("you have reached your specified "), Says(" usage limits")],
        Quota,
    ),
    // What only money or an administrator mends.
    rule("claude.billing", &[Word("billing_error")], Billing),
    rule("claude.credit-too-low", &[Starts("credit balance is too low")], Billing),
    rule("claude.out-of-credits", &[Starts("you're out of usage credits")], Billing),
    rule("claude.needs-credits", &[Says(" requires usage credits")], Billing),
    rule("claude.seat-without-usage", &[Starts("your seat type doesn't include usage")], Billing),
    rule("claude.disabled-for-org", &[Starts("this service is disabled for your org")], Billing),
    rule(
        "claude.allocation-disabled",
        &[Starts("your usage allocation has been disabled")],
        Billing,
    ),
    rule("claude.group-limit-zero", &[Starts("your group's usage limit is set to $0")], Billing),
    // Keys and logins.
    rule("claude.authentication-failed", &[Word("authentication_failed")], Auth),
    rule("claude.org-not-allowed", &[Word("oauth_org_not_allowed")], Auth),
    rule("claude.account-on-hold", &[Word("account_on_hold")], Auth),
    rule("claude.verification-required", &[Word("verification_required")], Auth),
    rule("claude.cloud-credential", &[Word("cloud_credential_error")], Auth),
    rule("claude.not-logged-in", &[Starts("not logged in")], Auth),
    rule("claude.invalid-key", &[Starts("invalid api key")], Auth),
    rule("claude.failed-to-authenticate", &[Starts("failed to authenticate")], Auth),
    rule("claude.no-access", &[Starts("your account does not have access to claude")], Auth),
    // What was asked for.
    rule("claude.model-not-found", &[Word("model_not_found")], ModelNotFound),
    rule(
        "claude.selected-model",
        &[Starts("there's an issue with the selected model")],
        ModelNotFound,
    ),
    rule("claude.model-unsupported", &[Says(" does not support this model")], ModelNotFound),
    rule("claude.prompt-too-long", &[Word("prompt_too_long")], ContextOverflow),
    rule("claude.prompt-is-too-long", &[Starts("prompt is too long")], ContextOverflow),
    rule("claude.context-limit", &[Starts("context limit reached")], ContextOverflow),
    rule("claude.request-too-large", &[Starts("request too large")], ContextOverflow),
    rule("claude.refusal", &[Word("refusal")], Refused),
    rule("claude.usage-policy", &[Says("appears to violate our usage policy")], Refused),
    // The way to the provider.
    rule("claude.no-connection", &[Says("unable to connect to api")], Network),
    rule("claude.connection-error", &[Starts("api error: connection error")], Network),
    rule(
        "claude.malformed-answer",
        &[Says("api returned an empty or malformed response")],
        Network,
    ),
    rule("claude.timed-out", &[Says("request timed out")], Network),
    // The provider.
    rule("claude.rate-limit", &[Word("rate_limit")], Throttled),
    rule("claude.limiting", &[Says("server is temporarily limiting requests")], Throttled),
    rule("claude.overloaded", &[Word("overloaded")], Overloaded),
    rule("claude.server-error", &[Word("server_error")], Overloaded),
    rule("claude.repeated-529", &[Starts("api error: repeated 529 overloaded")], Overloaded),
];
