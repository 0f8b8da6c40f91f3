//! What is removed, and what never is.

use agent_runner_worktree::{Kept, KeptBecause, Start};

use crate::sandbox::{Sandbox, acquire, acquire_from, do_task, merge, merged, write};

#[test]
fn merged_work_goes_and_other_work_stays() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    merged(do_task(&worktrees, "merged", "a", "1"));
    let mut unmerged = acquire(&worktrees, "unmerged", 1);
    write(&unmerged, "b", "2");
    unmerged.checkpoint().unwrap();
    unmerged.release().unwrap();
    let mut cold = acquire(&worktrees, "cold", 1);
    write(&cold, "first try", "3");
    cold.checkpoint().unwrap();
    cold.release().unwrap();
    let mut cold = acquire_from(&worktrees, "cold", 2, Start::Cold);
    write(&cold, "second try", "4");
    let checkpoint = cold.checkpoint().unwrap();
    merged(merge(&mut cold, &checkpoint));
    cold.release().unwrap();
    acquire(&worktrees, "nothing", 1).release().unwrap();
    merged(do_task(&worktrees, "wanted", "e", "5"));
    let busy = acquire(&worktrees, "busy", 1);

    let report = worktrees.gc(|task| task == "wanted").unwrap();
    assert_eq!(report.branches, ["cold", "merged", "nothing"]);
    let refs =
        sandbox.git(&["for-each-ref", "--format=%(refname)", "refs/heads", "refs/agent-runner"]);
    let expected = "refs/agent-runner/cold/1\nrefs/agent-runner/unmerged/1\n\
                    refs/agent-runner/wanted/1\nrefs/agent-runner/wanted/landed\n\
                    refs/heads/agent-runner/busy\nrefs/heads/agent-runner/unmerged\n\
                    refs/heads/agent-runner/wanted\nrefs/heads/main";
    assert_eq!(refs, expected);
    let because = |name: &str| {
        let of = |kept: &&Kept| kept.what == name;
        report.kept.iter().find(of).map(|kept| kept.because.clone()).unwrap()
    };
    assert_eq!(because("refs/heads/agent-runner/unmerged"), KeptBecause::Unmerged);
    assert_eq!(because("refs/agent-runner/cold/1"), KeptBecause::Unmerged);
    assert_eq!(because("refs/heads/agent-runner/wanted"), KeptBecause::Wanted);
    assert_eq!(because("refs/heads/agent-runner/busy"), KeptBecause::InUse);
    assert_eq!(because(busy.path().to_str().unwrap()), KeptBecause::InUse);
    assert!(busy.path().join("README").exists());
    assert_eq!(std::fs::read_dir(worktrees.folder()).unwrap().count(), 2, "the rest is gone");
    busy.release().unwrap();
    sandbox.git(&["fsck", "--no-progress"]);
    acquire(&worktrees, "next", 1).release().unwrap();
}

#[test]
fn a_merge_that_the_user_undid_is_unmerged() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    merged(do_task(&worktrees, "42", "work", "1"));
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let report = worktrees.gc(|_| false).unwrap();
    assert!(report.branches.is_empty() && report.attempts == 0, "{report:?}");
    assert_eq!(sandbox.show("agent-runner/42", "work"), "1");
}

#[test]
fn what_a_dead_runner_left_is_saved_first() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let dead = acquire(&worktrees, "42", 1);
    write(&dead, "work", "1");
    drop(dead);
    let report = worktrees.gc(|_| false).unwrap();
    assert!(report.branches.is_empty(), "{report:?}");
    assert_eq!(sandbox.show("agent-runner/42", "work"), "1");
}

#[test]
fn a_branch_that_a_person_looks_at_stays() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().target("main").open().unwrap();
    merged(do_task(&worktrees, "42", "work", "1"));
    sandbox.git(&["switch", "--quiet", "agent-runner/42"]);
    let report = worktrees.gc(|_| false).unwrap();
    assert!(report.branches.is_empty(), "{report:?}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}
