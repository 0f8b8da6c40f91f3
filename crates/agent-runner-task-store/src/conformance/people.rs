//! What people do to tasks: cancel and retry.

use super::subject::{CRASHED, FAILED, RELEASED, Subject, id, tagged, task};
use crate::{Beat, Clock, Filter, Selector, StoreError, TaskStatus, Verdict};

pub(super) async fn a_task_that_does_not_run_is_cancelled_at_once(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    assert_eq!(s.cancel("a").await, 1);
    let a = s.get("a").await;
    assert_eq!((a.status, a.finished_at), (TaskStatus::Cancelled, Some(s.clock.now())));
    assert_eq!(s.cancel("a").await, 0, "it has ended");
    assert_eq!(s.claim_all().await, ["b"]);
    s.counts_add_up().await;
}

pub(super) async fn a_running_task_is_told_to_stop(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    assert_eq!(s.cancel("a").await, 1);
    assert_eq!(s.cancel("a").await, 0, "it is told already");
    assert_eq!(s.status("a").await, TaskStatus::Running, "until its holder knows");
    assert_eq!(s.beat(&claim.fence).await, Beat::Cancel);
    assert_eq!(s.finish(&claim, Verdict::Cancelled).await, TaskStatus::Cancelled);
    s.counts_add_up().await;
}

pub(super) async fn a_cancelled_task_is_not_tried_again(s: &Subject) {
    let ends = [
        (RELEASED, TaskStatus::Cancelled),
        (FAILED, TaskStatus::Cancelled),
        (CRASHED, TaskStatus::Cancelled),
        (Verdict::Dead, TaskStatus::Failed),
        (Verdict::Succeeded, TaskStatus::Succeeded),
    ];
    s.add((0..5).map(|n| task(&n.to_string()))).await;
    for (verdict, end) in ends {
        let claim = s.claim().await;
        s.cancel(claim.fence.task.as_str()).await;
        assert_eq!(s.finish(&claim, verdict).await, end, "{verdict:?}");
    }
    s.add([task("gone")]).await;
    let claim = s.claim().await;
    s.cancel("gone").await;
    assert_eq!(s.rescue(&claim.fence).await, TaskStatus::Cancelled, "nor after a rescue");
    s.retry("gone").await;
    let again = s.claim_of("gone").await;
    assert_eq!(s.beat(&again.fence).await, Beat::Continue, "the word was for that attempt");
}

pub(super) async fn a_retry_fills_the_budgets(s: &Subject) {
    s.add([task("a")]).await;
    for _ in 0..3 {
        s.run("a", FAILED).await;
    }
    assert_eq!(s.retry("a").await, 1);
    assert_eq!(s.retry("a").await, 0, "it has not ended");
    let a = s.get("a").await;
    assert_eq!((a.status, a.failures, a.recoveries), (TaskStatus::Pending, 0, 0));
    assert_eq!((a.attempt, a.finished_at), (3, None), "attempts only grow");
    assert_eq!(s.claim().await.fence.attempt, 4);
    assert_eq!(s.attempts("a").await.len(), 4, "what was recorded stays");
    s.counts_add_up().await;
}

pub(super) async fn an_unknown_id_changes_nothing(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    s.run("a", Verdict::Dead).await;
    let some = Selector::Ids(vec![id("a"), id("b"), id("none")]);
    let cancelled = s.store.cancel(&some).await;
    assert!(matches!(cancelled, Err(StoreError::NotFound { task }) if task == id("none")));
    let retried = s.store.retry(&some).await;
    assert!(matches!(retried, Err(StoreError::NotFound { .. })));
    assert_eq!(s.status("a").await, TaskStatus::Failed);
    assert_eq!(s.status("b").await, TaskStatus::Pending);
}

pub(super) async fn changes_may_concern_all_that_fit(s: &Subject) {
    s.add([tagged("a", &["x"]), tagged("b", &["y"]), tagged("c", &["x"]), task("d")]).await;
    s.run("a", Verdict::Dead).await;
    let matching = |statuses: &[TaskStatus], tags: &[&str]| {
        let tags = super::subject::words(tags);
        Selector::Matching(Filter { statuses: statuses.to_vec(), tags })
    };
    let x = matching(&[], &["x"]);
    assert_eq!(s.store.cancel(&x).await.expect("cancelling works"), 1, "a has ended");
    assert_eq!(s.status("c").await, TaskStatus::Cancelled);
    let failed = matching(&[TaskStatus::Failed], &[]);
    assert_eq!(s.store.retry(&failed).await.expect("retrying works"), 1);
    assert_eq!(s.status("a").await, TaskStatus::Pending);
    let all = matching(&[], &[]);
    assert_eq!(s.store.cancel(&all).await.expect("cancelling works"), 3);
    assert_eq!(s.counts_add_up().await.cancelled, 4);
    assert_eq!(s.store.retry(&all).await.expect("retrying works"), 4);
    assert_eq!(s.claim_all().await, ["a", "b", "c", "d"], "everybody has kept his place");
}
