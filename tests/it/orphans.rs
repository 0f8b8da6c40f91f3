//! Agents that outlive their runner: they are shown, nobody else gets their tasks, and the next run
//! ends them or waits for them.

use agent_runner_tests::{Running, Sandbox, Signal};
use serde_json::Value;

use crate::sandbox;

/// A sandbox with one task, whose agent works on although its runner was killed.
fn orphaned() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let mut first = start(&sandbox, &["tasks.txt"]);
    sandbox.wait_for("1.1.begun");
    first.signal(Signal::KILL);
    assert_eq!(first.wait().signal, Some(9));
    sandbox
}

fn start(sandbox: &Sandbox, args: &[&str]) -> Running {
    sandbox.call_fake(args.iter().copied(), "gate").start()
}

fn the_lock(sandbox: &Sandbox) -> Value {
    let mut locks = sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
    assert_eq!(locks.len(), 1, "{locks:?}");
    locks.remove(0)
}

#[test]
fn an_orphaned_task_is_shown() {
    let sandbox = orphaned();
    let status = sandbox.status();
    assert_eq!(status["running"][0]["state"], "orphaned", "{status}");
    sandbox.run(["status"]).exits(0).prints("orphaned, its run is gone but its agent still works");
    sandbox.run(["list"]).exits(0).prints("orphaned");
    assert_eq!(the_lock(&sandbox)["state"], "orphaned");
    sandbox
        .run(["locks", "show", "1"])
        .exits(0)
        .prints("task 1 is held by a child of its dead holder")
        .prints("fake-agent");
}

#[test]
fn a_run_ends_the_orphan_and_does_its_task() {
    let sandbox = orphaned();
    let run = start(&sandbox, &[]);
    let rescued = run.event_named("task_rescued");
    assert!(rescued["ended_processes"].as_u64() >= Some(1), "{rescued}");
    sandbox.wait_for("1.2.begun");
    sandbox.write("open", "");
    run.wait().exits(0);
    assert!(!sandbox.has("1.1.ended"), "the first agent went on");
    assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
}

#[test]
fn a_run_can_wait_for_the_orphan() {
    let sandbox = orphaned();
    sandbox.run(["add", "two", "--id", "two"]).exits(0);
    let run = start(&sandbox, &["--orphans", "wait"]);
    let orphaned = run.event_named("task_orphaned");
    assert_eq!((&orphaned["task"], &orphaned["attempt"]), (&"1".into(), &1.into()));
    sandbox.wait_for("two.1.begun");
    assert!(!sandbox.has("1.2.begun"), "its agent still works");
    sandbox.write("open", "");
    let output = run.wait().exits(0);
    assert!(sandbox.has("1.1.ended"), "it was left alone: {output}");
    assert_eq!(output.events("task_orphaned").len(), 1, "it is told once: {output}");
    assert_eq!(output.events("task_rescued")[0]["ended_processes"], 0, "{output}");
    assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
}

/// The proof that the first run is gone must not go with the one that found it.
#[test]
fn who_waits_for_an_orphan_can_be_killed_too() {
    let sandbox = orphaned();
    for end in [Signal::KILL, Signal::TERM] {
        let mut run = start(&sandbox, &["--orphans", "wait"]);
        run.event_named("task_orphaned");
        run.signal(end);
        run.wait();
        assert_eq!(sandbox.status()["running"][0]["state"], "orphaned");
    }
    let run = start(&sandbox, &[]);
    run.event_named("task_rescued");
    sandbox.write("open", "");
    run.wait().exits(0);
    assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
}

#[test]
fn a_run_that_waits_keeps_no_other_from_ending_the_orphan() {
    let sandbox = orphaned();
    let waits = start(&sandbox, &["--orphans", "wait"]);
    waits.event_named("task_orphaned");
    let kills = start(&sandbox, &[]);
    let rescued = |event: &Value| event["event"] == "task_rescued";
    kills.event(rescued);
    sandbox.wait_for("1.2.begun");
    sandbox.write("open", "");
    kills.wait().exits(0);
    waits.wait().exits(0);
    assert!(!sandbox.has("1.1.ended"), "it was ended");
}

/// Some programs close all that they inherit, and the task's lock with it.
#[test]
fn a_run_waits_for_an_orphan_that_keeps_no_lock() {
    let sandbox = sandbox();
    let command = "exec bash -c 'for fd in /proc/$$/fd/*; do fd=${fd##*/}; \
        [ $fd -le 2 ] || eval \"exec $fd>&-\"; done; echo >> begun; \
        while [ ! -e open ]; do sleep 0.02; done; echo >> ended'";
    sandbox.write("tasks.json", serde_json::json!([{ "id": "1", "command": command }]).to_string());
    let mut first = sandbox.call(["run", "tasks.json"]).start();
    sandbox.wait_for("begun");
    first.signal(Signal::KILL);
    first.wait();
    assert_eq!(the_lock(&sandbox)["state"], "died", "it keeps the lock, against what is tested");

    for _ in 0..2 {
        let mut run = sandbox.call(["run", "--orphans", "wait", "--json"]).start();
        run.event_named("task_orphaned");
        run.signal(Signal::KILL);
        run.wait();
    }
    let run = sandbox.call(["run", "--orphans", "wait", "--json"]).start();
    run.event_named("task_orphaned");
    assert_eq!(sandbox.read("begun").lines().count(), 1, "its agent still works");
    sandbox.write("open", "");
    let rescued = run.event_named("task_rescued");
    assert_eq!(rescued["ended_processes"], 0, "it was ended: {rescued}");
    run.wait().exits(0);
    assert_eq!(sandbox.read("ended").lines().count(), 2, "both attempts came to their end");
    assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
}

#[test]
fn an_orphan_can_be_broken_by_hand() {
    let sandbox = orphaned();
    sandbox.run(["locks", "break", "1"]).exits(0).says("1 process ended");
    assert_eq!(sandbox.status()["running"][0]["state"], "lost");
    sandbox.run(["status"]).exits(0).prints("lost, its run is gone");
    sandbox.run(["locks", "break", "1"]).exits(0).says("task 1 is free");
    sandbox.write("open", "");
    sandbox.run_fake([] as [&str; 0], "gate").exits(0);
    assert!(!sandbox.has("1.1.ended"), "it was ended");
}

#[test]
fn a_living_runs_lock_is_not_broken_without_being_told_to() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let mut run = start(&sandbox, &["tasks.txt"]);
    sandbox.wait_for("1.1.begun");
    sandbox
        .run(["locks", "break", "1"])
        .exits(7)
        .says("task 1 is held by ")
        .says("agent-runner cancel 1");
    assert!(!run.has_ended());
    sandbox.run(["locks", "break", "1", "--kill-holder", "--grace", "100ms"]).exits(0);
    assert!(run.wait().code != Some(0), "it was ended");
}
