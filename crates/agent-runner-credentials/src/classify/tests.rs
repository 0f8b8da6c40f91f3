//! The table: what real answers mean, each a line of `answers.jsonl`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use serde::Deserialize;

use crate::{Answer, Rejection, Scope, Verdict, classify, parse_rfc3339};

/// The time of all these answers.
fn now() -> SystemTime {
    parse_rfc3339("2026-11-23T18:00:00Z").unwrap()
}

/// An answer, and what it means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Which row of the table it belongs to, from 1 to 17.
    row: u32,
    provider: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    verdict: String,
    scope: Option<String>,
    wait_s: Option<f64>,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("answers.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn each_answer_means_what_the_table_says() {
    for case in cases() {
        let headers: Vec<_> = case.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let verdict = classify(&Answer::new(case.status, &headers, &case.body), now());
        let (name, scope, wait) = match verdict {
            Verdict::Rejected(it) => (it.as_str(), Some(scope(it.scope())), it.retry_after()),
            Verdict::Fine => ("fine", None, None),
            Verdict::Transient => ("transient", None, None),
            Verdict::BadRequest => ("bad_request", None, None),
        };
        let found = (name, scope, wait.map(|wait| wait.as_secs_f64()));
        assert_eq!(found, (&*case.verdict, case.scope.as_deref(), case.wait_s), "{case:?}");
    }
}

#[test]
fn every_row_and_every_provider_has_a_case() {
    let cases = cases();
    let rows: BTreeSet<_> = cases.iter().map(|case| case.row).collect();
    assert_eq!(rows, (1..=17).collect());
    let providers: BTreeSet<_> = cases.iter().map(|case| &*case.provider).collect();
    let all = ["anthropic", "any", "bedrock", "codex", "gemini", "openai", "openrouter", "stream"];
    assert_eq!(providers, all.into());
}

const fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Endpoint => "endpoint",
        Scope::Group => "group",
        Scope::Account => "account",
        Scope::Key => "key",
        Scope::KeyModel => "key_model",
        Scope::Nothing => "nothing",
    }
}

/// Pieces that real answers are made of, so that random ones reach the branches.
fn pieces() -> impl Strategy<Value = String> {
    let words = "(\\{|\\}|\\[|\\]|\"error\":|\"type\":|\"message\":|\"details\":|\"retryDelay\":|\
                 \"code\":|\"insufficient_quota\"|\"RESOURCE_EXHAUSTED\"|\"26s\"|:|,|null|429|\
                 regain access on |2026-12-01| at |00:00|per day|try again in |9d|[a-zé0-9.]{0,5})";
    prop::collection::vec(words, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_answer_has_a_meaning_and_no_wait_is_without_end(
        status: u16,
        body in prop_oneof![pieces(), ".{0,60}"],
        name in prop_oneof!["retry-after", "date", "x-ratelimit-(remaining|reset)", "[a-z-]{1,30}"],
        value in prop_oneof!["[0-9.]{0,25}", "[0-9hms]{0,9}", ".{0,40}"],
    ) {
        let headers = [(name.as_str(), value.as_str()), ("x-ratelimit-remaining", "0")];
        let rejection = classify(&Answer::new(status, &headers, &body), now()).rejection();
        let wait = rejection.and_then(Rejection::retry_after).unwrap_or_default();
        let bounded = wait <= Duration::from_secs(32 * 86_400) || body.contains("regain");
        prop_assert!(bounded, "a wait of {wait:?}");
    }
}
