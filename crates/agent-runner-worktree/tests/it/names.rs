//! Names as nobody expects them.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use agent_runner_worktree::Start;

use crate::sandbox::{Sandbox, acquire, acquire_from, merge, merged, write};

const NAMES: &[&str] = &[
    "a b",
    "-n",
    "--",
    "new\nline",
    "tab\t",
    "quote\"s'",
    "é",
    "e\u{301}",
    "日本",
    ":(top)x",
    "*",
    "[a]",
    "back\\slash",
    "~",
    "#",
    "!",
    " lead",
    "trail ",
    "$(x)",
    "a/b/..c",
    "HEAD",
    "🦀.rs",
];

#[test]
fn files_of_any_name() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.open();
    let mut worktree = acquire(&worktrees, "42", 1);
    for name in NAMES {
        write(&worktree, name, name);
    }
    let raw = OsStr::from_bytes(b"not \xff unicode");
    fs::write(worktree.path().join(raw), "raw").unwrap();
    let checkpoint = worktree.checkpoint().unwrap();
    let mut found: Vec<_> =
        checkpoint.diff.files.iter().map(|file| file.path.as_os_str()).collect();
    let mut expected: Vec<_> = NAMES.iter().map(OsStr::new).chain([raw]).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    merged(merge(&mut worktree, &checkpoint));
    assert!(NAMES.iter().all(|name| fs::read_to_string(sandbox.repo.join(name)).unwrap() == *name));
    worktree.release().unwrap();

    // And the same files in conflict.
    let mut ours = acquire(&worktrees, "43", 1);
    for name in NAMES {
        write(&ours, name, "ours");
        fs::write(sandbox.repo.join(name), "theirs").unwrap();
    }
    fs::write(ours.path().join(raw), "ours").unwrap();
    fs::write(sandbox.repo.join(raw), "theirs").unwrap();
    let checkpoint = ours.checkpoint().unwrap();
    sandbox.commit("theirs");
    let agent_runner_worktree::Merge::Conflict(conflict) = merge(&mut ours, &checkpoint) else {
        panic!("there must be a conflict")
    };
    let mut found: Vec<_> = conflict.files.iter().map(|file| file.path.as_os_str()).collect();
    found.sort();
    assert_eq!(found, expected);
    assert!(conflict.files.iter().all(|file| file.hunks[0].target == "theirs"));
}

#[test]
fn repositories_of_any_name() {
    for name in ["a b", "-n", "new\nline", "é 日本", "quote\"s'$x", ":(top)", "#"] {
        let sandbox = Sandbox::named(name);
        let worktrees = sandbox.open();
        let mut worktree = acquire(&worktrees, "42", 1);
        write(&worktree, "work", "1");
        let checkpoint = worktree.checkpoint().unwrap();
        merged(merge(&mut worktree, &checkpoint));
        worktree.release().unwrap();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "{name:?}");
        let again = acquire_from(&sandbox.open(), "43", 1, Start::Cold);
        assert!(again.path().join("work").exists(), "{name:?}");
        assert_eq!(fs::read_dir(sandbox.open().folder()).unwrap().count(), 2, "{name:?}");
    }
}

#[test]
fn tasks_of_any_name() {
    let sandbox = Sandbox::new();
    let worktrees = sandbox.builder().max(1).open().unwrap();
    let long = "x/".repeat(500);
    for task in NAMES.iter().copied().chain([&*long, "a", "A", "a.lock", "a/b", "a/b/c"]) {
        let mut worktree = acquire(&worktrees, task, 1);
        write(&worktree, "task", task);
        let checkpoint = worktree.checkpoint().unwrap();
        assert_eq!(sandbox.show(worktree.branch(), "task").trim_end(), task.trim_end());
        assert_eq!(checkpoint.task, task);
        worktree.release().unwrap();
    }
    let attempt = agent_runner_worktree::Attempt::new("", 1);
    assert!(worktrees.acquire(&attempt, Start::Warm).is_err());
}
