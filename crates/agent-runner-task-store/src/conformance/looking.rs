//! Looking: one task, pages of them, and how many stand where.

use super::subject::{Subject, after, id, tagged, task, words};
use crate::{Filter, StoreError, TaskStatus, Verdict};

pub(super) async fn what_is_not_there_is_not_found(s: &Subject) {
    assert_eq!(s.find("none").await, None);
    let attempts = s.store.attempts(&id("none")).await;
    assert!(matches!(attempts, Err(StoreError::NotFound { task }) if task == id("none")));
    let after = s.store.list(&Filter::default(), Some(&id("none")), 1).await;
    assert!(matches!(after, Err(StoreError::NotFound { .. })));
    s.add([task("none")]).await;
    assert!(s.attempts("none").await.is_empty(), "a task without attempts has none");
}

pub(super) async fn pages_follow_the_order_of_adding(s: &Subject) {
    s.add((0..25).rev().map(|n| task(&format!("t{n}")))).await;
    let (mut names, mut last) = (Vec::new(), None);
    loop {
        let page = s.store.list(&Filter::default(), last.as_ref(), 10).await;
        let page = page.expect("listing works");
        assert!(page.len() <= 10, "a page has its limit");
        let Some(end) = page.last() else { break };
        last = Some(end.id.clone());
        names.extend(page.into_iter().map(|task| task.id.to_string()));
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("t{n}")).collect();
    assert_eq!(names, expected, "each once, in order");
}

pub(super) async fn lists_are_filtered(s: &Subject) {
    s.add([task("done"), tagged("dead", &["x"]), task("runs"), tagged("open", &["x", "y"])]).await;
    s.add([after("waits", &["open"]), tagged("gone", &["y"])]).await;
    s.run("done", Verdict::Succeeded).await;
    s.run("dead", Verdict::Dead).await;
    s.claim_of("runs").await;
    s.cancel("gone").await;
    let list = async |statuses: &[TaskStatus], tags: &[&str]| {
        s.list(&Filter { statuses: statuses.to_vec(), tags: words(tags) }).await
    };
    for (status, name) in [
        (TaskStatus::Pending, "open"),
        (TaskStatus::Waiting, "waits"),
        (TaskStatus::Running, "runs"),
        (TaskStatus::Succeeded, "done"),
        (TaskStatus::Failed, "dead"),
        (TaskStatus::Cancelled, "gone"),
    ] {
        assert_eq!(list(&[status], &[]).await, [name], "{status}");
    }
    assert_eq!(list(&[TaskStatus::Cancelled, TaskStatus::Succeeded], &[]).await, ["done", "gone"]);
    assert_eq!(list(&[], &["x"]).await, ["dead", "open"]);
    assert_eq!(list(&[], &["y", "x"]).await, ["dead", "open", "gone"], "each once");
    assert_eq!(list(&[TaskStatus::Pending], &["x", "y"]).await, ["open"]);
    assert!(list(&[TaskStatus::Waiting], &["x"]).await.is_empty());
}

pub(super) async fn filtered_pages_go_on_where_they_ended(s: &Subject) {
    s.add((0..30).map(|n| tagged(&format!("t{n}"), &[["a", "b", "c"][n % 3]]))).await;
    let filter = Filter { statuses: vec![TaskStatus::Pending], tags: words(&["a", "c"]) };
    let first = s.store.list(&filter, None, 7).await.expect("listing works");
    let last = first.last().map(|task| task.id.clone());
    let rest = s.store.list(&filter, last.as_ref(), 100).await.expect("listing works");
    let numbers: Vec<_> = first.iter().chain(&rest).map(|task| task.id.to_string()).collect();
    let expected: Vec<_> = (0..30).filter(|n| n % 3 != 1).map(|n| format!("t{n}")).collect();
    assert_eq!(numbers, expected);
    assert!(s.store.list(&filter, None, 0).await.expect("listing works").is_empty());
}

pub(super) async fn every_task_is_counted_once(s: &Subject) {
    s.add([task("a"), task("b"), task("c"), task("d"), after("e", &["d"]), task("f")]).await;
    s.run("a", Verdict::Succeeded).await;
    s.run("b", Verdict::Dead).await;
    s.claim_of("c").await;
    s.cancel("f").await;
    let counts = s.counts_add_up().await;
    for status in TaskStatus::ALL {
        assert_eq!(counts.get(status), 1, "{status}");
    }
    assert_eq!((counts.total(), counts.open()), (6, 3));
}
