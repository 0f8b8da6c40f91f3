//! A night: forty tasks, eight workers in processes of their own, six tasks that conflict.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use agent_runner_worktree::{Acquire, Attempt, Candidate, Merge, Start, Worktrees};

use crate::sandbox::Sandbox;

const REPO: &str = "AGENT_RUNNER_WORKTREE_TEST_REPO";
const TASKS: &str = "AGENT_RUNNER_WORKTREE_TEST_TASKS";

/// Does the tasks it is given, and says what became of each. Run in a process of its own.
#[test]
fn worker() {
    let (Some(repo), Ok(tasks)) = (env::var_os(REPO), env::var(TASKS)) else { return };
    let repo = Path::new(&repo);
    let git = repo.parent().unwrap().join("git");
    let worktrees = Worktrees::builder(repo).git(git).max(8).open().unwrap();
    let results = repo.parent().unwrap().join("results");
    for task in tasks.split(',') {
        let result = results.join(task);
        if !result.exists() {
            // Whole or not at all: the worker may be killed right here.
            let part = results.join(format!("{task}.part"));
            fs::write(&part, work(&worktrees, task)).unwrap();
            fs::rename(part, result).unwrap();
        }
    }
}

fn work(worktrees: &Worktrees, task: &str) -> String {
    let attempt = Attempt::new(task, 1).title(format!("Do {task}"));
    let mut worktree = loop {
        match worktrees.acquire(&attempt, Start::Warm).unwrap() {
            Acquire::Ready(worktree) => break *worktree,
            // The pool is shared, and a killed worker's git may still be at work.
            Acquire::InUse { .. } | Acquire::Full { .. } => {
                thread::sleep(Duration::from_millis(20));
            }
            other => panic!("{other:?}"),
        }
    };
    if worktree.landed().is_some() {
        return "merged".to_owned();
    }
    act(worktree.path(), task);
    let checkpoint = worktree.checkpoint().unwrap();
    assert!(!checkpoint.is_empty(), "{task} did nothing");
    let merge = worktree.merge(&checkpoint, check).unwrap();
    let said = match merge {
        Merge::Merged(_) | Merge::Already(_) => "merged".to_owned(),
        Merge::Conflict(conflict) => format!("{conflict}"),
        other => panic!("{task}: {other:?}"),
    };
    worktree.release().unwrap();
    said
}

/// The agent: a new part, a line in the build's list, and some of it committed. Tasks whose name
/// begins with `clash` all change the same line.
fn act(path: &Path, task: &str) {
    fs::write(path.join(format!("parts/{task}.sh")), format!("echo {task}\n")).unwrap();
    if task.starts_with("clash") {
        fs::write(path.join("version"), format!("{task}\n")).unwrap();
    }
}

/// Builds: all parts that are there must work, and say their names.
fn check(candidate: &Candidate<'_>) -> Result<(), String> {
    let built = build(candidate.path);
    let status = built.lines().all(|line| candidate.path.join(format!("parts/{line}.sh")).exists());
    if status && built.lines().count() > 0 { Ok(()) } else { Err(built) }
}

fn build(path: &Path) -> String {
    let output = Command::new("sh").arg("build.sh").current_dir(path).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A project whose build runs all its parts.
pub(crate) fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.repo.join("parts")).unwrap();
    fs::create_dir_all(sandbox.folder().join("results")).unwrap();
    let files = [
        ("build.sh", "for part in parts/*.sh; do sh -e $part || exit 1; done\n"),
        ("parts/begin.sh", "echo begin\n"),
        ("version", "0\n"),
    ];
    for (file, text) in files {
        fs::write(sandbox.repo.join(file), text).unwrap();
    }
    sandbox.commit("a project");
    sandbox
}

pub(crate) fn spawn(sandbox: &Sandbox, tasks: &[String]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "night::worker", "--nocapture"])
        .env(REPO, &sandbox.repo)
        .env(TASKS, tasks.join(","))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Each of the tasks is in the target once, or was told to conflict; nothing of any is lost.
pub(crate) fn assert_morning(sandbox: &Sandbox, tasks: &[String]) -> usize {
    let log = sandbox.git(&["log", "--format=%s", "main"]);
    let mut conflicts = 0;
    for task in tasks {
        let said = fs::read_to_string(sandbox.folder().join("results").join(task)).unwrap();
        let times = log.lines().filter(|line| *line == format!("Do {task}")).count();
        if said == "merged" {
            assert_eq!(times, 1, "{task} must be there once:\n{log}");
        } else {
            assert_eq!(times, 0, "{task} was told to conflict:\n{log}");
            assert!(said.contains("\nversion (contents)\n") && said.contains(task), "{said}");
            sandbox.show(&format!("agent-runner/{task}"), &format!("parts/{task}.sh"));
            conflicts += 1;
        }
    }
    assert_eq!(build(&sandbox.repo).lines().count(), tasks.len() - conflicts + 1, "it builds");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
    sandbox.git(&["fsck", "--no-progress", "--no-dangling"]);
    conflicts
}

#[test]
fn forty_tasks_eight_workers_six_conflicts() {
    let sandbox = project();
    let tasks: Vec<String> = (0..40)
        .map(|n| if n % 7 == 0 { format!("clash-{n}") } else { format!("task-{n}") })
        .collect();
    let shares: Vec<Vec<String>> =
        (0..8).map(|worker| tasks.iter().skip(worker).step_by(8).cloned().collect()).collect();
    let workers: Vec<Child> = shares.iter().map(|share| spawn(&sandbox, share)).collect();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let conflicts = assert_morning(&sandbox, &tasks);
    // Six tasks change the line that one of them was the first to change; those that began after
    // that merge have seen it, and change it again without a conflict.
    assert!(conflicts <= 5, "{conflicts}");
    assert_eq!(tasks.iter().filter(|task| task.starts_with("clash")).count(), 6);
    let worktrees = fs::read_dir(sandbox.repo.join(".agent-runner/worktrees")).unwrap().count();
    assert!(worktrees <= 9, "{worktrees}");
}

/// Conflicts that are certain: all of the six begin before the first of them lands.
#[test]
fn six_that_began_together() {
    let sandbox = project();
    let worktrees = sandbox.builder().max(8).open().unwrap();
    let tasks: Vec<String> = (0..6).map(|n| format!("clash-{n}")).collect();
    let begun = tasks.iter().map(|task| {
        let worktree = crate::sandbox::acquire(&worktrees, task, 1);
        act(worktree.path(), task);
        (task, worktree)
    });
    let begun: Vec<_> = begun.collect();
    thread::scope(|scope| {
        for (task, mut worktree) in begun {
            let results = sandbox.folder().join("results");
            scope.spawn(move || {
                let checkpoint = worktree.checkpoint().unwrap();
                let said = match worktree.merge(&checkpoint, check).unwrap() {
                    Merge::Merged(_) => "merged".to_owned(),
                    Merge::Conflict(conflict) => conflict.to_string(),
                    other => panic!("{other:?}"),
                };
                worktree.release().unwrap();
                fs::write(results.join(task), said).unwrap();
            });
        }
    });
    assert_eq!(assert_morning(&sandbox, &tasks), 5);
}
