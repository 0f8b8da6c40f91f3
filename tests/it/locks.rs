//! `locks run`, and what tasks and people lock: resources by name, and paths.

use std::fs;

use agent_runner_tests::{Call, Running, Sandbox, Signal};
use serde_json::json;

use crate::sandbox;

/// A script that says that it has begun, and goes on until it is let go.
const GATE: &str =
    "exec >/dev/null 2>&1; touch begun; while [ ! -e open ]; do sleep 0.02; done; touch ended";

fn locks_run(sandbox: &Sandbox, args: &[&str]) -> Call {
    sandbox.call(["locks", "run"].iter().chain(args).copied())
}

/// A command at work under locks.
fn hold(sandbox: &Sandbox, args: &[&str]) -> Running {
    let running = locks_run(sandbox, &[args, &["--", "sh", "-c", GATE]].concat()).start();
    sandbox.wait_for("begun");
    running
}

#[test]
fn a_command_runs_under_a_lock_and_its_exit_code_is_passed_on() {
    let sandbox = sandbox();
    locks_run(&sandbox, &["db", "--", "sh", "-c", "echo out; exit 42"])
        .run()
        .exits(42)
        .prints("out");
    locks_run(&sandbox, &["db", "--", "sh", "-c", "kill -9 $$"]).run().exits(137);
    locks_run(&sandbox, &["db", "--", "no-such-program"]).run().exits(3).says("no-such-program");
    locks_run(&sandbox, &["--", "true"]).run().exits(2);
    locks_run(&sandbox, &["--touches", "../x", "--", "true"]).run().exits(2).says("../x");
}

#[test]
fn who_comes_second_waits_or_is_told_who_is_in_the_way() {
    let sandbox = sandbox();
    let first = hold(&sandbox, &["db", "--touches", "src/**"]);
    for wanted in [&["db"][..], &["--touches", "src/a.rs"], &["other", "db"]] {
        let args = [wanted, &["-n", "--", "true"]].concat();
        locks_run(&sandbox, &args).run().exits(7).says("held by locks run sh");
    }
    locks_run(&sandbox, &["db", "--wait", "50ms", "--", "true"])
        .run()
        .exits(7)
        .says("gave up after");
    locks_run(&sandbox, &["other", "--touches", "docs/*", "-n", "--", "true"]).run().exits(0);
    sandbox.run(["locks", "list"]).exits(0).prints("db").prints("src/**");
    sandbox.run(["locks", "show", "db"]).exits(0).prints("locks run sh").prints("sh");

    let second = locks_run(&sandbox, &["db", "--", "test", "-e", "ended"]).start();
    second.says("waiting: ");
    sandbox.write("open", "");
    first.wait().exits(0);
    second.wait().exits(0);
    sandbox.run(["locks", "list"]).exits(0).says("there is no lock");
}

#[test]
fn a_lock_can_be_shared() {
    let sandbox = sandbox();
    let reader = hold(&sandbox, &["db", "--shared"]);
    locks_run(&sandbox, &["db", "--shared", "-n", "--", "true"]).run().exits(0);
    locks_run(&sandbox, &["db", "-n", "--", "true"]).run().exits(7);
    sandbox.write("open", "");
    reader.wait().exits(0);
}

#[test]
fn a_command_keeps_its_lock_when_its_keeper_is_killed() {
    let sandbox = sandbox();
    let mut keeper = hold(&sandbox, &["db"]);
    keeper.signal(Signal::KILL);
    keeper.wait();
    locks_run(&sandbox, &["db", "-n", "--", "true"]).run().exits(7);
    sandbox.write("open", "");
    locks_run(&sandbox, &["db", "--", "test", "-e", "ended"]).run().exits(0);
}

#[test]
fn a_command_is_ended_when_its_lock_is_lost() {
    let sandbox = sandbox();
    let running = hold(&sandbox, &["db"]);
    fs::remove_dir_all(sandbox.path(".agent-runner/locks")).expect("it is ours");
    running.wait().exits(7).says("the command was ended");
    sandbox.write("open", "");
    assert!(!sandbox.has("ended"));
}

