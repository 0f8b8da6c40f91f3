//! The three calls of a runner, and what they promise.

use std::fs;

use agent_runner_worktree::{Acquire, Attempt, Ignored, Merge, Start, Worktrees};

use crate::sandbox::{Sandbox, acquire, acquire_from, commit, do_task, merge, merged, write};

#[test]
fn a_task_from_its_worktree_to_the_target() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    assert_eq!(sandbox.git_at(worktree.path(), &["branch", "--show-current"]), "agent-runner/42");
    write(&worktree, "new file", "one\ntwo\n");
    write(&worktree, "README", "one\nTWO\nthree\n");
    write(&worktree, "target/cache", "not for git");

    let checkpoint = worktree.checkpoint().unwrap();
    assert!(checkpoint.was_uncommitted && checkpoint.is_progress() && !checkpoint.is_empty());
    let [readme, new] = &checkpoint.diff.files[..] else { panic!("{:?}", checkpoint.diff) };
    assert_eq!((readme.insertions, readme.deletions), (Some(1), Some(1)));
    assert_eq!((new.path.to_str(), new.insertions), (Some("new file"), Some(2)));
    assert_eq!(sandbox.git_at(worktree.path(), &["status", "--porcelain"]), "", "it is clean");
    assert_eq!(
        sandbox.git(&["rev-parse", "refs/agent-runner/42/1"]),
        checkpoint.commit.as_str(),
        "the attempt has a ref"
    );

    let merged = merged(merge(&mut worktree, &checkpoint));
    assert_eq!((merged.target.as_str(), merged.diff.files.len()), ("main", 2));
    worktree.release().unwrap();
    assert_eq!(sandbox.git(&["rev-parse", "main"]), merged.commit.as_str());
    assert_eq!(fs::read_to_string(sandbox.repo.join("new file")).unwrap(), "one\ntwo\n");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "the user's working tree moved along");
    let message = sandbox.git(&["log", "-1", "--format=%an <%ae>%n%B", "main"]);
    let expected = "agent-runner <agent-runner@localhost>\nDo 42\n\nAgent-Runner-Task: 42\n\
                    Agent-Runner-Attempt: 1";
    assert_eq!(message.trim_end(), expected);
}

#[test]
fn what_the_agent_commits_is_kept_as_it_is() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "a", "a");
    commit(&sandbox, worktree.path(), "the agent's own words");
    let head = sandbox.git_at(worktree.path(), &["rev-parse", "HEAD"]);
    let checkpoint = worktree.checkpoint().unwrap();
    assert_eq!(checkpoint.commit.as_str(), head);
    assert!(!checkpoint.was_uncommitted);
    let again = worktree.checkpoint().unwrap();
    assert_eq!(again.commit, checkpoint.commit, "a second look finds nothing new");
    assert!(again.aside.is_empty());
}

#[test]
fn an_attempt_that_did_nothing_says_so() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "debug.log", "ignored");
    let checkpoint = worktree.checkpoint().unwrap();
    assert!(checkpoint.is_empty() && !checkpoint.is_progress());
    let before = sandbox.git(&["rev-parse", "main"]);
    assert!(matches!(merge(&mut worktree, &checkpoint), Merge::Nothing));
    assert_eq!(sandbox.git(&["rev-parse", "main"]), before);
}

#[test]
fn a_warm_retry_goes_on_and_a_cold_one_begins_again() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut first = acquire(&worktrees, "42", 1);
    write(&first, "first", "1");
    let first_commit = first.checkpoint().unwrap().commit;
    first.release().unwrap();

    let mut second = acquire(&worktrees, "42", 2);
    assert_eq!(second.start(), &first_commit);
    assert!(second.path().join("first").exists());
    write(&second, "second", "2");
    let checkpoint = second.checkpoint().unwrap();
    assert_eq!(checkpoint.diff.files.len(), 2, "the diff is the task's, not the attempt's");
    second.release().unwrap();

    let third = acquire_from(&worktrees, "42", 3, Start::Cold);
    assert!(!third.path().join("first").exists() && !third.path().join("second").exists());
    third.release().unwrap();
    assert_eq!(sandbox.show("refs/agent-runner/42/1", "first"), "1");
    assert_eq!(sandbox.show("refs/agent-runner/42/2", "second"), "2", "old work is kept");
}

#[test]
fn dropped_without_a_word_is_saved_before_anybody_else_comes() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().max(1).open().unwrap();
    let worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "precious");
    drop(worktree);
    let other = acquire(&worktrees, "43", 1);
    assert!(!other.path().join("work").exists());
    assert_eq!(sandbox.show("agent-runner/42", "work"), "precious");
    assert_eq!(sandbox.show("refs/agent-runner/42/1", "work"), "precious");
}

