//! The ring under simulated limits: what it must hold in every night.

use std::time::Duration;

use agent_runner_credentials::simulate::{
    Account, Key, Report, Scenario, Scheduled, calls, conversations, optimum, run,
};

/// Goodput as a part of the optimum's, and how it went.
fn night(scenario: &Scenario, workers: usize, count: usize) -> (f64, Report) {
    let jobs = calls(count, scenario.seed);
    let best = optimum(scenario, &jobs, workers);
    let mut client = Scheduled::new(scenario.keys.len());
    let report = run(scenario, &jobs, workers, &mut client);
    assert_eq!(report.done, count, "a request is lost");
    (best.as_secs_f64() / report.took.as_secs_f64(), report)
}

/// Every number of keys with every number of workers, from two seeds.
fn grid(scenario: fn(usize, u64) -> Scenario, check: impl Fn(&str, f64, &Report)) {
    for keys in [1, 4, 8] {
        for workers in [8, 32, 128] {
            for seed in [1, 2] {
                let (goodput, report) = night(&scenario(keys, seed), workers, 1000);
                let case = format!("{keys} keys x {workers}, seed {seed}: {goodput:.3}");
                check(&case, goodput, &report);
            }
        }
    }
}

#[test]
fn nearly_all_that_the_limits_allow_is_used_and_nearly_nothing_refused() {
    grid(Scenario::clean, |case, goodput, report| {
        // The longest answers at the end weigh more in a short night.
        assert!(goodput >= 0.93, "{case}");
        assert!(report.share(429) <= 0.005, "{case}: {:?}", report.answers);
    });
}

#[test]
fn faults_cost_little_and_a_dead_key_one_request() {
    grid(Scenario::faulty, |case, goodput, report| {
        assert!(goodput >= 0.92, "{case}");
        assert!(report.share(429) <= 0.005, "{case}: {:?}", report.answers);
        assert_eq!(report.sent_on_dead, 0, "{case}");
    });
}

#[test]
fn without_headers_a_pace_is_found() {
    let scenario = |keys, seed| Scenario { has_headers: false, ..Scenario::clean(keys, seed) };
    grid(scenario, |case, goodput, report| {
        assert!(goodput >= 0.85, "{case}");
        assert!(report.share(429) <= 0.12, "{case}: {:?}", report.answers);
    });
}

#[test]
fn headers_may_be_from_the_start_or_the_end_of_an_answer() {
    let scenario = |keys, seed| Scenario { tells_early: false, ..Scenario::clean(keys, seed) };
    grid(scenario, |case, goodput, report| {
        assert!(goodput >= 0.94, "{case}");
        assert!(report.share(429) <= 0.005, "{case}: {:?}", report.answers);
    });
}

#[test]
fn keys_of_one_organisation_share_what_it_has() {
    let mut scenario = Scenario::clean(1, 1);
    scenario.keys = vec![Key::default(); 4];
    let (goodput, report) = night(&scenario, 32, 1000);
    assert!(goodput >= 0.97, "{goodput}");
    assert!(report.share(429) <= 0.02, "until the first answers it is not known: {report:?}");
}

#[test]
fn what_others_use_of_a_limit_is_noticed() {
    let mut scenario = Scenario::clean(4, 1);
    scenario.accounts = vec![Account { outside: 0.5, ..Account::default() }; 4];
    let (goodput, report) = night(&scenario, 32, 1000);
    assert!(goodput >= 0.95, "{goodput}");
    assert!(report.share(429) <= 0.03, "{:?}", report.answers);
}

#[test]
fn a_use_that_may_not_grow_fast_is_halved_and_grows_slowly() {
    // 40 requests a second would fit into the limits, and 4 may be made out of nothing.
    for (keys, workers) in [(1, 32), (4, 128)] {
        let account = Account {
            requests: 2_400.0,
            input_tokens: 6e6,
            output_tokens: 6e6,
            steady: 4.0,
            ..Account::default()
        };
        let scenario = Scenario { accounts: vec![account; keys], ..Scenario::clean(keys, 1) };
        let (_, report) = night(&scenario, workers, 1000 * keys);
        // The provider lets the use grow by half in ten seconds: without a ramp nine in ten requests
        // are refused.
        assert!(report.share(429) <= 0.03, "{keys} keys: {:?}", report.answers);
        assert!(report.took <= Duration::from_secs(180), "{keys} keys: {:?}", report.took);
    }
}

#[test]
fn an_outage_costs_little_more_than_it_lasts() {
    let mut scenario = Scenario::clean(4, 1);
    let (_, clean) = night(&scenario, 32, 1000);
    scenario.outages = vec![(Duration::from_secs(5), Duration::from_secs(65))];
    let (_, report) = night(&scenario, 32, 1000);
    let lost = report.took.saturating_sub(clean.took);
    // The buckets fill meanwhile, which makes up for a part of it.
    assert!(lost <= Duration::from_secs(66), "{lost:?}");
    assert!(report.answers[&529] < 80, "it was asked all the time: {:?}", report.answers);
}

#[test]
fn sessions_stay_with_their_cache_and_are_as_fast_as_on_keys_of_their_own() {
    let scenario = Scenario::clean(4, 1);
    let jobs = conversations(60, 10, 1);
    let night = |patience| {
        run(&scenario, &jobs, 32, &mut Scheduled::new(4).patience(Duration::from_secs(patience)))
    };
    let (ours, pinned, spread) = (night(8), night(100_000), night(0));
    assert_eq!((ours.done, pinned.done), (60, 60));
    let ratio = ours.took.as_secs_f64() / pinned.took.as_secs_f64();
    assert!(ratio <= 1.1, "{ratio:.3} of the time that pinned keys take");
    let cost = ours.input_cost() / pinned.input_cost();
    assert!(cost <= 1.1, "{cost:.3} of the cost of pinned keys");
    assert!(ours.input_cost() < spread.input_cost(), "patience saves nothing");
}

#[test]
fn the_same_seed_gives_the_same_night() {
    let report = || night(&Scenario::faulty(4, 7), 32, 300).1;
    let (one, other) = (report(), report());
    assert_eq!((one.took, one.times, one.answers), (other.took, other.times, other.answers));
}
