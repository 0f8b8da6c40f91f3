//! The protocols, step by step, under every order of steps and kills.
//!
//! `kernel` is what processes share: a path, files, locks. `search` tries all interleavings,
//! breadth first, so that a trace it finds is a shortest one. `sketch` is the algorithm that this
//! project began with, with a switch for each of its five races; `strict` and `lease` are this
//! crate's.

mod claims;
mod kernel;
mod lease;
mod search;
mod sketch;
mod strict;

use self::{
    lease::Lease,
    search::{Limits, Outcome, search},
    sketch::{Breaks, Release, Sketch},
    strict::Strict,
};

/// The sketch without any of its flaws.
fn mended() -> Sketch {
    Sketch { checks_identity: true, release: Release::UnlinkThenUnlock, breaks: Breaks::NONE }
}

fn assert_guilty(outcome: &Outcome, steps: usize) {
    let trace = outcome.trace.as_ref().expect("the search must find this race");
    assert_eq!(trace.len(), steps, "the shortest trace has changed:\n{}", trace.join("\n"));
}

#[test]
fn race_1_a_release_unlinks_the_next_holders_name() {
    let sketch = Sketch { release: Release::UnlockThenUnlink, ..mended() };
    assert_guilty(&search(&sketch, Limits::processes(3)), 17);
}

#[test]
fn race_2_a_waiter_locks_a_file_without_a_name() {
    let sketch = Sketch { checks_identity: false, ..mended() };
    assert_guilty(&search(&sketch, Limits::processes(3)), 17);
}

#[test]
fn race_3_a_slow_holder_is_deposed() {
    let breaks = Breaks { overdue: true, ..Breaks::NONE };
    let sketch = Sketch { release: Release::Keep, breaks, ..mended() };
    assert_guilty(&search(&sketch, Limits { overdue: 1, ..Limits::processes(2) }), 15);
}

#[test]
fn race_4_a_record_that_is_not_written_yet_looks_corrupt() {
    let breaks = Breaks { corrupt: true, ..Breaks::NONE };
    let sketch = Sketch { release: Release::Keep, breaks, ..mended() };
    assert_guilty(&search(&sketch, Limits::processes(2)), 14);
}

#[test]
fn race_4b_a_dead_holders_record_is_taken_for_the_new_ones() {
    let breaks = Breaks { dead: true, ..Breaks::NONE };
    let sketch = Sketch { release: Release::Keep, breaks, ..mended() };
    let outcome = search(&sketch, Limits { kills: 1, ..Limits::processes(3) });
    assert_guilty(&outcome, 20);
}

/// Here an overdue holder is not counted: that it is deposed is what breaking is for. The two that
/// overlap are both in time.
#[test]
fn race_5_two_breakers_depose_each_other() {
    let breaks = Breaks { overdue: true, ..Breaks::NONE };
    let sketch = Sketch { release: Release::Keep, breaks, ..mended() };
    let limits = Limits { overdue: 1, excuse_overdue: true, ..Limits::processes(3) };
    assert_guilty(&search(&sketch, limits), 21);
}

#[test]
fn the_sketch_as_it_was_is_guilty() {
    let outcome = search(&Sketch::AS_IT_WAS, Limits::processes(2));
    assert!(outcome.trace.is_some(), "two processes and no kill suffice");
}

#[test]
fn the_sketch_mended_without_breaking_holds() {
    let outcome = search(&mended(), Limits { kills: 1, ..Limits::processes(3) });
    outcome.assert_holds(1_000);
}

#[test]
fn breaking_breaks_even_the_mended_sketch() {
    let sketch = Sketch { breaks: Breaks::ALL, ..mended() };
    assert!(search(&sketch, Limits::processes(2)).trace.is_some());
}

#[test]
fn strict_holds_for_three_processes_a_collector_and_two_kills() {
    let outcome = search(
        &Strict { first_collector: 3, ..Strict::AS_BUILT },
        Limits { kills: 2, ..Limits::processes(4) },
    );
    outcome.assert_holds(50_000);
}

#[test]
fn strict_holds_when_the_clock_is_set_back() {
    let outcome = search(
        &Strict { first_collector: 2, ..Strict::AS_BUILT },
        Limits { kills: 1, clock_set_back: 1, ..Limits::processes(3) },
    );
    outcome.assert_holds(10_000);
}

