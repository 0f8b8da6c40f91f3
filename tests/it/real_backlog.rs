//! The main job on real input: 300 tasks of each format, eight agents, a real git repository with
//! real edits, commits, compilations and searches. What the program tells, what it keeps, and what
//! is on disk agree.
//!
//! The repository, the backlogs and the agent are those of `docs/examples/real-backlog`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_runner_tests::{Output, Sandbox};
use serde_json::Value;

use crate::sandbox;

const PARTS: u64 = 300;
/// Seconds are enough on a machine that does nothing else.
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn json() {
    check("tasks.json");
}

#[test]
fn jsonl() {
    check("tasks.jsonl");
}

#[test]
fn yaml() {
    check("tasks.yaml");
}

#[test]
fn toml() {
    check("tasks.toml");
}

#[test]
fn csv() {
    check("tasks.csv");
}

#[test]
fn markdown() {
    let sandbox = check("tasks.md");
    for line in sandbox.read("backlog/tasks.md").lines().filter(|line| line.starts_with("- ")) {
        let part = number(line.split(" {").next().expect("a first half"));
        assert_eq!(line.starts_with("- [x]"), !is_broken(part), "the box of {line:?}");
    }
}

#[test]
fn lines() {
    check("tasks.txt");
}

/// Part 017 and the others: what `make-repository.sh` says of them.
fn is_broken(part: u64) -> bool {
    part % 37 == 11
}

fn attempts(part: u64) -> u8 {
    match part {
        _ if is_broken(part) => 3,
        _ if part % 21 == 5 => 2,
        _ => 1,
    }
}

fn check(backlog: &str) -> Sandbox {
    let sandbox = sandbox();
    let made = sandbox.shell(&format!("bash {}/make-repository.sh .", example().display()));
    made.exits(0);
    let backlog = format!("backlog/{backlog}");
    let args = ["run", "--json", &backlog, "-j", "8", "--retry-delay", "10ms", "--"];
    let call = sandbox.call(args).args(["sh", "agent.sh", "{{prompt}}"]).limit(LIMIT);
    let output = call.run().exits(100);

    let tasks = sandbox.list();
    check_counts(&sandbox, &output);
    check_tasks(&sandbox, &tasks, &output);
    check_logs(&sandbox, &tasks);
    check_work(&sandbox, &tasks);
    sandbox
}

fn check_counts(sandbox: &Sandbox, output: &Output) {
    let broken = (1..=PARTS).filter(|part| is_broken(*part)).count() as u64;
    let expected =
        BTreeMap::from([("failed".to_owned(), broken), ("succeeded".to_owned(), PARTS - broken)]);
    assert_eq!(sandbox.counts(), expected, "the store");
    let summary = output.summary();
    assert_eq!(summary["counts"], sandbox.status()["counts"], "the summary and the store");
    assert_eq!(summary["succeeded"], PARTS - broken);
    assert_eq!(summary["failed"], broken);
    assert_eq!(summary["attempts"], (1..=PARTS).map(|part| u64::from(attempts(part))).sum::<u64>());
    assert_eq!(output.events("run_started").len(), 1);
}

/// The list, the events and a sample of what `show` says.
fn check_tasks(sandbox: &Sandbox, tasks: &[Value], output: &Output) {
    assert_eq!(tasks.len() as u64, PARTS);
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in output.events("task_finished") {
        let (id, outcome) = (text(&event["task"]), text(&event["outcome"]));
        ends.entry(id).or_default().push(outcome);
    }
    for (index, task) in tasks.iter().enumerate() {
        let part = part_of(task);
        assert_eq!(part, index as u64 + 1, "the list is in the backlog's order");
        let status = if is_broken(part) { "failed" } else { "succeeded" };
        assert_eq!(task["status"], status, "{task}");
        assert_eq!(task["attempts"], attempts(part), "{task}");
        let last = if is_broken(part) { "task_failed" } else { "succeeded" };
        let mut outcomes = vec!["task_failed"; usize::from(attempts(part)) - 1];
        outcomes.push(last);
        assert_eq!(ends[&text(&task["id"])], outcomes, "the events of {task}");
        if part % 21 == 5 || is_broken(part) {
            assert_eq!(sandbox.outcomes(&text(&task["id"])), outcomes, "the attempts of {task}");
        }
    }
}

