//! Agents that do to git whatever they like. Nothing of their work is lost, and the next task finds
//! a clean worktree.

use std::{fs, path::Path};

use agent_runner_worktree::{Attempt, Checkpoint, Recovered, Start, Worktree};

use crate::sandbox::{Sandbox, acquire, commit, merge, merged, write};

/// Lets an agent loose that has committed `committed` and written `loose`, then checks what is
/// left: both files in the checkpoint, and in the next task's worktree neither.
fn after(mischief: impl Fn(&Sandbox, &Path)) -> (Sandbox, Checkpoint) {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().max(1).open().unwrap();
    let mut worktree = acquire(&worktrees, "wild", 1);
    write(&worktree, "committed", "1");
    commit(&sandbox, worktree.path(), "the agent's");
    write(&worktree, "loose", "2");
    mischief(&sandbox, worktree.path());
    let checkpoint = worktree.checkpoint().unwrap();
    assert_is_whole(&sandbox, &worktree, "--untracked-files=no");
    worktree.release().unwrap();

    let mut next = acquire(&worktrees, "tame", 1);
    assert_is_whole(&sandbox, &next, "--untracked-files=all");
    let nothing = next.checkpoint().unwrap();
    assert!(nothing.is_empty(), "the next task has no part in it: {:?}", nothing.diff);
    next.release().unwrap();
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "the user's working tree is untouched");
    (sandbox, checkpoint)
}

fn assert_is_whole(sandbox: &Sandbox, worktree: &Worktree, files: &str) {
    let git = |args: &[&str]| sandbox.git_at(worktree.path(), args);
    assert_eq!(git(&["branch", "--show-current"]), worktree.branch());
    assert_eq!(git(&["status", "--porcelain", files]), "", "it is clean");
    git(&["fsck", "--no-dangling", "--no-progress"]);
}

/// The files of a commit beside those that were there from the beginning.
fn files(sandbox: &Sandbox, commit: &str) -> Vec<String> {
    let all = sandbox.git(&["ls-tree", "-r", "--name-only", "-z", commit]);
    let begin = ["", ".gitignore", "README"];
    all.split('\0').filter(|name| !begin.contains(name)).map(str::to_owned).collect()
}

fn assert_all_is_there(sandbox: &Sandbox, checkpoint: &Checkpoint) {
    assert_eq!(files(sandbox, checkpoint.commit.as_str()), ["committed", "loose"]);
    assert_eq!(files(sandbox, "agent-runner/wild"), ["committed", "loose"]);
}

#[test]
fn detached_its_head() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["checkout", "--quiet", "--detach"]);
        commit(sandbox, path, "on no branch");
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn works_on_a_branch_of_its_own() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["switch", "--quiet", "-c", "feature"]);
        commit(sandbox, path, "on a feature branch");
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn looks_at_an_old_commit_and_stays_there() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        commit(sandbox, path, "all");
        sandbox.git_at(path, &["checkout", "--quiet", "HEAD~2"]);
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn removed_its_branch() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["checkout", "--quiet", "--detach"]);
        sandbox.git_at(path, &["branch", "-D", "agent-runner/wild"]);
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn rewrote_its_history() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["commit", "--quiet", "--amend", "-m", "better words"]);
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn began_a_history_without_roots() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["switch", "--quiet", "--orphan", "nowhere"]);
        fs::write(path.join("new world"), "").unwrap();
    });
    let tip = checkpoint.commit.as_str();
    assert!(files(&sandbox, tip).contains(&"new world".to_owned()));
    sandbox.git(&["merge-base", "--is-ancestor", "main", tip]);
    sandbox.show(&format!("{tip}~1"), "committed");
}

