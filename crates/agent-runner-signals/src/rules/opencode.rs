//! OpenCode, from 1.18: the names of its errors, and what it passes on from elsewhere.

use super::{
    Rule,
    Test::{Says, Word},
    rule,
};
use crate::Outcome::{Auth, Cancelled, ContextOverflow, ModelNotFound, Network, Quota, Refused};

pub(super) const RULES: &[Rule] = &[
    rule("opencode.context-overflow", &[Word("contextoverflowerror")], ContextOverflow),
    rule("opencode.provider-auth", &[Word("providerautherror")], Auth),
    rule("opencode.aborted", &[Word("messageabortederror")], Cancelled),
    rule("opencode.content-filter", &[Word("contentfiltererror")], Refused),
    rule("opencode.filtered", &[Word("content-filter")], Refused),
    rule("opencode.model-not-found", &[Word("providermodelnotfounderror")], ModelNotFound),
    rule("opencode.no-such-model", &[Says("model not found: ")], ModelNotFound),
    rule("opencode.usage-limit", &[Says(" usage limit reached")], Quota),
    rule("opencode.hang-up", &[Says("socket hang up")], Network),
    rule("opencode.no-connection", &[Says("unable to connect")], Network),
    rule("opencode.no-fetch", &[Says("fetch failed")], Network),
];
