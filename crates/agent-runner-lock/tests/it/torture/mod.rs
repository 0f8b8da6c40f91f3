//! Many processes on few keys, killed and stopped at random, with a collector at work and the folder
//! removed under them: driven and judged from outside.
//!
//! `AGENT_RUNNER_TORTURE_SECS` says how long each torture lasts: 30 seconds in CI, a few elsewhere.
//! `cargo xtask torture` sets it, and makes a table of what is printed.

mod harness;
mod section;

use std::{env, sync::atomic::Ordering::SeqCst, time::Duration};

pub(crate) use self::harness::{Random, spin};
use self::{
    harness::{
        Plan,
        Trouble::{Collector, Kills, Memory, Removals, Stops},
        torture,
    },
    section::LEASE,
};
use crate::agent::Kind;

const SKETCH: Kind = Kind::Rival("sketch");
const CARELESS: Kind = Kind::Rival("careless-lease");

/// How long a positive control has to be caught. It is caught within seconds.
const TO_BE_CAUGHT: Duration = Duration::from_secs(80);

pub(crate) fn duration(default: u64) -> Duration {
    let asked = env::var("AGENT_RUNNER_TORTURE_SECS").ok();
    let in_ci = env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    let default = if in_ci { 30 } else { default };
    Duration::from_secs(asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(default))
}

#[test]
fn strict_survives_plain_contention() {
    let plan = Plan { processes: 8, ..Plan::new(Kind::Strict, duration(2)) };
    let verdict = torture(&plan);
    verdict.assert_exclusive();
    verdict.assert_at_least("sections", &verdict.sections, 100);
}

#[test]
fn strict_survives_kills_and_a_collector() {
    let plan = Plan::new(Kind::Strict, duration(4));
    let verdict = torture(&Plan { keys: 2, with: &[Kills, Collector], ..plan });
    verdict.assert_exclusive();
    verdict.assert_at_least("sections", &verdict.sections, 100);
    verdict.assert_at_least("kills", &verdict.kills, 10);
    verdict.assert_at_least("files cleaned away", &verdict.cleaned, 1);
}

#[test]
fn strict_survives_stops_and_a_collector() {
    let plan = Plan::new(Kind::Strict, duration(4));
    let verdict = torture(&Plan { keys: 2, with: &[Stops, Collector], ..plan });
    verdict.assert_exclusive();
    verdict.assert_at_least("sections", &verdict.sections, 100);
    verdict.assert_at_least("stops", &verdict.stops, 1);
}

#[test]
fn strict_survives_a_crowd_in_memory() {
    let plan = Plan::new(Kind::Strict, duration(3));
    let verdict = torture(&Plan { processes: 16, keys: 3, with: &[Kills, Memory], ..plan });
    verdict.assert_exclusive();
    verdict.assert_at_least("sections", &verdict.sections, 100);
}

/// No file lock excludes anybody when its file is taken away; tokens do.
#[test]
fn strict_is_still_fenced_when_its_folder_is_removed() {
    let plan = Plan::new(Kind::Strict, duration(3));
    let verdict = torture(&Plan { with: &[Kills, Removals], ..plan });
    verdict.assert_fenced();
    verdict.assert_at_least("sections", &verdict.sections, 100);
    verdict.assert_at_least("removals", &verdict.removals, 1);
}

#[test]
fn leases_survive_kills_stops_and_a_collector() {
    let plan = Plan { processes: 12, keys: 2, ..Plan::new(LEASE, duration(5)) };
    let verdict = torture(&Plan { with: &[Kills, Stops, Collector, Memory], ..plan });
    verdict.assert_leased();
    verdict.assert_at_least("sections", &verdict.sections, 100);
    verdict.assert_at_least("stops", &verdict.stops, 1);
}

#[test]
fn leases_are_still_fenced_when_their_folder_is_removed() {
    let plan = Plan::new(LEASE, duration(3));
    let verdict = torture(&Plan { with: &[Stops, Removals], ..plan });
    verdict.assert_fenced();
    verdict.assert_at_least("removals", &verdict.removals, 1);
}

/// The positive controls: a harness that does not catch them proves nothing.
#[test]
fn the_sketch_is_caught() {
    let plan = Plan { processes: 8, until_caught: true, ..Plan::new(SKETCH, TO_BE_CAUGHT) };
    assert!(torture(&plan).is_caught(&plan), "nobody was caught");
}

#[test]
fn the_sketch_is_caught_with_kills_too() {
    let plan = Plan { with: &[Kills], until_caught: true, ..Plan::new(SKETCH, TO_BE_CAUGHT) };
    assert!(torture(&plan).is_caught(&plan), "nobody was caught");
}

#[test]
fn a_lease_without_a_mutex_is_caught() {
    let plan = Plan { processes: 12, with: &[Stops, Memory], ..Plan::new(CARELESS, TO_BE_CAUGHT) };
    let plan = Plan { longest: 5_000, until_caught: true, ..plan };
    assert!(torture(&plan).is_caught(&plan), "nobody was caught");
}

/// What others do, beside what we do, with and without kills.
#[test]
fn a_comparison_of_locks() {
    let lasts = env::var_os("AGENT_RUNNER_TORTURE_SECS")
        .map_or(Duration::from_millis(300), |_| duration(0));
    let others = ["flock", "flock-unlink", "posix", "pid-file", "mkdir", "sketch"];
    let mut sections = 0;
    for kind in others.map(Kind::Rival).into_iter().chain([Kind::Strict, LEASE]) {
        for with in [&[][..], &[Kills]] {
            let verdict = torture(&Plan { processes: 8, with, ..Plan::new(kind, lasts) });
            let exclusive = ["flock", "posix", "strict"].contains(&kind.name());
            let overlaps = verdict.overlaps.load(SeqCst);
            assert!(!exclusive || overlaps == 0, "{}: {verdict:?}", kind.name());
            sections += verdict.sections.load(SeqCst);
        }
    }
    assert!(sections > 0, "nobody got anything");
}
