//! The way back, and everything that may stand in it.

use std::{fs, path::Path};

use agent_runner_worktree::{Candidate, Error, History, Merge};

use crate::sandbox::{Sandbox, acquire, commit, do_task, merge, merged, write};

#[test]
fn work_is_moved_onto_what_others_merged() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut slow = acquire(&worktrees, "slow", 1);
    write(&slow, "slow", "1");
    let checkpoint = slow.checkpoint().unwrap();
    merged(do_task(&worktrees, "quick", "quick", "2"));

    let mut seen = Vec::new();
    let merge = slow.merge(&checkpoint, |candidate: &Candidate<'_>| {
        let is_there = |file: &str| candidate.path.join(file).exists();
        seen.push((candidate.is_changed, is_there("slow") && is_there("quick")));
        Ok::<_, ()>(())
    });
    merged(merge.unwrap());
    assert_eq!(seen, [(true, true)], "the check sees what lands");
    assert_eq!(sandbox.git(&["log", "--format=%s", "main"]), "Do slow\nDo quick\nbegin");
    assert_eq!(
        sandbox.git(&["rev-parse", "main"]),
        sandbox.git(&["rev-parse", "agent-runner/slow"])
    );
}

#[test]
fn a_target_that_stood_still_needs_no_second_check() {
    let sandbox = Sandbox::new();
    let mut worktree = acquire(&sandbox.open(), "42", 1);
    write(&worktree, "work", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    let merge = worktree
        .merge(&checkpoint, |candidate| if candidate.is_changed { Err("why?") } else { Ok(()) });
    merged(merge.unwrap());
}

#[test]
fn what_the_check_refuses_does_not_land() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    let before = sandbox.git(&["rev-parse", "main"]);
    let merge = worktree.merge(&checkpoint, |candidate| {
        fs::write(candidate.path.join("left by the check"), "").unwrap();
        Err("no")
    });
    assert!(matches!(merge.unwrap(), Merge::Refused("no")));
    assert_eq!(sandbox.git(&["rev-parse", "main"]), before);
    assert_eq!(sandbox.git_at(worktree.path(), &["status", "--porcelain"]), "");
    assert_eq!(worktree.checkpoint().unwrap().commit, checkpoint.commit, "the work is as it was");
}

#[test]
fn a_conflict_names_files_and_shows_both_sides() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.repo.join("gone"), "text\n").unwrap();
    sandbox.commit("more");
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "README", "one\nMINE\nthree\n");
    write(&worktree, "gone", "changed\n");
    write(&worktree, "fine", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    fs::write(sandbox.repo.join("README"), "one\nTHEIRS\nthree\n").unwrap();
    fs::remove_file(sandbox.repo.join("gone")).unwrap();
    sandbox.commit("theirs");
    let before = sandbox.git(&["rev-parse", "main"]);

    let Merge::Conflict(conflict) = merge(&mut worktree, &checkpoint) else { panic!() };
    let onto = &before[..10];
    let expected = format!(
        "conflict with main ({onto}) in README, gone\nREADME (contents)\n  main has:\n    THEIRS\n  the \
         task has:\n    MINE\ngone (modify/delete)"
    );
    assert_eq!(conflict.to_string(), expected);
    assert_eq!(sandbox.git(&["rev-parse", "main"]), before);
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
    worktree.release().unwrap();

    // The retry goes on where the work was, and mends it.
    let mut retry = acquire(&worktrees, "42", 2);
    assert_eq!(fs::read_to_string(retry.path().join("README")).unwrap(), "one\nMINE\nthree\n");
    assert!(!sandbox.try_git(retry.path(), &["merge", "main"]).0);
    write(&retry, "README", "one\nBOTH\nthree\n");
    sandbox.git_at(retry.path(), &["rm", "--quiet", "gone"]);
    let checkpoint = retry.checkpoint().unwrap();
    assert_eq!(merged(merge(&mut retry, &checkpoint)).diff.files.len(), 2);
    assert_eq!(sandbox.show("main", "README"), "one\nBOTH\nthree");
}

