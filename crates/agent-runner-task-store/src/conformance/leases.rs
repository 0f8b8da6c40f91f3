//! Leases: how long a claim lasts, and who may take it away.

use super::subject::{LEASE, Subject, id, report, request, seconds, task, worker};
use crate::{Beat, ClaimRequest, StoreError, TaskStatus, Verdict};

pub(super) async fn a_heartbeat_extends_the_lease(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    for _ in 0..5 {
        s.pass(seconds(59));
        assert_eq!(s.beat(&claim.fence).await, Beat::Continue);
        assert!(s.rescue_expired(10).await.is_empty(), "a beating holder is left alone");
    }
    s.pass(LEASE);
    assert_eq!(s.rescue_expired(10).await, ["a"], "a silent one is not");
    assert_eq!(s.beat(&claim.fence).await, Beat::Lost);
}

pub(super) async fn heartbeats_are_answered_in_order(s: &Subject) {
    s.add([task("a"), task("b"), task("c")]).await;
    let (a, b, c) = (s.claim_of("a").await, s.claim_of("b").await, s.claim_of("c").await);
    s.cancel("b").await;
    s.rescue(&c.fence).await;
    let fences = [c.fence, a.fence, b.fence];
    let beats = s.store.heartbeat(&fences).await.expect("beating works");
    assert_eq!(beats, [Beat::Lost, Beat::Continue, Beat::Cancel]);
    assert!(s.store.heartbeat(&[]).await.expect("beating works").is_empty());
}

pub(super) async fn the_lease_runs_out_by_the_stores_clock(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    assert_eq!(s.next_due().await, Some(LEASE));
    s.pass(seconds(59));
    assert!(s.rescue_expired(10).await.is_empty());
    s.pass(seconds(1));
    assert_eq!(s.next_due().await, Some(seconds(0)));
    assert_eq!(s.rescue_expired(10).await, ["a"]);
    let a = s.get("a").await;
    assert_eq!((a.status, a.failures, a.recoveries), (TaskStatus::Pending, 0, 1));
    let late = s.try_finish(&claim.fence, Verdict::Succeeded).await;
    assert!(matches!(late, Err(StoreError::LeaseLost { .. })), "the zombie is refused");
    s.counts_add_up().await;
}

pub(super) async fn a_late_holder_that_nobody_replaced_may_finish(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    s.pass(LEASE * 10);
    assert_eq!(s.beat(&claim.fence).await, Beat::Continue);
    assert!(s.rescue_expired(10).await.is_empty(), "its lease is whole again");
    s.pass(LEASE * 10);
    assert_eq!(s.finish(&claim, Verdict::Succeeded).await, TaskStatus::Succeeded);
}

pub(super) async fn rescues_are_bounded_and_begin_with_the_longest_overdue(s: &Subject) {
    s.add(["a", "b", "c"].map(task)).await;
    for _ in 0..3 {
        s.claim().await;
        s.pass(seconds(1));
    }
    s.pass(LEASE);
    assert_eq!(s.rescue_expired(2).await, ["a", "b"]);
    assert!(s.rescue_expired(0).await.is_empty());
    assert_eq!(s.rescue_expired(2).await, ["c"]);
    let (a, _) = (s.claim_of("a").await, s.claim_of("b").await);
    s.pass(seconds(1));
    s.beat(&a.fence).await;
    s.pass(LEASE);
    assert_eq!(s.rescue_expired(2).await, ["b", "a"], "by the end of the lease, not its begin");
    s.counts_add_up().await;
}

pub(super) async fn a_rescue_ends_only_the_attempt_it_names(s: &Subject) {
    s.add([task("a")]).await;
    let first = s.claim().await;
    assert_eq!(s.rescue(&first.fence).await, TaskStatus::Pending);
    let second = s.claim().await;
    let again = s.store.rescue(&first.fence, "late").await;
    assert!(matches!(again, Err(StoreError::LeaseLost { attempt: 1, .. })));
    assert_eq!(s.beat(&second.fence).await, Beat::Continue, "the second goes on");
    assert_eq!(s.get("a").await.recoveries, 1);
}

pub(super) async fn rescues_are_rationed(s: &Subject) {
    s.add([task("a")]).await;
    for _ in 0..5 {
        let claim = s.claim().await;
        assert_eq!(s.rescue(&claim.fence).await, TaskStatus::Pending);
    }
    s.claim().await;
    s.pass(LEASE);
    assert_eq!(s.rescue_expired(1).await, ["a"]);
    assert_eq!(s.status("a").await, TaskStatus::Failed, "a task that kills its holders ends");
}

pub(super) async fn running_says_who_holds_what(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    let a = s.claim_of("a").await;
    s.pass(seconds(5));
    let other = ClaimRequest { worker: worker(2), lease: seconds(7), ..request() };
    let b = s.store.claim(&other).await.expect("claiming works").expect("b is there");
    s.pass(seconds(1));
    let running = s.running().await;
    assert_eq!(running.len(), 2);
    assert_eq!((&running[0].fence, &running[1].fence), (&a.fence, &b.fence), "oldest first");
    assert_eq!((&running[0].worker, &running[1].worker), (&worker(1), &worker(2)));
    assert_eq!((running[0].held_for, running[0].lease_left), (seconds(6), seconds(54)));
    assert_eq!((running[1].held_for, running[1].lease_left), (seconds(1), seconds(6)));
    s.pass(LEASE);
    assert_eq!(s.running().await[0].lease_left, seconds(0), "it has run out");
    s.store.finish(&a.fence, report(Verdict::Succeeded), None).await.expect("a is held");
    let left: Vec<_> = s.running().await.into_iter().map(|running| running.fence.task).collect();
    assert_eq!(left, [id("b")]);
}
