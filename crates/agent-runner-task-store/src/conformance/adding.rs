//! Adding: idempotent, all or none.

use std::time::UNIX_EPOCH;

use super::subject::{FAILED, Subject, after, id, seconds, task};
use crate::{Clock, CommandLine, Imported, NewTask, StoreError, TaskStatus, Verdict};

pub(super) async fn added_tasks_are_kept_whole(s: &Subject) {
    let full = NewTask {
        id: Some(id("full")),
        key: None,
        title: "A title".into(),
        prompt: "first line\nsecond \u{1F980} line".into(),
        command: Some(CommandLine::Argv(vec!["make".into(), String::new()])),
        priority: -7,
        depends_on: vec![id("other")],
        locks: vec!["db".into()],
        touches: vec!["src/**".into()],
        tags: vec!["slow".into(), "rust".into()],
        max_attempts: Some(9),
        timeout: Some(seconds(90)),
        idle_timeout: Some(seconds(30)),
        memory: Some(4 << 30),
        verify: Some(CommandLine::Shell("make test".into())),
        expect_diff: Some(false),
        not_before: Some(UNIX_EPOCH + seconds(5)),
        payload: serde_json::json!({ "any": ["thing", 1, null] }),
        source: Some("tasks.md".into()),
    };
    s.add([task("other"), full.clone()]).await;
    let kept = s.get("full").await;
    assert_eq!(kept.spec, full, "what was asked for");
    assert_eq!((kept.attempt, kept.failures, kept.recoveries), (0, 0, 0), "nothing was tried");
    assert_eq!((kept.finished_at, kept.error), (None, None), "nothing has ended");
    assert_eq!(kept.created_at, s.clock.now(), "the store's clock");
}

pub(super) async fn the_title_is_the_first_line_of_the_prompt(s: &Subject) {
    s.add([NewTask { prompt: "one\ntwo".into(), ..task("a") }]).await;
    assert_eq!(s.get("a").await.spec.title, "one");
}

pub(super) async fn tasks_without_an_id_get_the_next_free_number(s: &Subject) {
    let unnamed = |prompt: &str| NewTask { prompt: prompt.into(), ..NewTask::default() };
    let first = s.add([unnamed("a"), task("2"), unnamed("b")]).await;
    assert_eq!(first.ids, [id("1"), id("2"), id("3")], "2 was taken in the same call");
    s.add([task("4"), task("05")]).await;
    let second = s.add([unnamed("c"), unnamed("a")]).await;
    assert_eq!(second.ids, [id("5"), id("6")], "4 was taken before; 05 is not 5");
    assert_eq!(second.added, 2, "without a key, the same text is another task");
}

pub(super) async fn a_key_makes_it_the_same_task(s: &Subject) {
    let keyed = |key: &str, prompt: &str| NewTask {
        key: Some(key.into()),
        prompt: prompt.into(),
        ..NewTask::default()
    };
    let first = s.add([keyed("k1", "a"), keyed("k2", "b"), keyed("k1", "a")]).await;
    assert_eq!(first.ids, [id("1"), id("2"), id("1")], "a key is one task in a call too");
    assert_eq!((first.added, first.unchanged), (2, 1));
    let again = s.add([keyed("k2", "b"), keyed("k1", "other")]).await;
    assert_eq!(again.ids, [id("2"), id("1")]);
    assert_eq!((again.added, again.updated, again.unchanged), (0, 1, 1));
    assert_eq!(s.get("1").await.spec.key.as_deref(), Some("k1"), "the key is kept");
    let named = s.add([NewTask { id: Some(id("named")), ..keyed("k1", "x") }]).await;
    assert_eq!(named.ids, [id("named")], "an id is stronger than a key");
}

pub(super) async fn adding_again_changes_nothing(s: &Subject) {
    let tasks = || [task("a"), after("b", &["a"])];
    s.add(tasks()).await;
    s.run("a", Verdict::Succeeded).await;
    let claim = s.claim_of("b").await;
    let again = s.add(tasks()).await;
    assert_eq!((again.added, again.updated, again.unchanged), (0, 0, 2));
    assert_eq!(again.ids, [id("a"), id("b")]);
    assert_eq!(s.status("a").await, TaskStatus::Succeeded, "what is done stays done");
    s.finish(&claim, Verdict::Succeeded).await;
    s.counts_add_up().await;
}

pub(super) async fn other_content_updates_a_task(s: &Subject) {
    s.add([task("a"), task("b"), task("low")]).await;
    s.run("a", FAILED).await;
    let changed = NewTask { prompt: "else".into(), priority: -1, ..task("a") };
    let report = s.add([changed.clone()]).await;
    assert_eq!((report.added, report.updated, report.unchanged), (0, 1, 0));
    let a = s.get("a").await;
    assert_eq!(a.spec.prompt, "else");
    assert_eq!((a.status, a.failures), (TaskStatus::Pending, 1), "it stands as it stood");
    assert_eq!(s.claim_all().await, ["b", "low", "a"], "the new priority counts");
}