#[test]
fn changes_of_the_user_stay() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    fs::write(sandbox.repo.join("README"), "in the middle of it\n").unwrap();
    fs::write(sandbox.repo.join("staged"), "staged\n").unwrap();
    sandbox.git(&["add", "staged"]);
    fs::write(sandbox.repo.join("untracked"), "untracked\n").unwrap();
    let before = sandbox.git(&["status", "--porcelain"]);
    merged(do_task(&worktrees, "42", "work", "1"));
    assert_eq!(sandbox.git(&["status", "--porcelain"]), before);
    assert!(sandbox.repo.join("work").exists());
}

#[test]
fn changes_of_the_user_are_not_overwritten() {
    for (file, text) in [("README", "edited\n"), ("untracked", "mine\n")] {
        let sandbox = Sandbox::new();
        let worktrees = sandbox.open();
        fs::write(sandbox.repo.join(file), text).unwrap();
        let head = sandbox.git(&["rev-parse", "main"]);
        let mut worktree = acquire(&worktrees, "42", 1);
        write(&worktree, file, "the task's\n");
        let checkpoint = worktree.checkpoint().unwrap();
        let Merge::Blocked(blocked) = merge(&mut worktree, &checkpoint) else { panic!() };
        assert!(blocked.reason.contains(file), "{blocked:?}");
        assert_eq!(fs::read_to_string(sandbox.repo.join(file)).unwrap(), text);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), head);

        fs::remove_file(sandbox.repo.join(file)).unwrap();
        sandbox.git(&["reset", "--quiet", "--hard"]);
        merged(merge(&mut worktree, &checkpoint));
    }
}

#[test]
fn a_user_in_the_middle_of_something_blocks() {
    let begin: [fn(&Sandbox); 3] = [
        |sandbox| {
            fs::write(sandbox.repo.join(".git/index.lock"), "").unwrap();
        },
        |sandbox| {
            sandbox.git(&["switch", "--quiet", "-c", "other"]);
            fs::write(sandbox.repo.join("README"), "other\n").unwrap();
            sandbox.commit("other");
            sandbox.git(&["switch", "--quiet", "main"]);
            fs::write(sandbox.repo.join("README"), "main\n").unwrap();
            sandbox.commit("main");
            assert!(!sandbox.try_git(&sandbox.repo, &["rebase", "other"]).0);
        },
        |sandbox| {
            sandbox.git(&["switch", "--quiet", "-c", "other"]);
            fs::write(sandbox.repo.join("README"), "other\n").unwrap();
            sandbox.commit("other");
            sandbox.git(&["switch", "--quiet", "main"]);
            fs::write(sandbox.repo.join("README"), "main\n").unwrap();
            sandbox.commit("main");
            assert!(!sandbox.try_git(&sandbox.repo, &["merge", "other"]).0);
        },
    ];
    for begin in begin {
        let sandbox = Sandbox::new();
        let worktrees = sandbox.open();
        let mut worktree = acquire(&worktrees, "42", 1);
        write(&worktree, "work", "1");
        let checkpoint = worktree.checkpoint().unwrap();
        begin(&sandbox);
        let before = sandbox.git(&["rev-parse", "main"]);
        let Merge::Blocked(blocked) = merge(&mut worktree, &checkpoint) else { panic!() };
        assert!(!blocked.reason.is_empty());
        assert_eq!(sandbox.git(&["rev-parse", "main"]), before);
    }
}

#[test]
fn a_target_that_moves_meanwhile_is_followed() {
    for checked_out in [true, false] {
        let sandbox = Sandbox::new();
        let worktrees = sandbox.builder().target("main").open().unwrap();
        if !checked_out {
            sandbox.git(&["switch", "--quiet", "--detach"]);
        }
        let mut worktree = acquire(&worktrees, "42", 1);
        write(&worktree, "work", "1");
        let checkpoint = worktree.checkpoint().unwrap();
        let mut rounds = 0;
        let merge = worktree.merge(&checkpoint, |_| {
            rounds += 1;
            if rounds == 1 {
                fs::write(sandbox.repo.join("theirs"), "2").unwrap();
                sandbox.commit("theirs");
                if !checked_out {
                    sandbox.git(&["branch", "--force", "main", "HEAD"]);
                }
            }
            Ok::<_, ()>(())
        });
        merged(merge.unwrap());
        assert_eq!(rounds, 2, "what is checked is what lands");
        assert_eq!(sandbox.git(&["log", "--format=%s", "main"]), "Do 42\ntheirs\nbegin");
    }
}

