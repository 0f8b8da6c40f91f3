//! A simulated night through a real gateway: what must hold however fast the machine is.

use std::time::Duration;

use agent_runner_credentials::simulate::{Job, Scenario, calls, conversations};
use agent_runner_tests::night::{Keys, Outcome, spend};

const SPEED: u32 = 10;

/// Lets workers do all jobs, and checks what holds in every night.
fn night(scenario: &Scenario, jobs: &[Job], workers: usize) -> Outcome {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
    let outcome = spend(scenario, jobs, workers, SPEED, Keys::Shared);
    let outcome = runtime.block_on(outcome).expect("the night passes");
    let Outcome { report, counts, counted, .. } = &outcome;
    assert_eq!(report.done, jobs.len(), "all jobs are done");
    let turns = jobs.iter().map(|job| job.turns.len()).sum::<usize>();
    assert_eq!(counts.with(200), turns, "each request is answered once: {counts:?}");
    assert_eq!(report.times.len(), turns);
    let provider = [counts.input_tokens, counts.cached_tokens, counts.output_tokens];
    assert_eq!(*counted, provider, "the gateway counts what the provider counts");
    assert_eq!(report.sent_on_dead, 0, "nothing is sent with a key that is known to be dead");
    outcome
}

#[test]
fn faults_cost_no_request_and_a_dead_key_gets_no_more() {
    let workers = 16;
    let mut scenario = Scenario::clean(4, 1);
    scenario.keys[0].revoked_at = Some(Duration::from_secs(1));
    scenario.keys[1].daily_quota = Some(20);
    scenario.overloaded = 0.1;
    let outcome = night(&scenario, &calls(300, 1), workers);
    let counts = &outcome.counts;
    for status in [401, 429, 529] {
        assert!(counts.with(status) > 0, "the night has all its faults: {counts:?}");
    }
    assert_eq!(outcome.refused, 0, "no client sees them");
    assert!(counts.with(401) <= workers, "only what was under way: {counts:?}");
}

#[test]
fn cached_input_of_conversations_is_counted_as_such() {
    let outcome = night(&Scenario::clean(2, 1), &conversations(6, 4, 1), 6);
    assert!(outcome.counts.cached_tokens > outcome.counts.input_tokens);
}