#[test]
fn left_locks_of_git_behind() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        let admin = sandbox.git_at(path, &["rev-parse", "--absolute-git-dir"]);
        for lock in ["index.lock", "HEAD.lock", "agent-runner.index.lock"] {
            fs::write(Path::new(&admin).join(lock), "").unwrap();
        }
        let branch = sandbox.repo.join(".git/refs/heads/agent-runner/wild.lock");
        fs::write(branch, "").unwrap();
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn broke_its_index() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        let admin = sandbox.git_at(path, &["rev-parse", "--absolute-git-dir"]);
        fs::write(Path::new(&admin).join("index"), "garbage").unwrap();
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn broke_its_head() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        let admin = sandbox.git_at(path, &["rev-parse", "--absolute-git-dir"]);
        fs::write(Path::new(&admin).join("HEAD"), "garbage").unwrap();
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn removed_the_git_file() {
    let (sandbox, checkpoint) = after(|_, path| fs::remove_file(path.join(".git")).unwrap());
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn made_a_repository_of_the_worktree() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        fs::remove_file(path.join(".git")).unwrap();
        sandbox.git_at(path, &["init", "--quiet"]);
        commit(sandbox, path, "all mine");
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn removed_the_worktree_in_gits_way() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        commit(sandbox, path, "all");
        let path = path.to_str().unwrap();
        sandbox.git(&["worktree", "remove", "--force", "--force", path]);
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn removed_what_git_knows_about_the_worktree() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        let admin = sandbox.git_at(path, &["rev-parse", "--absolute-git-dir"]);
        fs::remove_dir_all(admin).unwrap();
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn removed_the_folder() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        commit(sandbox, path, "all");
        fs::remove_dir_all(path).unwrap();
        sandbox.git(&["worktree", "prune"]);
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn stopped_in_the_middle_of_a_merge() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["branch", "other", "main"]);
        sandbox.git_at(path, &["commit", "--quiet", "--allow-empty", "-m", "apart"]);
        fs::write(path.join("README"), "mine\n").unwrap();
        commit(sandbox, path, "mine");
        sandbox.git_at(path, &["switch", "--quiet", "other"]);
        fs::write(path.join("README"), "theirs\n").unwrap();
        commit(sandbox, path, "theirs");
        sandbox.git_at(path, &["switch", "--quiet", "agent-runner/wild"]);
        assert!(!sandbox.try_git(path, &["merge", "other"]).0, "it must conflict");
    });
    assert!(checkpoint.was_uncommitted);
    assert!(sandbox.show(checkpoint.commit.as_str(), "README").contains("<<<<<<<"));
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn stopped_in_the_middle_of_a_rebase() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        fs::write(path.join("README"), "mine\n").unwrap();
        commit(sandbox, path, "mine");
        sandbox.git_at(path, &["switch", "--quiet", "-c", "other", "main"]);
        fs::write(path.join("README"), "theirs\n").unwrap();
        commit(sandbox, path, "theirs");
        sandbox.git_at(path, &["switch", "--quiet", "agent-runner/wild"]);
        assert!(!sandbox.try_git(path, &["rebase", "other"]).0, "it must conflict");
    });
    assert_eq!(sandbox.show(checkpoint.commit.as_str(), "README"), "mine", "as before the rebase");
    assert_all_is_there(&sandbox, &checkpoint);
    let [aside] = &checkpoint.aside[..] else { panic!("{:?}", checkpoint.aside) };
    assert!(sandbox.show(aside, "README").contains("<<<<<<<"), "the half-done one is kept too");
}

#[test]
fn made_repositories_inside() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        for name in ["full", "full/deeper", "empty", "-x y\n", "added"] {
            let inner = path.join(name);
            fs::create_dir_all(&inner).unwrap();
            sandbox.git_at(&inner, &["init", "--quiet"]);
            if name != "empty" {
                fs::write(inner.join("file"), name).unwrap();
            }
        }
        fs::write(path.join("full/.gitignore"), "secret\n").unwrap();
        fs::write(path.join("full/secret"), "").unwrap();
        commit(sandbox, &path.join("added"), "inner");
        commit(sandbox, &path.join("full/deeper"), "inner");
        sandbox.git_at(path, &["-c", "advice.addEmbeddedRepo=false", "add", "added"]);
        sandbox.git_at(path, &["commit", "--quiet", "-m", "a link to nowhere"]);
    });
    let tip = checkpoint.commit.as_str();
    let expected =
        ["-x y\n/file", "added/file", "committed", "full/.gitignore", "full/deeper/file"];
    let all = files(&sandbox, tip);
    assert!(expected.iter().all(|name| all.contains(&(*name).to_owned())), "{all:?}");
    assert!(!all.iter().any(|name| name.contains("secret")), "its own ignore file holds");
    assert!(!sandbox.git(&["ls-tree", "-r", tip]).contains("160000"), "no link is left");
}

