//! A worktree from the pool beside the plain git commands that do the same work, measured in turns
//! in the same run; one JSON object a line.
//!
//! `--test` or `AGENT_RUNNER_BENCH_QUICK=1` runs it with tiny numbers, so that it does not rot.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use agent_runner_worktree::{Attempt, Merge, Start, Worktree, Worktrees};

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test")
        || std::env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|value| value == "1");
    let (files, rounds) = if quick { (20, 2) } else { (5_000, 30) };

    let folder = tempfile::tempdir().expect("a folder");
    let repo = folder.path().join("repo");
    make_repository(&repo, files);
    let worktrees = Worktrees::builder(&repo).max(1).target("main").open().expect("it opens");
    acquire(&worktrees, "first").release().expect("it works");

    let plain = folder.path().join("plain");
    let plain_path = plain.to_str().expect("it is text");
    let (reuse, add) = alternate(
        rounds,
        |round| acquire(&worktrees, &format!("reuse-{round}")).release().expect("it works"),
        |_| {
            git(&repo, &["worktree", "add", "--quiet", "--detach", plain_path, "main"]);
            git(&repo, &["worktree", "remove", "--force", plain_path]);
        },
    );
    let case = format!("acquire+release, {files} files");
    report(&case, reuse, add, "<= 0.5", "git worktree add, remove");

    git(&repo, &["worktree", "add", "--quiet", "--detach", plain_path, "main"]);
    let (reuse, reset) = alternate(
        rounds,
        |round| acquire(&worktrees, &format!("again-{round}")).release().expect("it works"),
        |round| {
            git(&plain, &["checkout", "--quiet", "-B", &format!("plain-{round}"), "main"]);
            git(&plain, &["reset", "--quiet", "--hard"]);
            git(&plain, &["clean", "-ffdq"]);
        },
    );
    report(&case, reuse, reset, "-", "git checkout -B, reset --hard, clean -ffd");

    let mut worktree = acquire(&worktrees, "checkpoint");
    let (checkpoint, commit) = alternate(
        rounds,
        |round| {
            change(worktree.path(), round);
            let checkpoint = worktree.checkpoint().expect("it works");
            assert!(checkpoint.was_uncommitted);
        },
        |round| {
            change(&plain, round);
            git(&plain, &["add", "-A"]);
            git(&plain, &["commit", "--quiet", "-m", "work"]);
        },
    );
    worktree.release().expect("it works");
    report("checkpoint of a change", checkpoint, commit, "-", "git add -A, commit");
    merges(&worktrees, &repo, &plain, rounds);
}

/// Work that begins before the target moves, and is merged after it has.
fn merges(worktrees: &Worktrees, repo: &Path, plain: &Path, rounds: usize) {
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut worktree = acquire(worktrees, &format!("merge-{round}"));
        change(worktree.path(), 2 * round);
        let checkpoint = worktree.checkpoint().expect("it works");
        git(repo, &["commit", "--quiet", "--allow-empty", "-m", "the target moves"]);
        git(repo, &["branch", "--quiet", "--force", "main", "HEAD"]);
        let start = Instant::now();
        let merge = worktree.merge(&checkpoint, |_| Ok::<_, ()>(())).expect("it works");
        ours.push(start.elapsed());
        assert!(matches!(merge, Merge::Merged(_)));
        worktree.release().expect("it works");

        git(plain, &["checkout", "--quiet", "--detach", "main"]);
        change(plain, 2 * round + 1);
        git(plain, &["commit", "--quiet", "-am", "work"]);
        git(repo, &["checkout", "--quiet", "--detach", "main"]);
        git(repo, &["commit", "--quiet", "--allow-empty", "-m", "the target moves"]);
        git(repo, &["branch", "--quiet", "--force", "main", "HEAD"]);
        let start = Instant::now();
        git(plain, &["rebase", "--quiet", "main"]);
        git(plain, &["update-ref", "refs/heads/main", "HEAD"]);
        limit.push(start.elapsed());
        git(repo, &["checkout", "--quiet", "--detach", "main"]);
    }
    report("merge of a change", median(ours), median(limit), "-", "git rebase, update-ref");
}

fn make_repository(repo: &Path, files: usize) {
    fs::create_dir_all(repo).expect("a folder");
    git(repo, &["init", "--quiet", "--initial-branch=main"]);
    for number in 0..files {
        let folder = repo.join(format!("folder-{}", number / 100));
        fs::create_dir_all(&folder).expect("a folder");
        let text = format!("file {number}\n").repeat(100);
        fs::write(folder.join(format!("file-{number}")), text).expect("a file");
    }
    git(repo, &["add", "-A"]);
    git(repo, &["commit", "--quiet", "-m", "begin"]);
    git(repo, &["checkout", "--quiet", "--detach"]);
}

fn change(folder: &Path, round: usize) {
    fs::write(folder.join("folder-0/file-0"), format!("round {round}\n")).expect("a file");
}

fn acquire(worktrees: &Worktrees, task: &str) -> Worktree {
    let acquired = worktrees.acquire(&Attempt::new(task, 1), Start::Warm).expect("it works");
    acquired.ready().expect("nobody else asks")
}

fn git(folder: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    for name in ["NAME", "EMAIL"] {
        command.env(format!("GIT_AUTHOR_{name}"), "bench");
        command.env(format!("GIT_COMMITTER_{name}"), "bench");
    }
    let output = command.current_dir(folder).args(args).output().expect("git is there");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The medians of two operations in milliseconds, measured in turns.
fn alternate(rounds: usize, mut a: impl FnMut(usize), mut b: impl FnMut(usize)) -> (f64, f64) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let start = Instant::now();
        a(round);
        of_a.push(start.elapsed());
        let start = Instant::now();
        b(round);
        of_b.push(start.elapsed());
    }
    (median(of_a), median(of_b))
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn report(case: &str, ours: f64, limit: f64, goal: &str, against: &str) {
    println!(
        r#"{{"bench":"worktree","case":"{case}","ours":{ours:.2},"limit":{limit:.2},"unit":"ms","ratio":{:.2},"goal":"{goal}","against":"{against}"}}"#,
        ours / limit
    );
}
