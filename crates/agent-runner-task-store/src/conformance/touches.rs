//! Patterns of paths: no two running tasks have some that overlap, and a claim goes around those
//! that would.

use super::subject::{RELEASED, Subject, id, tagged, task, touching, words};
use crate::{Claim, NewTask, TaskStatus, Verdict};

pub(super) async fn a_claim_goes_around_what_is_touched(s: &Subject) {
    s.add([touching("a", &["src/x"]), touching("b", &["src/x"]), task("c")]).await;
    let a = s.claim_of("a").await;
    s.run("c", Verdict::Succeeded).await;
    assert_eq!(s.try_claim().await, None, "b touches what a touches");
    assert_eq!(s.status("b").await, TaskStatus::Waiting);
    s.counts_add_up().await;
    s.finish(&a, Verdict::Succeeded).await;
    assert_eq!(s.status("b").await, TaskStatus::Pending);
    s.run("b", Verdict::Succeeded).await;
    s.counts_add_up().await;
}

/// Each claim must be the first task that overlaps nothing that runs, whatever ends when.
pub(super) async fn what_overlaps_never_runs_together(s: &Subject) {
    let patterns = [
        "**", "src/**", "src/a/**", "src/a/b", "src/a/b", "docs/**", "docs/a", "src/c/**",
        "src/c/d", "docs/b", "docs/a", "src/**", "src/a/**",
    ];
    let mut open: Vec<_> =
        patterns.iter().enumerate().map(|(n, pattern)| (format!("t{n}"), *pattern)).collect();
    s.add(open.iter().map(|(name, pattern)| touching(name, &[*pattern]))).await;
    let mut running: Vec<(&str, Claim)> = Vec::new();
    while !open.is_empty() || !running.is_empty() {
        let is_free = |pattern: &str| {
            !running.iter().any(|(other, _)| pattern == *other || (s.overlap)(pattern, other))
        };
        if let Some(at) = open.iter().position(|(_, pattern)| is_free(pattern)) {
            let (name, pattern) = open.remove(at);
            running.push((pattern, s.claim_of(&name).await));
        } else {
            assert_eq!(s.try_claim().await, None, "all that is open overlaps {running:?}");
            // Now the first, now the last that began.
            let at = if open.len() % 2 == 0 { 0 } else { running.len() - 1 };
            s.finish(&running.remove(at).1, Verdict::Succeeded).await;
        }
    }
    assert_eq!(s.counts_add_up().await.succeeded, patterns.len() as u64);
}

pub(super) async fn a_task_waits_for_its_paths_and_for_its_locks(s: &Subject) {
    let both = |name: &str| NewTask { locks: words(&["x"]), ..touching(name, &["x"]) };
    let lock = NewTask { locks: words(&["x"]), ..task("lock") };
    s.add([lock, touching("path", &["x"]), both("both"), both("later")]).await;
    let lock = s.claim_of("lock").await;
    let path = s.claim_of("path").await;
    assert_eq!(s.try_claim().await, None, "both are taken, and a lock is no path");
    s.finish(&lock, Verdict::Succeeded).await;
    assert_eq!(s.try_claim().await, None, "the path is taken");
    s.finish(&path, Verdict::Succeeded).await;
    let both = s.claim_of("both").await;
    assert_eq!(s.try_claim().await, None, "both are taken again");
    s.finish(&both, Verdict::Succeeded).await;
    s.claim_of("later").await;
    s.counts_add_up().await;
}

pub(super) async fn every_end_lets_go_of_the_paths(s: &Subject) {
    s.add([touching("a", &["src/**"]), touching("b", &["src/**"])]).await;
    let a = s.claim_of("a").await;
    assert_eq!(s.try_claim().await, None, "b is blocked");
    s.finish(&a, RELEASED).await;
    let a = s.claim_of("a").await;
    s.cancel("a").await;
    assert_eq!(s.try_claim().await, None, "a was told to stop, and still runs");
    s.finish(&a, Verdict::Cancelled).await;
    let b = s.claim_of("b").await;
    s.rescue(&b.fence).await;
    s.claim_of("b").await;
}

pub(super) async fn an_update_may_change_what_is_touched(s: &Subject) {
    s.add(["a", "b", "c", "d"].map(|name| touching(name, &["src/**"]))).await;
    let a = s.claim_of("a").await;
    assert_eq!(s.try_claim().await, None);
    s.add([task("b")]).await;
    let b = s.claim_of("b").await;
    s.finish(&a, Verdict::Succeeded).await;
    s.add([task("c")]).await;
    s.claim_of("c").await;
    s.claim_of("d").await;
    s.finish(&b, Verdict::Succeeded).await;
    s.add([touching("b", &["src/**"])]).await;
    assert_eq!(s.try_claim().await, None, "b is done again, and touches what d does");
    s.counts_add_up().await;
}

pub(super) async fn a_path_wakes_tasks_of_every_tag(s: &Subject) {
    let both = |name: &str, tags: &[&str]| NewTask { touches: words(&["x"]), ..tagged(name, tags) };
    s.add([touching("a", &["x"]), both("b", &["red"]), both("c", &["blue"]), both("d", &["blue"])])
        .await;
    let a = s.claim_of("a").await;
    assert_eq!(s.try_claim().await, None, "all are blocked");
    s.finish(&a, Verdict::Succeeded).await;
    let c = s.claim_tagged(&["blue"]).await.expect("b is not asked for and not in the way");
    assert_eq!(c.fence.task, id("c"));
    assert_eq!(s.claim_tagged(&["red", "blue"]).await, None, "x is touched again");
    s.finish(&c, Verdict::Succeeded).await;
    assert_eq!(s.claim().await.fence.task, id("b"));
}