#[test]
fn signals_reach_the_command() {
    for (name, signal) in [("TERM", Signal::TERM), ("HUP", Signal::HUP), ("INT", Signal::INT)] {
        let sandbox = sandbox();
        let script =
            format!("trap 'touch told; exit 5' {name}; touch begun; while :; do sleep 0.02; done");
        let mut running = locks_run(&sandbox, &["db", "--", "sh", "-c", &script]).start();
        sandbox.wait_for("begun");
        running.signal(signal);
        running.wait().exits(5);
        assert!(sandbox.has("told"), "it got another signal than {name}");
    }
}

#[test]
fn who_waits_is_not_overtaken() {
    let sandbox = sandbox();
    let reader = hold(&sandbox, &["db", "--shared"]);
    let writer = locks_run(&sandbox, &["db", "--", "test", "-e", "ended"]).start();
    writer.says("waiting: ");
    let wanted = || sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
    let is_waiting = |claims: Vec<serde_json::Value>| claims.iter().any(|it| it["waiting"] == true);
    while !is_waiting(wanted()) {}
    let shared = ["db", "--shared", "-n", "--", "true"];
    locks_run(&sandbox, &shared).run().exits(7).says("db is wanted by locks run test");
    sandbox.run(["locks", "show", "db"]).exits(0).prints("who asked first").prints("waits ");
    sandbox.write("open", "");
    reader.wait().exits(0);
    writer.wait().exits(0);
    locks_run(&sandbox, &shared).run().exits(0);
}

/// Neither of them could ever go on.
#[test]
fn a_command_does_not_wait_for_who_waits_for_it() {
    let sandbox = sandbox();
    let script = "touch begun; while [ ! -e open ]; do sleep 0.02; done
        exec agent-runner locks run db --shared -- true";
    let outer = locks_run(&sandbox, &["db", "--shared", "--", "sh", "-c", script]).start();
    sandbox.wait_for("begun");
    let writer = locks_run(&sandbox, &["db", "--", "true"]).start();
    while !sandbox.run(["locks", "list"]).exits(0).stdout.contains("wanted") {}
    sandbox.write("open", "");
    outer.wait().exits(7).says("it would wait for itself");
    writer.wait().exits(0);
}

#[test]
fn a_resource_can_be_broken_by_hand() {
    let sandbox = sandbox();
    let running = hold(&sandbox, &["db", "--touches", "src/**"]);
    for key in ["db", "src/**"] {
        let refused = sandbox.run(["locks", "break", key]).exits(7);
        refused.says("is held by locks run sh").says("`--kill-holder` ends who holds it (pid ");
    }
    sandbox.run(["locks", "break", "src/**", "--kill-holder"]).exits(0).says("the lock is free");
    assert_ne!(running.wait().code, Some(0), "it was ended");
    sandbox.run(["locks", "break", "db"]).exits(0).says("task db is free");
    assert!(!sandbox.has("ended"));
}

/// Also when it starts others all the time, which have its lock as well and end at any moment.
#[test]
fn a_command_without_its_keeper_can_be_ended() {
    let sandbox = sandbox();
    let script =
        "exec >/dev/null 2>&1; touch begun; while [ -e begun ]; do /usr/bin/env true; done";
    let mut keeper = locks_run(&sandbox, &["db", "--", "sh", "-c", script]).start();
    sandbox.wait_for("begun");
    keeper.signal(Signal::KILL);
    keeper.wait();
    sandbox.run(["locks", "list"]).exits(0).prints("dead, but its child goes on");
    sandbox.run(["locks", "break", "db"]).exits(0).says("process");
    locks_run(&sandbox, &["db", "-n", "--", "true"]).run().exits(0);
}