#[test]
fn hid_its_changes_from_git() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        sandbox.git_at(path, &["rm", "--quiet", "-r", "--cached", "."]);
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn added_what_is_ignored() {
    let (sandbox, checkpoint) = after(|sandbox, path| {
        fs::write(path.join("kept.log"), "").unwrap();
        sandbox.git_at(path, &["add", "--force", "kept.log"]);
    });
    let all = files(&sandbox, checkpoint.commit.as_str());
    assert_eq!(all, ["committed", "kept.log", "loose"], "what it staged is meant");
}

#[test]
fn forbade_everybody_its_folders() {
    use std::os::unix::fs::PermissionsExt;
    let (sandbox, checkpoint) = after(|_, path| {
        let locked = path.join("target/locked");
        fs::create_dir_all(locked.join("in")).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
        fs::create_dir_all(path.join("gone/in")).unwrap();
        fs::set_permissions(path.join("gone"), fs::Permissions::from_mode(0o0)).unwrap();
    });
    assert_all_is_there(&sandbox, &checkpoint);
}

#[test]
fn checked_out_the_target_while_others_merge() {
    let sandbox = Sandbox::new();
    sandbox.git(&["switch", "--quiet", "-c", "elsewhere"]);
    let worktrees = sandbox.builder().target("main").open().unwrap();
    let mut wanderer = acquire(&worktrees, "wanderer", 1);
    sandbox.git_at(wanderer.path(), &["switch", "--quiet", "main"]);
    write(&wanderer, "mine", "1");

    let mut other = acquire(&worktrees, "other", 1);
    write(&other, "others", "2");
    let checkpoint = other.checkpoint().unwrap();
    merged(merge(&mut other, &checkpoint));

    let checkpoint = wanderer.checkpoint().unwrap();
    merged(merge(&mut wanderer, &checkpoint));
    assert_eq!(files(&sandbox, "main"), ["mine", "others"], "nobody's work is undone");
}

#[test]
fn merged_the_target_into_its_branch() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "mine", "1");
    commit(&sandbox, worktree.path(), "mine");
    fs::write(sandbox.repo.join("theirs"), "2").unwrap();
    sandbox.commit("theirs");
    sandbox.git_at(worktree.path(), &["merge", "--quiet", "--no-edit", "main"]);
    let checkpoint = worktree.checkpoint().unwrap();
    assert_eq!(checkpoint.diff.files.len(), 1, "others' changes are not the task's");
    assert_eq!(merged(merge(&mut worktree, &checkpoint)).diff.files.len(), 1);
    assert_eq!(sandbox.git(&["rev-list", "--count", "main"]), "3");
}

#[cfg(target_os = "linux")]
#[test]
fn outlived_its_runner() {
    use std::process::{Command, Stdio};

    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().max(1).open().unwrap();
    let worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "1");
    let path = worktree.path().to_owned();
    // An agent that works until its standard input ends; its runner dies before it.
    let mut agent = Command::new("cat").current_dir(&path).stdin(Stdio::piped()).spawn().unwrap();
    drop(worktree);
    let found = worktrees.recover().unwrap();
    assert!(
        matches!(&found[..], [Recovered::StillUsed { task, pid }]
        if task == "42" && *pid == agent.id()),
        "{found:?}"
    );
    let attempt = Attempt::new("43", 1);
    let acquired = worktrees.acquire(&attempt, Start::Warm).unwrap();
    assert!(acquired.ready().is_none(), "nobody else may work where it still does");

    drop(agent.stdin.take());
    agent.wait().unwrap();
    let found = worktrees.recover().unwrap();
    let [Recovered::Saved(checkpoint)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(sandbox.show(checkpoint.commit.as_str(), "work"), "1");
    assert!(worktrees.recover().unwrap().is_empty(), "once is enough");
}
