//! What is refused, and what is said about it.

use std::fs;

use agent_runner_worktree::{OpenError, Submodules, Worktrees};

use crate::sandbox::{Sandbox, acquire, write};

fn refusal(sandbox: &Sandbox) -> String {
    let error = sandbox.builder().open().unwrap_err().to_string();
    error.replace(sandbox.folder().to_str().unwrap(), "…")
}

#[test]
fn a_folder_without_a_repository() {
    let folder = tempfile::tempdir().unwrap();
    let error = Worktrees::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is in no git repository"), "{error}");
}

#[test]
fn a_repository_without_a_commit() {
    let said = refusal(&Sandbox::empty("repo"));
    assert_eq!(said, "repository '…/repo' has no commit; make one, then try again");
}

#[test]
fn a_branch_in_the_way() {
    let sandbox = Sandbox::new();
    sandbox.git(&["branch", "agent-runner"]);
    let said = refusal(&sandbox);
    assert!(said.starts_with(r#"branch "agent-runner" is in the way"#), "{said}");
    sandbox.builder().prefix("bots/night").open().unwrap();
    let error = sandbox.builder().prefix("no..pe").open().unwrap_err();
    assert!(matches!(error, OpenError::Prefix { .. }), "{error}");
}

#[test]
fn a_target_that_is_not_there() {
    let error = Sandbox::new().builder().target("nope").open().unwrap_err();
    assert!(matches!(error, OpenError::NoBranch { .. }), "{error}");
}

#[test]
fn no_git_and_no_room() {
    let sandbox = Sandbox::new();
    let error = sandbox.builder().git("no-such-git").open().unwrap_err();
    assert!(error.to_string().contains("is git installed"), "{error}");
    assert!(matches!(sandbox.builder().max(0).open(), Err(OpenError::EmptyPool)));
}

#[test]
fn submodules_only_if_that_is_meant() {
    let sandbox = Sandbox::new();
    let library = Sandbox::named("library");
    let url = library.repo.to_str().unwrap();
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "lib"];
    sandbox.git(&add);
    sandbox.commit("a submodule");
    let said = refusal(&sandbox);
    assert!(said.contains("has submodules (such as 'lib')"), "{said}");

    let worktrees = sandbox.builder().submodules(Submodules::LeaveEmpty).open().unwrap();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "work", "1");
    let checkpoint = worktree.checkpoint().unwrap();
    assert_eq!(checkpoint.diff.files.len(), 1, "the submodule stays as it is");
}

#[test]
fn from_anywhere_in_the_repository() {
    let sandbox = Sandbox::new();
    let inside = sandbox.repo.join("sub/folder");
    fs::create_dir_all(&inside).unwrap();
    let open = |path| Worktrees::builder(path).git(sandbox.program()).open().unwrap();
    let worktrees = open(inside);
    assert_eq!(worktrees.target(), Some("main"));
    let repo = sandbox.repo.canonicalize().unwrap();
    assert_eq!(worktrees.folder(), repo.join(".agent-runner/worktrees"));
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "git does not see the folder");
    let worktree = acquire(&worktrees, "42", 1);
    assert_eq!(open(worktree.path().to_owned()).folder(), worktrees.folder());
}