fn check_logs(sandbox: &Sandbox, tasks: &[Value]) {
    let mut logs = 0;
    for task in tasks {
        let (part, id) = (part_of(task), text(&task["id"]));
        for attempt in 1..=attempts(part) {
            let log = sandbox.read(format!(".agent-runner/logs/{id}/{attempt}.log"));
            let expected = match () {
                () if is_broken(part) => "No such file or directory",
                () if attempt < attempts(part) => "is not ready, try again",
                () => match text(&task["prompt"]).split(' ').next() {
                    Some("edit") => "committed src/part",
                    Some("build") => "built out/part",
                    _ => "wrote out/part",
                },
            };
            assert!(log.contains(expected), "the log of attempt {attempt} at {task}: {log}");
            logs += 1;
        }
    }
    let on_disk = sandbox.files().into_iter().map(|(path, _)| path);
    let on_disk = on_disk.filter(|path| path.extension().is_some_and(|kind| kind == "log")).count();
    assert_eq!(on_disk, logs, "one log for each attempt, and no other");
}

/// What the agents were asked for is there, once.
fn check_work(sandbox: &Sandbox, tasks: &[Value]) {
    let mut commits: Vec<String> = Vec::new();
    for task in tasks.iter().filter(|task| !is_broken(part_of(task))) {
        let part = format!("{:03}", part_of(task));
        let source = sandbox.read(format!("src/part{part}.c"));
        let version = match text(&task["prompt"]).split(' ').next() {
            Some("edit") => {
                commits.push(format!("part {part}: version 2"));
                2
            }
            Some("build") => {
                assert!(sandbox.has(format!("out/part{part}.o")), "{task}");
                1
            }
            _ => {
                let found = sandbox.read(format!("out/part{part}.txt"));
                let line = source.lines().next().expect("a line");
                assert_eq!(found.lines().next(), Some(&*format!("1:{line}")), "{task}");
                1
            }
        };
        assert!(source.contains(&format!("VERSION_{part} {version}")), "{task}: {source}");
    }
    let log = sandbox.shell("git log --format=%s --grep 'version 2'").exits(0).stdout;
    let mut subjects: Vec<_> = log.lines().map(str::to_owned).collect();
    subjects.sort();
    assert_eq!(subjects, commits, "one commit for each edit");
    let left = sandbox.shell("git status --short && git fsck").exits(0).stdout;
    assert_eq!(left, "", "no change is left behind");
}

#[test]
fn the_example_does_what_its_page_says() {
    let sandbox = sandbox();
    for file in ["README.md", "make-repository.sh", "agent.sh"] {
        sandbox.write(file, fs::read(example().join(file)).expect("the example is there"));
    }
    let steps = steps(&sandbox.read("README.md"));
    assert!(steps.len() > 10, "the page has commands");
    // One shell for all of them, since one of them is `cd`.
    let commands: Vec<_> =
        steps.iter().map(|(command, _)| format!("{command}\necho '%%%'")).collect();
    let output = sandbox.shell(&format!("set -e\n{}", commands.join("\n"))).exits(0);
    let mut printed = output.stdout.split("%%%\n");
    for (command, expected) in &steps {
        let printed = printed.next().expect("each command ends with the mark");
        let shown: Vec<_> = printed.lines().map(str::trim).collect();
        let expected: Vec<_> = expected.iter().map(|line| line.trim()).collect();
        assert_eq!(shown, expected, "`{command}` in {output}");
    }
}

/// The commands of a page with what they print.
fn steps(page: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), Vec::new())),
            None => steps.last_mut().expect("a command comes first").1.push(line.to_owned()),
        }
    }
    steps
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/real-backlog")
}

fn part_of(task: &Value) -> u64 {
    number(&text(&task["prompt"]))
}

fn number(prompt: &str) -> u64 {
    let last = prompt.split(' ').next_back().expect("a last word");
    last.parse().unwrap_or_else(|_| panic!("{prompt:?} should end with a number"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