#[test]
fn a_persons_lock_keeps_tasks_waiting() {
    let sandbox = sandbox();
    let task = |id: &str, fields: serde_json::Value| {
        let mut task = json!({ "id": id, "command": format!("touch {id}.done") });
        task.as_object_mut().expect("an object").extend(fields.as_object().expect("one").clone());
        task
    };
    let tasks = [
        task("migrate", json!({ "locks": ["db"] })),
        task("login", json!({ "touches": ["src/login.rs"] })),
        task("docs", json!({ "touches": ["docs/**"] })),
    ];
    sandbox.write("tasks.json", json!(tasks).to_string());
    let person = hold(&sandbox, &["db", "--touches", "src/**"]);
    let run = sandbox.call(["run", "tasks.json", "-j", "2", "--json"]).start();
    sandbox.wait_for("docs.done");
    for id in ["migrate", "login"] {
        let event = run.event(|event| event["event"] == "task_finished" && event["task"] == id);
        assert_eq!(event["outcome"], "locked", "{event}");
        assert!(event["message"].to_string().contains("locks run sh"), "{event}");
    }
    assert!(!sandbox.has("migrate.done") && !sandbox.has("login.done"));
    sandbox.write("open", "");
    person.wait().exits(0);
    run.wait().exits(0);
    assert!(sandbox.has("migrate.done") && sandbox.has("login.done"));
}

/// One that could never have its locks is refused before others are done.
#[test]
fn a_task_with_too_many_resources_is_refused() {
    let sandbox = sandbox();
    let touches: Vec<_> = (0..1_000).map(|n| format!("crates/module{n}/src/**")).collect();
    let tasks = json!([{ "id": "small", "prompt": "p" }, { "id": "big", "prompt": "p", "touches": touches }]);
    sandbox.write("tasks.json", tasks.to_string());
    sandbox.run(["import", "tasks.json"]).exits(3).says("task 'big'").says("no room for so many");
    sandbox.write(
        "tasks.json",
        json!([{ "id": "ok", "prompt": "p", "touches": touches[..200] }]).to_string(),
    );
    sandbox.run(["run", "tasks.json", "--", "true"]).exits(0);
}

#[test]
fn a_command_does_not_wait_for_itself() {
    let sandbox = sandbox();
    let nested = ["db", "--", "agent-runner", "locks", "run", "db", "--", "true"];
    locks_run(&sandbox, &nested).run().exits(7).says("under which this command runs");
    let other = ["db", "--", "agent-runner", "locks", "run", "other", "--", "true"];
    locks_run(&sandbox, &other).run().exits(0);
}

/// Each task says when it begins and ends, in a file that only grows.
#[test]
fn tasks_that_touch_the_same_files_never_run_at_once() {
    let sandbox = sandbox();
    let paths = ["src/a/**", "src/**", "src/b/x.rs", "src/a/lib.rs", "src/b/*", "docs/**"];
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let path = paths[n % paths.len()];
            let script = format!("echo + {path} >> log; sleep 0.01; echo - {path} >> log");
            json!({ "id": format!("t{n}"), "command": script, "touches": [path] })
        })
        .collect();
    sandbox.write("tasks.json", json!(tasks).to_string());
    sandbox.run(["run", "tasks.json", "-j", "8", "--json"]).exits(0);

    let overlap = |a: &str, b: &str| {
        let stem = |path: &str| path.trim_end_matches(['*', '/']).to_owned();
        stem(a).starts_with(&stem(b)) || stem(b).starts_with(&stem(a))
    };
    let (mut at_work, mut together, mut done) = (Vec::<String>::new(), 0, 0);
    for line in sandbox.read("log").lines() {
        match line.split_once(' ').expect("a sign and a path") {
            ("+", path) => {
                let other = at_work.iter().find(|other| overlap(other, path));
                assert_eq!(other, None, "{path} is worked on at the same time");
                at_work.push(path.to_owned());
                together = together.max(at_work.len());
            }
            (_, path) => {
                let place = at_work.iter().position(|other| other == path).expect("it has begun");
                at_work.remove(place);
                done += 1;
            }
        }
    }
    assert_eq!(done, 60);
    assert!(together >= 2, "what does not overlap runs at once");
}

#[test]
fn a_pattern_that_is_none_is_refused_before_anything_runs() {
    let sandbox = sandbox();
    sandbox
        .write("tasks.json", json!([{ "id": "x", "prompt": "p", "touches": ["a[b"] }]).to_string());
    sandbox.run(["import", "tasks.json"]).exits(3).says("a[b").says("'x'");
    sandbox.run(["add", "p", "--touches", "/etc/passwd"]).exits(2).says("/etc/passwd");
    sandbox.run(["list", "--plain"]);
    assert!(!sandbox.has("x.done"));
}
