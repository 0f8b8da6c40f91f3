//! What is known of work that is part of the target, and looking without changing.

use std::fs;

use agent_runner_worktree::{Attempt, Error, Merge, Start, State, Watched};

use crate::sandbox::{Sandbox, acquire, acquire_from, do_task, merge, merged, write};

#[test]
fn who_landed_a_work_is_told() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let attempt = Attempt::new("42", 3).by("run-a");
    let mut worktree = worktrees.acquire(&attempt, Start::Cold).unwrap().ready().unwrap();
    assert_eq!(worktree.landed(), None);
    write(&worktree, "a", "a\n");
    let checkpoint = worktree.checkpoint().unwrap();
    let done = merged(merge(&mut worktree, &checkpoint));
    worktree.release().unwrap();
    merged(do_task(&worktrees, "43", "b", "b\n"));

    let again = acquire(&worktrees, "42", 4);
    let landed = again.landed().expect("it is part of the target");
    assert_eq!((landed.attempt, landed.by.as_deref()), (3, Some("run-a")));
    assert_eq!(landed.commit, done.commit);
    assert_eq!(acquire(&worktrees, "44", 1).landed(), None);
}

/// A runner is killed after the target moved and before the task's branch did.
#[test]
fn a_branch_that_was_left_behind_is_no_reason_to_work_again() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "a", "a\n");
    let checkpoint = worktree.checkpoint().unwrap();
    let done = merged(merge(&mut worktree, &checkpoint));
    worktree.release().unwrap();
    sandbox.git(&["update-ref", "refs/heads/agent-runner/42", checkpoint.commit.as_str()]);
    sandbox.git(&["reset", "--hard", "--quiet"]);
    fs::write(sandbox.repo.join("a"), "another\n").unwrap();
    sandbox.commit("somebody changes the same file");

    let mut again = acquire(&worktrees, "42", 2);
    assert_eq!(again.landed().map(|landed| &landed.commit), Some(&done.commit));
    assert_eq!(again.start(), &done.commit, "a retry builds on what is there");
    assert!(matches!(merge(&mut again, &checkpoint), Merge::Already(_)), "it is not merged twice");
    again.release().unwrap();
    let report = worktrees.gc(|_| false).unwrap();
    assert_eq!(report.kept, [], "{report:?}");
}

/// Proof is written before the target moves, and is worth nothing until it has.
#[test]
fn a_target_that_was_moved_back_has_nothing() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    merged(do_task(&worktrees, "42", "a", "a\n"));
    sandbox.git(&["reset", "--hard", "--quiet", "HEAD~1"]);
    let mut again = acquire(&worktrees, "42", 2);
    assert_eq!(again.landed(), None);
    let checkpoint = again.checkpoint().unwrap();
    merged(merge(&mut again, &checkpoint));
}

/// A person wants it done again: both works are part of the target, and nothing is kept for ever.
#[test]
fn a_task_can_be_done_twice() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    merged(do_task(&worktrees, "42", "a", "a\n"));
    let mut again = acquire_from(&worktrees, "42", 2, Start::Cold);
    write(&again, "a", "b\n");
    let checkpoint = again.checkpoint().unwrap();
    merged(merge(&mut again, &checkpoint));
    assert_eq!(again.landed().map(|landed| landed.attempt), Some(1));
    again.release().unwrap();
    assert_eq!(acquire(&worktrees, "42", 3).landed().map(|landed| landed.attempt), Some(2));
    let report = worktrees.gc(|_| false).unwrap();
    assert_eq!(report.kept, [], "{report:?}");
    assert_eq!(sandbox.git(&["for-each-ref", "refs/agent-runner", "refs/heads/agent-runner"]), "");
}