#[test]
fn strict_holds_for_four_processes_and_two_kills() {
    let outcome = search(&Strict::AS_BUILT, Limits { kills: 2, ..Limits::processes(4) });
    outcome.assert_holds(15_000);
}

#[test]
fn strict_holds_when_holders_are_killed_by_who_wants_their_lock() {
    let killers = Strict { first_killer: 1, ..Strict::AS_BUILT };
    search(&killers, Limits::processes(4)).assert_holds(4_000);
    let killers = Strict { first_killer: 1, first_collector: 3, ..Strict::AS_BUILT };
    search(&killers, Limits { kills: 1, ..Limits::processes(4) }).assert_holds(30_000);
}

/// Each rule of the protocol is needed: without it the same search finds it guilty.
#[test]
fn no_rule_of_strict_can_be_left_out() {
    let limits = Limits { clock_set_back: 1, ..Limits::processes(4) };
    for rule in strict::Rule::ALL {
        let strict = Strict { first_killer: 1, first_collector: 2, without: Some(rule) };
        let outcome = search(&strict, limits);
        assert!(outcome.trace.is_some(), "nobody misses {rule:?}");
    }
}

/// Two whole leases may pass without a sign of life. A holder whose lease is over may overlap: it
/// is told to stop, and its token is old.
fn leases(processes: u8) -> Limits {
    Limits { leases: 2, excuse_overdue: true, ..Limits::processes(processes) }
}

#[test]
fn leases_hold_for_four_processes_and_a_kill() {
    let outcome = search(&Lease::AS_BUILT, Limits { kills: 1, ..leases(4) });
    outcome.assert_holds(600_000);
}

#[test]
fn leases_hold_for_three_processes_a_collector_and_a_kill() {
    let lease = Lease { first_collector: 3, ..Lease::AS_BUILT };
    let outcome = search(&lease, Limits { kills: 1, ..leases(4) });
    outcome.assert_holds(100_000);
}

#[test]
fn leases_hold_for_processes_that_come_back_and_a_clock_that_is_set_back() {
    let lease = Lease { first_once: 1, first_collector: 2, ..Lease::AS_BUILT };
    let outcome = search(&lease, Limits { kills: 1, clock_set_back: 1, ..leases(3) });
    outcome.assert_holds(10_000);
}

/// Each rule is needed. Without some only a token shows it, when the clock does not help.
#[test]
fn no_rule_of_leases_can_be_left_out() {
    for rule in lease::Rule::ALL {
        let lease = Lease { first_collector: 3, without: Some(rule), ..Lease::AS_BUILT };
        let clock_set_back = matches!(rule, lease::Rule::BreakerReplaces(_)).into();
        let outcome = search(&lease, Limits { kills: 1, clock_set_back, ..leases(4) });
        assert!(outcome.trace.is_some(), "nobody misses {rule:?}");
    }
}

/// What each mending of the sketch is worth, alone: only all of it without any breaking holds.
#[test]
fn half_mended_sketches_are_guilty() {
    use Release::{Keep, UnlinkThenUnlock, UnlockThenUnlink};

    for (what, checks_identity, release, breaks, holds) in [
        ("no breaking", false, UnlockThenUnlink, Breaks::NONE, false),
        ("file kept on release, breaking left", false, Keep, Breaks::ALL, false),
        ("identity, unlocked before unlinked", true, UnlockThenUnlink, Breaks::NONE, false),
        ("unlinked before unlocked, no identity", false, UnlinkThenUnlock, Breaks::NONE, false),
        ("all of it, breaking left", true, UnlinkThenUnlock, Breaks::ALL, false),
        ("file kept, identity, breaking left", true, Keep, Breaks::ALL, false),
        ("file kept, no breaking", false, Keep, Breaks::NONE, true),
        ("all of it, no breaking", true, UnlinkThenUnlock, Breaks::NONE, true),
    ] {
        let sketch = Sketch { checks_identity, release, breaks };
        let limits = Limits { kills: 1, overdue: 1, ..Limits::processes(3) };
        let outcome = search(&sketch, limits);
        assert_eq!(outcome.trace.is_none(), holds, "{what}: {:#?}", outcome.trace);
    }
}