#[test]
fn a_target_that_never_stands_still_is_given_up() {
    let sandbox = Sandbox::new();
    let mut worktree = acquire(&sandbox.open(), "42", 1);
    write(&worktree, "work", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    let error = worktree.merge(&checkpoint, |_| {
        sandbox.git(&["commit", "--quiet", "--allow-empty", "-m", "on and on"]);
        Ok::<_, ()>(())
    });
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Restless { .. }) && error.is_retryable(), "{error}");
}

#[test]
fn the_agents_commits_can_be_kept() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().history(History::Keep).open().unwrap();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "one", "1");
    commit(&sandbox, worktree.path(), "first");
    write(&worktree, "two", "2");
    commit(&sandbox, worktree.path(), "second\n\nwith a body");
    write(&worktree, "three", "3");
    let checkpoint = worktree.checkpoint().unwrap();
    merged(do_task(&worktrees, "43", "other", "4"));
    merged(merge(&mut worktree, &checkpoint));
    let log = sandbox.git(&["log", "--format=%an: %s", "-4", "main"]);
    let expected = "agent-runner: Do 42\nUser: second\nUser: first\nagent-runner: Do 43";
    assert_eq!(log, expected);
    let dates = |commit: &str| sandbox.git(&["show", "-s", "--format=%ad %b", commit]);
    assert_eq!(dates("main~1"), dates("refs/agent-runner/42/1~1"), "with their words and times");
}

#[test]
fn a_target_that_nobody_has_checked_out() {
    let sandbox = Sandbox::new();
    sandbox.git(&["branch", "release"]);
    let worktrees = sandbox.builder().target("release").open().unwrap();
    merged(do_task(&worktrees, "42", "work", "1"));
    assert_eq!(sandbox.show("release", "work"), "1");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
    assert!(!sandbox.repo.join("work").exists());
}

#[test]
fn a_target_in_another_worktree_of_the_users() {
    let sandbox = Sandbox::new();
    sandbox.git(&["branch", "release"]);
    let other = sandbox.folder().join("other place");
    sandbox.git(&["worktree", "add", "--quiet", other.to_str().unwrap(), "release"]);
    let worktrees = sandbox.builder().target("release").open().unwrap();
    merged(do_task(&worktrees, "42", "work", "1"));
    assert!(other.join("work").exists());
    assert_eq!(sandbox.git_at(&other, &["status", "--porcelain"]), "");

    fs::remove_dir_all(&other).unwrap();
    merged(do_task(&worktrees, "43", "more", "2"));
    assert_eq!(sandbox.show("release", "more"), "2", "a worktree that is gone is in nobody's way");
}

#[test]
fn a_bare_repository_works_too() {
    let sandbox = Sandbox::new();
    let bare = sandbox.folder().join("bare.git");
    sandbox.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let worktrees =
        agent_runner_worktree::Worktrees::builder(&bare).git(sandbox.program()).open().unwrap();
    assert!(worktrees.folder().starts_with(bare.canonicalize().unwrap()));
    merged(do_task(&worktrees, "42", "work", "1"));
    assert_eq!(sandbox.git_at(&bare, &["show", "main:work"]), "1");
}

#[test]
fn an_accident_after_landing_is_noticed() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    // What a runner does last before it can note that it has merged.
    fs::write(sandbox.repo.join("work"), "1").unwrap();
    sandbox.commit("Do 42");
    assert!(matches!(merge(&mut worktree, &checkpoint), Merge::Already(_)));
    worktree.release().unwrap();
    assert!(acquire(&worktrees, "42", 2).landed().is_some());
    assert_eq!(sandbox.git(&["rev-list", "--count", "main"]), "2", "it is there once");
}

#[test]
fn without_a_branch_there_is_nothing_to_merge_into() {
    let sandbox = Sandbox::new();
    sandbox.git(&["checkout", "--quiet", "--detach"]);
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    let merge = worktree.merge(&checkpoint, |_| Ok::<_, ()>(()));
    assert!(matches!(merge, Err(Error::NoTarget)), "{merge:?}");
    assert!(!Path::new(&sandbox.repo).join("work").exists());
}