pub(super) async fn other_content_reopens_an_ended_task(s: &Subject) {
    s.add([task("done"), NewTask { max_attempts: Some(1), ..task("failed") }]).await;
    s.run("done", Verdict::Succeeded).await;
    s.run("failed", FAILED).await;
    s.add([NewTask { prompt: "else".into(), ..task("done") }, task("failed")]).await;
    for name in ["done", "failed"] {
        let task = s.get(name).await;
        assert_eq!((task.status, task.failures), (TaskStatus::Pending, 0), "{name} is to be done");
        assert_eq!(task.finished_at, None, "{name} has not ended");
    }
    assert_eq!(s.claim_of("done").await.fence.attempt, 2, "attempts only grow");
    s.counts_add_up().await;
}

pub(super) async fn a_running_task_is_not_changed(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    let refused = s.try_add([task("new"), NewTask { prompt: "else".into(), ..task("a") }]).await;
    assert!(matches!(refused, Err(StoreError::Running { task }) if task == id("a")));
    assert_eq!(s.find("new").await, None, "all or none");
    assert_eq!(s.finish(&claim, Verdict::Succeeded).await, TaskStatus::Succeeded);
}

pub(super) async fn where_it_was_read_is_no_content(s: &Subject) {
    let from = |file: &str| NewTask { source: Some(file.into()), ..task("a") };
    s.add([from("old.md")]).await;
    s.run("a", Verdict::Succeeded).await;
    let report = s.add([from("new.md")]).await;
    assert_eq!(report.unchanged, 1);
    let a = s.get("a").await;
    assert_eq!(a.status, TaskStatus::Succeeded, "a renamed file does not run it again");
    assert_eq!(a.spec.source.as_deref(), Some("new.md"), "but its name is known");
}

pub(super) async fn the_same_id_twice_is_refused(s: &Subject) {
    let refused = s.try_add([task("a"), task("b"), task("a")]).await;
    assert!(matches!(refused, Err(StoreError::Duplicate { task }) if task == id("a")));
    assert_eq!(s.counts().await.total(), 0, "all or none");
    s.add([task("a")]).await;
    let refused = s.try_add([task("b"), task("a"), task("a")]).await;
    assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "also when it is known");
    assert_eq!(s.find("b").await, None, "all or none");
}

pub(super) async fn an_unknown_dependency_is_refused(s: &Subject) {
    let refused = s.try_add([task("a"), after("b", &["a", "c"])]).await;
    assert!(
        matches!(&refused, Err(StoreError::UnknownDependency { task, missing })
            if *task == id("b") && *missing == id("c")),
        "{refused:?}",
    );
    assert_eq!(s.counts().await.total(), 0, "all or none");
    s.add([after("b", &["c", "c"]), task("c")]).await;
    assert_eq!(s.claim_all().await, ["c"], "a later task of the call may be named, even twice");
}

pub(super) async fn circles_are_refused_and_named(s: &Subject) {
    let alone = s.try_add([after("a", &["a"])]).await;
    assert!(
        matches!(&alone, Err(StoreError::Cycle { cycle }) if *cycle == [id("a"), id("a")]),
        "{alone:?}",
    );
    let three = s
        .try_add([task("x"), after("a", &["x", "b"]), after("b", &["c"]), after("c", &["a"])])
        .await;
    let Err(StoreError::Cycle { cycle }) = &three else { panic!("not refused: {three:?}") };
    assert_eq!(cycle.len(), 4, "three tasks, the first again at the end: {cycle:?}");
    assert_eq!(cycle.first(), cycle.last());
    assert!(!cycle.contains(&id("x")), "only those of the circle: {cycle:?}");
    assert_eq!(s.counts().await.total(), 0, "all or none");
}

pub(super) async fn a_circle_through_older_tasks_is_refused(s: &Subject) {
    s.add([task("a"), after("b", &["a"]), after("c", &["b"])]).await;
    let refused = s.try_add([after("a", &["c"])]).await;
    assert!(matches!(refused, Err(StoreError::Cycle { ref cycle }) if cycle.len() == 4));
    assert!(s.get("a").await.spec.depends_on.is_empty(), "all or none");
    let mixed = s.try_add([after("a", &["new"]), after("new", &["c"])]).await;
    assert!(matches!(mixed, Err(StoreError::Cycle { .. })), "through a new task too");
    s.add([after("c", &[]), after("a", &["c"])]).await;
    assert_eq!(s.claim_all().await, ["c"], "turning an arrow around is no circle");
    s.counts_add_up().await;
}

pub(super) async fn importing_is_adding(s: &Subject) {
    s.add([task("c")]).await;
    let tasks = [after("a", &["b"]), task("b"), task("c")].into_iter().map(Ok);
    let imported = s.store.import(Box::new(tasks)).await.expect("the tasks are good");
    assert_eq!(imported, Imported { added: 2, updated: 0, unchanged: 1 });
    assert_eq!(s.claim_all().await, ["c", "b"]);
    s.counts_add_up().await;
}

pub(super) async fn a_failing_import_adds_nothing(s: &Subject) {
    let tasks = [Ok(task("a")), Err("line 2 is no task".into())];
    let failed = s.store.import(Box::new(tasks.into_iter())).await;
    let Err(StoreError::Source(why)) = failed else { panic!("not refused: {failed:?}") };
    assert_eq!(why.to_string(), "line 2 is no task");
    let unknown = s.store.import(Box::new([Ok(after("a", &["b"]))].into_iter())).await;
    assert!(matches!(unknown, Err(StoreError::UnknownDependency { .. })));
    assert_eq!(s.counts().await.total(), 0, "all or none");
    s.add([task("a")]).await;
    assert_eq!(s.claim_all().await, ["a"], "and the store goes on");
}
