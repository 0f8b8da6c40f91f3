//! Resource locks: no two running tasks share a name, and a claim goes around what is blocked.

use super::subject::{CRASHED, RELEASED, Subject, locking, tagged, task, words};
use crate::{NewTask, TaskStatus, Verdict};

pub(super) async fn a_claim_goes_around_a_held_lock(s: &Subject) {
    s.add([locking("a", &["db"]), locking("b", &["db"]), task("c")]).await;
    let a = s.claim_of("a").await;
    s.run("c", Verdict::Succeeded).await;
    assert_eq!(s.try_claim().await, None, "b needs what a has");
    assert_eq!(s.status("b").await, TaskStatus::Waiting);
    s.counts_add_up().await;
    s.finish(&a, Verdict::Succeeded).await;
    assert_eq!(s.status("b").await, TaskStatus::Pending);
    s.run("b", Verdict::Succeeded).await;
    s.counts_add_up().await;
}

pub(super) async fn blocked_tasks_keep_their_order(s: &Subject) {
    let names: Vec<_> = (0..20).map(|n| format!("t{n}")).collect();
    s.add(names.iter().map(|name| locking(name, &["db"]))).await;
    s.add([NewTask { priority: 1, ..locking("urgent", &["db"]) }]).await;
    let mut claim = s.claim_of("urgent").await;
    for name in &names {
        assert_eq!(s.try_claim().await, None, "one at a time");
        s.counts_add_up().await;
        s.finish(&claim, Verdict::Succeeded).await;
        claim = s.claim_of(name).await;
    }
}

pub(super) async fn every_end_releases_the_lock(s: &Subject) {
    s.add([locking("a", &["db"]), locking("b", &["db"])]).await;
    let verdicts = [RELEASED, CRASHED, Verdict::Succeeded];
    for verdict in verdicts {
        let a = s.claim_of("a").await;
        assert_eq!(s.try_claim().await, None, "b is blocked");
        s.finish(&a, verdict).await;
    }
    let b = s.claim_of("b").await;
    s.rescue(&b.fence).await;
    s.claim_of("b").await;
}

pub(super) async fn a_task_may_hold_several_locks(s: &Subject) {
    s.add([locking("ab", &["a", "b", "a"]), locking("bc", &["b", "c"]), locking("c", &["c"])])
        .await;
    let first = s.claim_of("ab").await;
    let third = s.claim_of("c").await;
    assert_eq!(s.try_claim().await, None, "both of its names are held");
    s.finish(&first, Verdict::Succeeded).await;
    assert_eq!(s.try_claim().await, None, "one is still held");
    s.finish(&third, Verdict::Succeeded).await;
    s.claim_of("bc").await;
}

pub(super) async fn a_wake_up_that_is_no_use_is_passed_on(s: &Subject) {
    s.add([locking("a", &["x"]), locking("y", &["y"])]).await;
    s.add([locking("both", &["x", "y"]), locking("later", &["x"])]).await;
    let a = s.claim_of("a").await;
    s.claim_of("y").await;
    assert_eq!(s.try_claim().await, None, "both and later wait for x");
    s.finish(&a, Verdict::Succeeded).await;
    s.claim_of("later").await;
    s.counts_add_up().await;
}

pub(super) async fn a_cancelled_task_lets_the_next_one_by(s: &Subject) {
    s.add(["a", "b", "c"].map(|name| locking(name, &["x"]))).await;
    let a = s.claim_of("a").await;
    assert_eq!(s.try_claim().await, None);
    s.finish(&a, Verdict::Succeeded).await;
    s.cancel("b").await;
    s.claim_of("c").await;
    s.counts_add_up().await;
}

pub(super) async fn an_update_may_change_the_locks(s: &Subject) {
    s.add(["a", "b", "c", "d"].map(|name| locking(name, &["x"]))).await;
    let a = s.claim_of("a").await;
    assert_eq!(s.try_claim().await, None);
    s.add([locking("b", &["y"])]).await;
    s.claim_of("b").await;
    s.finish(&a, Verdict::Succeeded).await;
    s.add([locking("c", &["y"])]).await;
    s.claim_of("d").await;
    assert_eq!(s.try_claim().await, None, "c waits for y now");
    s.counts_add_up().await;
}

pub(super) async fn a_lock_wakes_tasks_of_every_tag(s: &Subject) {
    let both = |name: &str, tags: &[&str]| NewTask { locks: words(&["x"]), ..tagged(name, tags) };
    s.add([locking("a", &["x"]), both("b", &["red"]), both("c", &["blue"]), both("d", &["blue"])])
        .await;
    let a = s.claim_of("a").await;
    assert_eq!(s.try_claim().await, None, "all are blocked");
    s.finish(&a, Verdict::Succeeded).await;
    let c = s.claim_tagged(&["blue"]).await.expect("b is not asked for and not in the way");
    assert_eq!(c.fence.task.as_str(), "c");
    assert_eq!(s.claim_tagged(&["red", "blue"]).await, None, "x is held again");
    s.finish(&c, Verdict::Succeeded).await;
    assert_eq!(s.claim().await.fence.task.as_str(), "b");
}

pub(super) async fn a_waiting_need_holds_no_lock(s: &Subject) {
    let later = NewTask { depends_on: vec![super::subject::id("b")], ..locking("a", &["x"]) };
    s.add([later, locking("b", &["x"])]).await;
    s.run("b", Verdict::Succeeded).await;
    s.run("a", Verdict::Succeeded).await;
}

pub(super) async fn a_head_full_of_blocked_tasks_is_gone_around(s: &Subject) {
    s.add((0..2_500).map(|n| locking(&format!("t{n}"), &["x"])).chain([task("free")])).await;
    let first = s.claim_of("t0").await;
    let report = super::subject::report(Verdict::Succeeded);
    let request = super::subject::request();
    let free = s.claim_of("free").await;
    s.add([task("other")]).await;
    let next = s.store.finish(&free.fence, report, Some(&request)).await.expect("it is held").next;
    assert_eq!(next.map(|claim| claim.fence.task), Some(super::subject::id("other")));
    s.finish(&first, Verdict::Succeeded).await;
    s.claim_of("t1").await;
    s.counts_add_up().await;
}