#[test]
fn there_are_never_more_worktrees_than_allowed() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().max(2).open().unwrap();
    let one = acquire(&worktrees, "1", 1);
    let _two = acquire(&worktrees, "2", 1);
    let third =
        |worktrees: &Worktrees| worktrees.acquire(&Attempt::new("3", 1), Start::Warm).unwrap();
    assert!(matches!(third(&worktrees), Acquire::Full { max: 2 }));
    one.release().unwrap();
    assert!(matches!(third(&sandbox.builder().max(2).open().unwrap()), Acquire::Ready(_)));
}

#[test]
fn one_task_is_worked_on_once() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let worktree = acquire(&worktrees, "42", 1);
    let again = sandbox.open().acquire(&Attempt::new("42", 2), Start::Warm).unwrap();
    let Acquire::InUse { path } = again else { panic!("{again:?}") };
    assert_eq!(path, worktree.path());
}

#[test]
fn a_branch_that_a_person_looks_at_is_left_alone() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().target("main").open().unwrap();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "1");
    worktree.checkpoint().unwrap();
    worktree.release().unwrap();
    sandbox.git(&["switch", "--quiet", "agent-runner/42"]);
    let again = worktrees.acquire(&Attempt::new("42", 2), Start::Cold).unwrap();
    assert!(matches!(again, Acquire::CheckedOut { .. }), "{again:?}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}

#[test]
fn caches_stay_and_leftovers_go() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().max(1).open().unwrap();
    let worktree = acquire(&worktrees, "1", 1);
    for file in ["target/deep/cache", "sub/target/cache", "state.log", "sub/more.log"] {
        write(&worktree, file, "x");
    }
    write(&worktree, "sub/work", "x");
    let path = worktree.path().to_owned();
    worktree.release().unwrap();

    let worktree = acquire(&worktrees, "2", 1);
    assert_eq!(worktree.path(), path, "it is used again");
    let is_there = |file: &str| path.join(file).exists();
    assert!(is_there("target/deep/cache") && is_there("sub/target/cache"), "caches stay");
    assert!(!is_there("state.log") && !is_there("sub/more.log"), "other ignored files go");
    assert!(!is_there("sub/work"), "another task's work goes");
    write(&worktree, "state.log", "x");
    worktree.release().unwrap();

    let all = sandbox.builder().max(1).ignored(Ignored::Keep).open().unwrap();
    assert!(acquire(&all, "3", 1).path().join("state.log").exists());
    let none = sandbox.builder().max(1).ignored(Ignored::KeepOnly(vec![])).open().unwrap();
    assert!(!acquire(&none, "4", 1).path().join("target").exists());
}

#[test]
fn a_cache_that_git_does_not_ignore_is_work() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.repo.join(".gitignore"), "").unwrap();
    sandbox.commit("ignore nothing");
    let worktrees = sandbox.builder().max(1).open().unwrap();
    let mut worktree = acquire(&worktrees, "1", 1);
    write(&worktree, "target/work", "x");
    assert_eq!(worktree.checkpoint().unwrap().diff.files.len(), 1);
    worktree.release().unwrap();
    let mut other = acquire(&worktrees, "2", 1);
    assert!(other.checkpoint().unwrap().is_empty(), "it is not in the next task's way");
}

#[test]
fn a_core_dump_is_not_work() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().largest_file(1000).open().unwrap();
    let mut worktree = acquire(&worktrees, "1", 1);
    write(&worktree, "dir/:(top) core", &"x".repeat(1001));
    write(&worktree, "dir/small", &"x".repeat(1000));
    let checkpoint = worktree.checkpoint().unwrap();
    assert_eq!(checkpoint.left_out, ["dir/:(top) core".as_ref() as &std::path::Path]);
    assert_eq!(checkpoint.diff.files.len(), 1, "{:?}", checkpoint.diff);
}

#[test]
fn another_base_than_the_target() {
    let sandbox = Sandbox::new();
    sandbox.git(&["switch", "--quiet", "-c", "feature"]);
    fs::write(sandbox.repo.join("feature"), "").unwrap();
    sandbox.commit("feature");
    sandbox.git(&["switch", "--quiet", "main"]);
    let worktrees = sandbox.open();
    let attempt = Attempt::new("42", 1).base("feature");
    let mut worktree = worktrees.acquire(&attempt, Start::Warm).unwrap().ready().unwrap();
    assert!(worktree.path().join("feature").exists());
    assert!(worktree.checkpoint().unwrap().is_empty(), "the base's changes are not the task's");
    let missing = Attempt::new("43", 1).base("nonsense");
    let error = worktrees.acquire(&missing, Start::Warm).unwrap_err();
    assert_eq!(error.to_string(), r#"there is no commit "nonsense" in the repository"#);
}

#[test]
fn a_task_that_was_merged_is_known_to_be() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    merged(do_task(&worktrees, "42", "file", "text"));
    // As after a runner that was killed before it could say so.
    let mut again = acquire(&worktrees, "42", 2);
    assert!(again.landed().is_some());
    let checkpoint = again.checkpoint().unwrap();
    assert!(matches!(merge(&mut again, &checkpoint), Merge::Already(_)));
    assert!(acquire(&worktrees, "43", 1).landed().is_none());
}