#[test]
fn what_a_check_leaves_is_no_work() -> Result<(), Error> {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "a", "a\n");
    let checkpoint = worktree.checkpoint()?;
    for (file, text) in [("a", "formatted\n"), ("report.xml", "<red/>"), ("target/cache", "x")] {
        write(&worktree, file, text);
    }
    worktree.restore(&checkpoint)?;
    assert!(!worktree.path().join("report.xml").exists());
    assert!(worktree.path().join("target/cache").exists(), "ignored files stay");
    worktree.release()?;
    assert_eq!(sandbox.show("agent-runner/42", "a"), "a");
    Ok(())
}

#[test]
fn a_turn_excludes_others() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let turn = worktrees.try_turn().unwrap().expect("nobody merges");
    assert!(sandbox.open().try_turn().unwrap().is_none());
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "a", "a\n");
    let checkpoint = worktree.checkpoint().unwrap();
    let merge = worktree.merge_in(&turn, &checkpoint, |_| Ok::<_, String>(())).unwrap();
    assert!(matches!(merge, Merge::Merged(_)), "{merge:?}");
    drop(turn);
    assert!(worktrees.try_turn().unwrap().is_some());
}

#[test]
fn worktrees_are_listed_with_what_is_in_them() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    assert_eq!(worktrees.list().unwrap(), []);
    let first = acquire(&worktrees, "1", 1);
    let second = acquire(&worktrees, "2", 5);
    drop(acquire(&worktrees, "3", 1));
    second.release().unwrap();
    let list = worktrees.list().unwrap();
    let states: Vec<_> =
        list.iter().map(|entry| (entry.task.as_deref().unwrap(), &entry.state)).collect();
    let expected = [("1", &State::Working), ("2", &State::Idle), ("3", &State::Unsaved)];
    assert_eq!(states, expected);
    assert_eq!(list[1].attempt, Some(5));
    first.release().unwrap();
    worktrees.gc(|_| false).unwrap();
    assert_eq!(worktrees.list().unwrap(), [], "what is not on the disk is not shown");
}

/// Nothing of the person's index, files or branches is touched.
#[test]
fn a_working_tree_is_seen_to_change() {
    let sandbox = Sandbox::new();
    let repo = &sandbox.repo;
    fs::write(repo.join("README"), "changed before\n").unwrap();
    sandbox.git(&["add", "README"]);
    let status = || sandbox.git(&["status", "--porcelain=v2", "--branch"]);
    let watched = Watched::open(repo).unwrap();
    let (before, was) = (watched.look().unwrap(), status());
    assert_eq!(status(), was);
    assert_eq!(watched.look().unwrap(), before, "nothing has changed");

    fs::write(repo.join("ignored.log"), "x").unwrap();
    assert_eq!(watched.look().unwrap(), before, "ignored files do not count");
    fs::write(repo.join("README"), "changed again\n").unwrap();
    fs::write(repo.join("new"), "1\n2\n").unwrap();
    let after = watched.look().unwrap();
    let diff = watched.diff(&before, &after).unwrap();
    assert_eq!((diff.files.len(), diff.insertions(), diff.deletions()), (2, 3, 1), "{diff:?}");

    sandbox.commit("all of it");
    let committed = watched.look().unwrap();
    assert_ne!(committed, after, "a commit is a change");
    assert!(watched.diff(&after, &committed).unwrap().is_empty());
    assert!(Watched::open(sandbox.folder()).is_err(), "no repository");
    assert!(Watched::open(&Sandbox::empty("empty").repo).is_err(), "no commit");
}

#[test]
fn the_folder_that_was_opened_is_known() {
    let sandbox = Sandbox::new();
    let inner = sandbox.repo.join("a/b");
    fs::create_dir_all(&inner).unwrap();
    assert_eq!(sandbox.open().prefix(), std::path::Path::new(""));
    let program = sandbox.program();
    let worktrees = agent_runner_worktree::Worktrees::builder(inner).git(program).open().unwrap();
    assert_eq!(worktrees.prefix(), std::path::Path::new("a/b/"));
}
