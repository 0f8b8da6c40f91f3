//! Settings and variables that would make git do something else.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    process::Command,
};

use agent_runner_worktree::Merge;

use crate::sandbox::{Sandbox, acquire, do_task, merge, merged, write};

/// What users have in their settings, and what stops scripts that do not expect it.
const SETTINGS: &str = "
[commit]\ngpgSign = true\nverbose = true\ntemplate = /nowhere
[tag]\ngpgSign = true
[gpg]\nprogram = false
[core]\nautocrlf = true\nsafecrlf = true\nquotePath = false\nfsmonitor = /nowhere\neditor = false
    splitIndex = true\nuntrackedCache = true\npager = false
[init]\ntemplateDir = /nowhere
[merge]\nconflictStyle = zdiff3\nff = false\nverifySignatures = true\nautoStash = true
[branch \"main\"]\nmergeOptions = --no-ff
[rebase]\nautoStash = true\nupdateRefs = true
[diff]\nexternal = false\nnoprefix = true\nrenames = copies\nmnemonicPrefix = true\nwordRegex = .
[status]\nshowUntrackedFiles = no
[color]\nui = always
[log]\nshowSignature = true\ndate = relative
[push]\nautoSetupRemote = true
[worktree]\nuseRelativePaths = true\nguessRemote = true
[submodule]\nrecurse = true
[clean]\nrequireForce = true
[user]\nuseConfigOnly = true
";

#[test]
fn the_users_settings() {
    let sandbox = Sandbox::new();
    let hooks = sandbox.folder().join("hooks");
    fs::create_dir_all(&hooks).unwrap();
    let refuse = sandbox.folder().join("refuse");
    fs::write(&refuse, "#!/bin/sh\ntouch \"$(dirname \"$0\")/../ran\"\nexit 1\n").unwrap();
    fs::set_permissions(&refuse, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["pre-commit", "commit-msg", "post-checkout", "reference-transaction", "post-merge"]
    {
        std::os::unix::fs::symlink(&refuse, hooks.join(name)).unwrap();
    }
    let hooks = format!("[core]\nhooksPath = {}\n", hooks.display());
    sandbox.settings(&format!("{SETTINGS}{hooks}"));

    let worktrees = sandbox.builder().author("A", "a@x").committer("C", "c@x").open().unwrap();
    let mut worktree = acquire(&worktrees, "42", 1);
    write(&worktree, "mixed", "unix\nwindows\r\n");
    write(&worktree, "README", "one\nMINE\nthree\n");
    let checkpoint = worktree.checkpoint().unwrap();
    assert_eq!(checkpoint.diff.files.len(), 2, "{:?}", checkpoint.diff);
    let first = merged(merge(&mut worktree, &checkpoint));
    worktree.release().unwrap();
    let said = sandbox.git(&["show", "-s", "--no-show-signature", "--format=%an %cn %GG", "main"]);
    assert_eq!(said.trim_end(), "A C");
    assert_eq!(sandbox.git(&["rev-parse", "main"]), first.commit.as_str(), "no merge commit");

    let mut two = acquire(&worktrees, "43", 1);
    write(&two, "README", "one\nTWO\nthree\n");
    let checkpoint = two.checkpoint().unwrap();
    assert!(matches!(do_task(&worktrees, "44", "README", "44\n"), Merge::Merged(_)));
    let Merge::Conflict(conflict) = merge(&mut two, &checkpoint) else { panic!() };
    assert_eq!(conflict.files[0].hunks[0].task.trim_end(), "one\nTWO\nthree");
    assert!(!sandbox.folder().join("ran").exists(), "no hook was run");
}

/// The variables of a repository that is not ours, as a git hook would pass them on.
#[test]
fn the_variables_of_another_repository() {
    const INSIDE: &str = "AGENT_RUNNER_WORKTREE_TEST_INSIDE";
    if env::var_os(INSIDE).is_some() {
        let sandbox = Sandbox::new();
        let worktrees = sandbox.open();
        merged(do_task(&worktrees, "42", "work", "1"));
        assert_eq!(sandbox.show("main", "work"), "1");
        io::stderr().write_all(b"the scene was played\n").unwrap();
        return;
    }
    let other = Sandbox::new();
    let before = other.git(&["for-each-ref"]);
    let git_dir = other.repo.join(".git");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "hostile::the_variables_of_another_repository", "--nocapture"])
        .env(INSIDE, "1")
        .env("GIT_DIR", &git_dir)
        .env("GIT_WORK_TREE", &other.repo)
        .env("GIT_COMMON_DIR", &git_dir)
        .env("GIT_INDEX_FILE", git_dir.join("index"))
        .env("GIT_OBJECT_DIRECTORY", git_dir.join("objects"))
        .env("GIT_NAMESPACE", "space")
        .env("GIT_PREFIX", "sub/")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_EXTERNAL_DIFF", "false")
        .env("GIT_AUTHOR_DATE", "nonsense")
        .env("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
        .env("GIT_TRACE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("the scene was played"), "{text}");
    assert_eq!(other.git(&["for-each-ref"]), before, "the other repository is untouched");
}

#[test]
fn a_sparse_checkout() {
    let sandbox = Sandbox::new();
    sandbox.git(&["config", "core.sparseCheckout", "true"]);
    fs::create_dir_all(sandbox.repo.join(".git/info")).unwrap();
    fs::write(sandbox.repo.join(".git/info/sparse-checkout"), "/nothing\n").unwrap();
    let worktrees = sandbox.open();
    let worktree = acquire(&worktrees, "42", 1);
    assert!(worktree.path().join("README").exists(), "a worktree is whole");
}
