//! The end of an attempt: what becomes of the task, and who pays.

use super::subject::{CRASHED, FAILED, RELEASED, Subject, report, request, seconds, task};
use crate::{Budget, ClaimRequest, Clock, Fence, NewTask, StoreError, TaskStatus, Verdict};

pub(super) async fn success_is_the_end(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    s.pass(seconds(3));
    assert_eq!(s.finish(&claim, Verdict::Succeeded).await, TaskStatus::Succeeded);
    let a = s.get("a").await;
    assert_eq!((a.finished_at, a.error), (Some(s.clock.now()), None));
    assert_eq!(s.try_claim().await, None);
    s.counts_add_up().await;
}

pub(super) async fn failures_are_counted_until_the_budget_is_spent(s: &Subject) {
    s.add([task("a")]).await;
    for left in [TaskStatus::Pending, TaskStatus::Pending, TaskStatus::Failed] {
        assert_eq!(s.run("a", FAILED).await, left);
        s.counts_add_up().await;
    }
    let a = s.get("a").await;
    assert_eq!((a.attempt, a.failures, a.recoveries), (3, 3, 0));
    assert!(a.finished_at.is_some(), "it has ended");
    assert_eq!(a.error.as_deref(), Some("suite"), "the outcome, where there is no message");
}

pub(super) async fn a_budget_of_its_own_is_stronger(s: &Subject) {
    let own = |name: &str, max| NewTask { max_attempts: Some(max), ..task(name) };
    s.add([own("once", 1), own("twice", 2)]).await;
    assert_eq!(s.run("once", FAILED).await, TaskStatus::Failed);
    assert_eq!(s.run("twice", FAILED).await, TaskStatus::Pending);
    assert_eq!(s.run("twice", FAILED).await, TaskStatus::Failed);
}

pub(super) async fn crashes_are_counted_apart(s: &Subject) {
    s.add([task("a")]).await;
    s.run("a", FAILED).await;
    for crash in 1..=5 {
        assert_eq!(s.run("a", CRASHED).await, TaskStatus::Pending, "crash {crash} of 5 allowed");
    }
    assert_eq!(s.run("a", CRASHED).await, TaskStatus::Failed, "the sixth is one too many");
    let a = s.get("a").await;
    assert_eq!((a.failures, a.recoveries), (1, 6));
}

pub(super) async fn the_claims_budget_counts(s: &Subject) {
    s.add([task("a")]).await;
    let strict = Budget { attempts: 9, recoveries: 0 };
    let request = ClaimRequest { budget: strict, ..request() };
    let claim = s.store.claim(&request).await.expect("claiming works").expect("a is there");
    assert_eq!(s.rescue(&claim.fence).await, TaskStatus::Failed, "a rescue knows it too");
}

pub(super) async fn released_tasks_keep_their_place_and_pay_nothing(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    for _ in 0..20 {
        assert_eq!(s.run("a", RELEASED).await, TaskStatus::Pending);
    }
    let a = s.get("a").await;
    assert_eq!((a.attempt, a.failures, a.recoveries), (20, 0, 0));
    assert_eq!(s.claim_all().await, ["a", "b"]);
}

pub(super) async fn no_retry_mends_what_is_dead(s: &Subject) {
    s.add([task("a")]).await;
    assert_eq!(s.run("a", Verdict::Dead).await, TaskStatus::Failed);
    assert_eq!(s.get("a").await.failures, 0, "it was not a matter of the budget");
}

pub(super) async fn a_retry_waits_as_long_as_it_was_told(s: &Subject) {
    let retry_after = seconds(10);
    let verdicts = [
        Verdict::Failed { retry_after },
        Verdict::Crashed { retry_after },
        Verdict::Released { retry_after },
    ];
    s.add([task("a")]).await;
    for verdict in verdicts {
        assert_eq!(s.run("a", verdict).await, TaskStatus::Waiting, "{verdict:?}");
        assert_eq!(s.next_due().await, Some(seconds(10)));
        s.pass(seconds(9));
        assert_eq!(s.try_claim().await, None);
        s.counts_add_up().await;
        s.pass(seconds(1));
        s.counts_add_up().await;
    }
    assert_eq!(s.claim_all().await, ["a"]);
}

pub(super) async fn a_claim_is_finished_once(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    let claim = s.claim_of("a").await;
    s.finish(&claim, RELEASED).await;
    for verdict in [Verdict::Succeeded, FAILED, CRASHED, RELEASED, Verdict::Cancelled] {
        let twice = s.try_finish(&claim.fence, verdict).await;
        assert!(
            matches!(&twice, Err(StoreError::LeaseLost { task, attempt: 1 })
                if *task == claim.fence.task),
            "{twice:?}",
        );
    }
    assert_eq!(s.status("a").await, TaskStatus::Pending, "nothing was written");
    s.counts_add_up().await;
}

pub(super) async fn only_the_very_claim_may_finish(s: &Subject) {
    s.add([task("a")]).await;
    let old = s.claim().await;
    s.rescue(&old.fence).await;
    let new = s.claim().await;
    let forged = [
        old.fence.clone(),
        Fence { attempt: 1, ..new.fence.clone() },
        Fence { nonce: new.fence.nonce ^ 1, ..new.fence.clone() },
        Fence { task: super::subject::id("none"), ..new.fence.clone() },
    ];
    for fence in forged {
        let refused = s.try_finish(&fence, Verdict::Succeeded).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost { .. })), "{fence:?}: {refused:?}");
        assert!(s.store.rescue(&fence, "forged").await.is_err(), "{fence:?}");
    }
    assert_eq!(s.finish(&new, Verdict::Succeeded).await, TaskStatus::Succeeded);
}

pub(super) async fn a_refused_finish_claims_nothing(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    let claim = s.claim_of("a").await;
    s.finish(&claim, Verdict::Succeeded).await;
    let refused = s.store.finish(&claim.fence, report(FAILED), Some(&request())).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost { .. })));
    assert_eq!(s.claim_all().await, ["b"]);
}

pub(super) async fn every_attempt_is_recorded(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    let mut full = report(FAILED).with_message("exit 1");
    full.exit_code = Some(1);
    full.signal = Some(9);
    full.duration = seconds(2);
    full.log = Some("logs/a/1.log".into());
    full.credential = Some("key1".into());
    full.details.insert("tokens".into(), serde_json::json!({ "in": 12, "out": 3.5 }));
    s.pass(seconds(2));
    let begun = claim.fence.clone();
    s.store.finish(&begun, full.clone(), None).await.expect("the claim is held");
    assert_eq!(s.get("a").await.error.as_deref(), Some("exit 1"));

    let second = s.claim().await;
    assert_eq!(second.task.error.as_deref(), Some("exit 1"), "the next one is told");
    s.rescue(&second.fence).await;
    s.claim().await;

    let attempts = s.attempts("a").await;
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(attempts[0].report.as_ref(), Some(&full), "the report is kept whole");
    assert_eq!(attempts[0].worker, super::subject::worker(1));
    assert_eq!(attempts[0].finished_at, Some(s.clock.now()));
    assert_eq!(attempts[0].started_at + seconds(2), s.clock.now());
    let lost = attempts[1].report.as_ref().expect("a rescued attempt has ended");
    assert_eq!((lost.outcome.as_str(), lost.verdict), ("lost", CRASHED));
    assert_eq!(lost.message.as_deref(), Some("its process is gone"));
    assert_eq!((attempts[2].finished_at, attempts[2].report.as_ref()), (None, None), "it runs");
}
