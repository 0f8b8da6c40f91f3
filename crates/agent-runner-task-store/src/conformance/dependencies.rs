//! Dependencies: nothing begins before what it needs has succeeded.

use super::subject::{FAILED, RELEASED, Subject, after, id, task};
use crate::{NewTask, TaskStatus, Verdict};

pub(super) async fn a_task_waits_for_what_it_needs(s: &Subject) {
    s.add([after("c", &["a", "b"]), task("a"), task("b")]).await;
    assert_eq!(s.status("c").await, TaskStatus::Waiting);
    assert_eq!(s.next_due().await, None, "no time will help");
    s.run("a", Verdict::Succeeded).await;
    assert_eq!(s.status("c").await, TaskStatus::Waiting, "one is still missing");
    s.run("b", FAILED).await;
    s.run("b", Verdict::Succeeded).await;
    assert_eq!(s.status("c").await, TaskStatus::Pending);
    assert_eq!(s.run("c", Verdict::Succeeded).await, TaskStatus::Succeeded);
    s.counts_add_up().await;
}

pub(super) async fn what_has_succeeded_is_not_waited_for(s: &Subject) {
    s.add([task("a")]).await;
    s.run("a", Verdict::Succeeded).await;
    s.add([after("b", &["a"])]).await;
    assert_eq!(s.claim_all().await, ["b"]);
}

pub(super) async fn a_failed_or_cancelled_need_keeps_a_task_waiting(s: &Subject) {
    s.add([task("failed"), task("gone"), after("x", &["failed"]), after("y", &["gone"])]).await;
    s.run("failed", Verdict::Dead).await;
    s.cancel("gone").await;
    assert_eq!(s.try_claim().await, None);
    let counts = s.counts_add_up().await;
    assert_eq!((counts.waiting, counts.failed, counts.cancelled), (2, 1, 1));
    for (need, waiter) in [("failed", "x"), ("gone", "y")] {
        s.retry(need).await;
        s.run(need, Verdict::Succeeded).await;
        s.run(waiter, Verdict::Succeeded).await;
    }
}

pub(super) async fn doing_a_need_again_stops_what_has_not_begun(s: &Subject) {
    s.add([task("a"), after("b", &["a"]), after("c", &["a"]), after("d", &["a"])]).await;
    s.run("a", Verdict::Succeeded).await;
    let b = s.claim_of("b").await;
    s.run("c", Verdict::Succeeded).await;
    s.retry("a").await;
    assert_eq!(s.status("d").await, TaskStatus::Waiting);
    assert_eq!(s.status("c").await, TaskStatus::Succeeded, "what is done stays done");
    assert_eq!(s.finish(&b, RELEASED).await, TaskStatus::Waiting, "what comes back waits");
    s.counts_add_up().await;
    s.run("a", Verdict::Succeeded).await;
    assert_eq!(s.claim_all().await, ["b", "d"]);
}

pub(super) async fn an_update_may_change_the_needs(s: &Subject) {
    s.add([task("a"), task("b"), after("c", &["a"])]).await;
    s.add([after("c", &["b"])]).await;
    s.run("a", Verdict::Succeeded).await;
    assert_eq!(s.status("c").await, TaskStatus::Waiting, "it needs b now");
    s.add([task("c")]).await;
    assert_eq!(s.status("c").await, TaskStatus::Pending, "it needs nothing now");
    s.add([after("b", &["c"])]).await;
    assert_eq!(s.claim_all().await, ["c"]);
    s.counts_add_up().await;
}

pub(super) async fn a_changed_need_is_waited_for_again(s: &Subject) {
    s.add([task("a"), after("b", &["a"])]).await;
    s.run("a", Verdict::Succeeded).await;
    s.add([NewTask { prompt: "else".into(), ..task("a") }]).await;
    assert_eq!(s.status("b").await, TaskStatus::Waiting);
    s.run("a", Verdict::Succeeded).await;
    assert_eq!(s.claim_all().await, ["b"]);
}

pub(super) async fn many_tasks_may_wait_for_one(s: &Subject) {
    s.add((0..500).map(|n| after(&format!("t{n}"), &["root"])).chain([task("root")])).await;
    assert_eq!(s.counts().await.waiting, 500);
    s.run("root", Verdict::Succeeded).await;
    assert_eq!(s.counts_add_up().await.pending, 500);
    assert_eq!(s.claim().await.fence.task, id("t0"), "in the order of adding");
}

pub(super) async fn a_long_chain_runs_in_its_order(s: &Subject) {
    let chain = (1..50).map(|n| after(&format!("t{n}"), &[&format!("t{}", n - 1)]));
    s.add(chain.chain([task("t0")])).await;
    for n in 0..50 {
        s.run(&format!("t{n}"), Verdict::Succeeded).await;
    }
    assert_eq!(s.counts_add_up().await.succeeded, 50);
}
