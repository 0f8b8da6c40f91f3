//! The providers' own codes, texts and statuses, as CLIs pass them on: body before status.

use super::{
    Rule,
    Test::{LongWait, Says, Status, Word},
    rule,
};
use crate::Outcome::{
    Auth, Billing, ContextOverflow, ModelNotFound, Network, Overloaded, Quota, Throttled,
};

pub(super) const RULES: &[Rule] = &[
    rule("api.usage-limits", &[Says("reached your specified "), Says(" usage limits")], Quota),
    rule("api.usage-limit-reached", &[Word("usage_limit_reached")], Quota),
    rule("api.insufficient-quota", &[Word("insufficient_quota")], Quota),
    rule("api.spend-limit", &[Word("enforced_spend_limit_reached")], Quota),
    rule("api.credit-too-low", &[Says("credit balance is too low")], Billing),
    rule("api.billing", &[Word("billing_error")], Billing),
    rule("api.prompt-too-long", &[Says("prompt is too long")], ContextOverflow),
    rule("api.context-length", &[Word("context_length_exceeded")], ContextOverflow),
    rule("api.request-too-large", &[Word("request_too_large")], ContextOverflow),
    rule("api.invalid-key", &[Word("invalid_api_key")], Auth),
    rule("api.key-invalid", &[Word("api_key_invalid")], Auth),
    rule("api.authentication", &[Word("authentication_error")], Auth),
    rule("api.unauthenticated", &[Word("unauthenticated")], Auth),
    rule("api.permission", &[Word("permission_error")], Auth),
    rule("api.permission-denied", &[Word("permission_denied")], Auth),
    rule("api.model-not-found", &[Word("model_not_found")], ModelNotFound),
    rule("api.overloaded", &[Word("overloaded_error")], Overloaded),
    rule("api.server-overloaded", &[Word("server_is_overloaded")], Overloaded),
    rule("api.unavailable", &[Word("unavailable")], Overloaded),
    rule("api.long-wait", &[LongWait, Status(429..=429)], Quota),
    rule("api.rate-limit", &[Word("rate_limit_error")], Throttled),
    rule("api.rate-limit-exceeded", &[Word("rate_limit_exceeded")], Throttled),
    rule("api.resource-exhausted", &[Word("resource_exhausted")], Throttled),
    rule("http.401", &[Status(401..=401)], Auth),
    rule("http.402", &[Status(402..=402)], Billing),
    rule("http.403", &[Status(403..=403)], Auth),
    rule("http.404", &[Status(404..=404)], ModelNotFound),
    rule("http.408", &[Status(408..=408)], Network),
    rule("http.413", &[Status(413..=413)], ContextOverflow),
    rule("http.429", &[Status(429..=429)], Throttled),
    rule("http.5xx", &[Status(500..=599)], Overloaded),
];
