//! A night: forty tasks on a real repository, eight workers, six tasks that conflict.

use std::{collections::BTreeMap, time::Duration};

use agent_runner_tests::{Call, Sandbox, Signal};
use serde_json::{Value, json};

use crate::{sandbox, worktrees::proof};

const TASKS: usize = 40;
const CLASHES: usize = 6;

/// A part of its own for each task, some of it committed. The clashing ones change a line that
/// `first` changes as well, and begin before that has landed; told of the conflict they mend it.
const AGENT: &str = r#"
id=$AGENT_RUNNER_TASK_ID; marks=$AGENT_RUNNER_ROOT/marks
echo "echo $id" > parts/$id.sh
git add -A; git commit -qm "a part for $id"
case $id in
first)
    while [ $(ls $marks | wc -l) -lt 6 ]; do sleep 0.02; done
    echo first > version;;
clash-*)
    touch $marks/$id
    if [ $AGENT_RUNNER_ATTEMPT = 1 ]; then
        while [ "$(git show main:version)" = begin ]; do sleep 0.02; done
    fi
    case "$AGENT_RUNNER_LAST_ERROR" in
    conflict*) git merge -q main > /dev/null; git show main:version > version;;
    esac
    grep -q $id version || echo $id >> version;;
esac
echo "$id is done" >> parts/$id.txt
"#;

/// The project: it builds if each part works and has its text.
fn project() -> Sandbox {
    let sandbox = sandbox();
    let build = "for part in parts/*.sh; do sh -e $part > /dev/null || exit 1; test -s ${part%.sh}.txt || exit 2; done; ! grep -q '<<<<' version";
    for (file, text) in [
        ("build.sh", build),
        ("parts/begin.sh", "echo begin\n"),
        ("parts/begin.txt", "begin\n"),
        ("version", "begin\n"),
        ("notes", "mine\n"),
        (".gitignore", "/marks\n/tasks.*\n"),
    ] {
        sandbox.write(file, text);
    }
    sandbox.repository();
    // The person has work of his own in the checkout of the target.
    sandbox.write("notes", "mine, not committed\n");
    std::fs::create_dir(sandbox.path("marks")).expect("a folder");
    sandbox.script("the-agent", AGENT);
    let clash = |n| json!({ "id": format!("clash-{n}"), "prompt": "clash", "priority": 5 });
    let mut tasks: Vec<Value> = (0..CLASHES).map(clash).collect();
    tasks.push(json!({ "id": "first", "prompt": "first", "priority": 5 }));
    tasks.extend((tasks.len()..TASKS).map(|n| json!({ "id": format!("t-{n}"), "prompt": "part" })));
    sandbox.write("tasks.json", json!(tasks).to_string());
    sandbox
}

fn night(sandbox: &Sandbox) -> Call {
    let flags = ["run", "tasks.json", "--json", "-j", "8", "--isolate", "worktree", "--merge"];
    let more = ["--verify", "sh build.sh", "--attempts", "20", "--retry-delay", "1ms"];
    sandbox.call(flags).args(more).args(["--", "the-agent"]).limit(Duration::from_secs(300))
}

/// The target has each task's commit once and builds, and the person's own work is untouched.
fn check(sandbox: &Sandbox) {
    assert_eq!(sandbox.counts(), BTreeMap::from([("succeeded".to_owned(), TASKS as u64)]));
    let log = sandbox.git("log --format=%B main");
    for task in sandbox.list() {
        let id = task["id"].as_str().expect("an id");
        let trailer = format!("Agent-Runner-Task: {id}");
        let times = log.lines().filter(|line| *line == trailer).count();
        assert_eq!(times, 1, "commits of {id} in {log}");
        let commit = proof(sandbox, id)["merged"]["commit"].as_str().expect("a commit").to_owned();
        let message = sandbox.git(&format!("show -s --format=%B {commit}"));
        assert!(message.contains(&trailer), "{id} says it was merged as {commit}: {message}");
        sandbox.git(&format!("merge-base --is-ancestor {commit} main"));
    }
    assert_eq!(sandbox.git("rev-list --count main"), (TASKS + 1).to_string());
    sandbox
        .shell(
            "git clone -q . clone && cd clone && sh build.sh && test $(ls parts/*.sh | wc -l) = 41",
        )
        .exits(0);
    let version = sandbox.read("clone/version");
    let clashes = version.lines().filter(|line| line.starts_with("clash-")).count();
    assert_eq!(clashes, CLASHES, "nobody undid another's line: {version}");
    assert_eq!(sandbox.read("notes"), "mine, not committed\n");
    assert_eq!(
        sandbox.git("status --porcelain -uno"),
        " M notes",
        "nothing else is left to commit"
    );
    sandbox.git("fsck --no-progress");
}

#[test]
fn forty_tasks_of_which_six_conflict() {
    let sandbox = project();
    let output = night(&sandbox).run().exits(0);
    check(&sandbox);
    for n in 0..CLASHES {
        let id = format!("clash-{n}");
        let attempts = sandbox.show(&id)["attempt_log"].clone();
        assert_eq!(attempts[0]["outcome"], "conflict", "{attempts}");
        assert_eq!(attempts[0]["proof"]["conflicts"], json!(["version"]), "{attempts}");
        let message = attempts[0]["message"].as_str().expect("a message");
        assert!(message.starts_with("conflict with main ("), "{message}");
        assert!(message.contains("main has:\n    first"), "both sides are told: {message}");
    }
    let told: Vec<_> = output.events("task_finished");
    assert!(told.iter().filter(|event| event["outcome"] == "conflict").count() >= CLASHES);
    let trees = sandbox.run(["worktrees", "list", "--json"]).exits(0).json_lines();
    assert!(trees.len() <= 8, "as many as agents at once: {trees:?}");
}

/// The runner is killed twice in the middle, wherever it is; the end is the same.
#[test]
fn a_night_with_kills_ends_the_same() {
    let sandbox = project();
    for more in [3, 3] {
        let before = if sandbox.has(".agent-runner/store.db") { succeeded(&sandbox) } else { 0 };
        let mut run = night(&sandbox).start();
        let mut seen = 0;
        run.event(|event| {
            seen = if event["event"] == "run_started" { 0 } else { seen };
            seen += u64::from(event["event"] == "task_finished" && event["status"] == "succeeded");
            seen == more
        });
        run.signal(Signal::KILL);
        run.wait();
        let after = succeeded(&sandbox);
        assert!(after >= before + more && after < TASKS as u64, "{before} + {more} -> {after}");
    }
    night(&sandbox).run().exits(0);
    check(&sandbox);
}

fn succeeded(sandbox: &Sandbox) -> u64 {
    sandbox.counts().get("succeeded").copied().unwrap_or(0)
}
