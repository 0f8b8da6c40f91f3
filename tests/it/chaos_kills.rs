//! One kill at a time: what a killed runner leaves, who takes it over and when, and what becomes of
//! a runner that comes back too late.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use agent_runner_task_store::{SqliteStore, TaskStore};
use agent_runner_tests::{Running, Sandbox, Signal, wait_until};

use crate::{
    chaos_agent::{
        check_no_overlap, finished_attempts, no_process_is_left, processes_of, tell,
        work_as_the_prompt_says,
    },
    sandbox,
};

/// The lease of a claim is three times that: who rescues sooner has not waited for its end.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_killed_runners_task_is_taken_over_at_once() {
    let sandbox = sandbox();
    sandbox.write("tasks.jsonl", "{\"id\":\"long\",\"prompt\":\"once daemon\"}\n");
    let mut first = start(&sandbox, &["tasks.jsonl", "-j", "1"]);
    wait_until("the first agent", || sandbox.has("alive/long.1"));
    // It finds nothing to do, and waits for what the first one works on.
    let second = start(&sandbox, &["-j", "1"]);
    second.event_named("run_started");

    let killed = Instant::now();
    first.signal(Signal::KILL);
    let rescued = second.event_named("task_rescued");
    let after_rescue = killed.elapsed();
    let started = second.event_named("task_started");
    let after_start = killed.elapsed();
    tell(format_args!("rescued after {after_rescue:?}, started again after {after_start:?}"));

    let holder = rescued["holder"].as_str().unwrap_or_default();
    assert!(holder.ends_with(&format!("(pid {})", first.pid())), "{rescued}");
    assert_eq!((&rescued["task"], &rescued["attempt"]), (&"long".into(), &1.into()), "{rescued}");
    assert_eq!((&started["task"], &started["attempt"]), (&"long".into(), &2.into()), "{started}");
    assert!(after_start < SOON, "a rescue does not wait for the lease: {after_start:?}");
    second.wait().exits(0);
    assert_eq!(sandbox.outcomes("long"), ["lost", "succeeded"]);
    assert_eq!(finished_attempts(&sandbox, "long"), [2], "the orphan went on");
    check_no_overlap(&sandbox);
    no_process_is_left(&sandbox);
}

#[test]
fn a_worker_whose_task_was_rescued_cannot_finish_it() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let mut runner = sandbox.call_fake(["tasks.txt", "-j", "1"], "gate").start();
    sandbox.wait_for("1.1.begun");
    runner.signal(Signal::STOP);
    take_away(&sandbox, "1");
    sandbox.write("open", "");
    sandbox.wait_for("1.1.ended");
    runner.signal(Signal::CONT);

    let lost = runner.event_named("claim_lost");
    assert_eq!((&lost["task"], &lost["attempt"]), (&"1".into(), &1.into()), "{lost}");
    let output = runner.wait().exits(0);
    let finished = output.events("task_finished");
    assert_eq!(finished.len(), 1, "the lost attempt has no end: {output}");
    assert_eq!((&finished[0]["attempt"], &finished[0]["status"]), (&2.into(), &"succeeded".into()));
    assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
    assert_eq!(sandbox.show("1")["recoveries"], 1);
}

#[test]
fn a_runner_goes_on_where_it_was_killed() {
    let sandbox = sandbox();
    let task = |number| format!("{{\"id\":\"t{number}\",\"prompt\":\"0.100 nothing\"}}\n");
    sandbox.write("tasks.jsonl", (0..40).map(task).collect::<Vec<_>>().concat());
    let mut first = start(&sandbox, &["tasks.jsonl"]);
    let done = |event: &serde_json::Value| event["event"] == "task_finished";
    let early = first.event(done)["task"].as_str().expect("an id").to_owned();
    first.signal(Signal::KILL);
    first.wait();

    let second = start(&sandbox, &["tasks.jsonl"]).wait().exits(0);
    assert_eq!(second.summary()["counts"]["succeeded"], 40, "{second}");
    assert!(!second.events("task_rescued").is_empty(), "somebody worked when it was killed");
    let again = second.events("task_started").iter().any(|event| event["task"] == *early);
    assert!(!again, "what was done is done: {early}");
    check_no_overlap(&sandbox);
    no_process_is_left(&sandbox);
}

#[test]
fn what_a_killed_runner_left_is_ended_and_its_boxes_are_ticked() {
    let sandbox = sandbox();
    sandbox.write("tasks.md", "- [ ] 0 nothing {#quick}\n- [ ] once daemon {#slow}\n");
    let mut first = start(&sandbox, &["tasks.md", "-j", "1"]);
    wait_until("the slow agent", || sandbox.has("alive/slow.1"));
    first.signal(Signal::KILL);
    first.wait();
    // The agent, its `sleep` and its daemon.
    assert!(processes_of(&sandbox).len() >= 3, "{:?}", processes_of(&sandbox));

    let second = start(&sandbox, &["tasks.md", "-j", "1"]).wait().exits(0);
    let rescued = second.events("task_rescued");
    assert!(rescued[0]["ended_processes"].as_u64() >= Some(3), "{rescued:?}");
    assert_eq!(sandbox.outcomes("quick"), ["succeeded"]);
    assert_eq!(sandbox.outcomes("slow"), ["lost", "succeeded"]);
    assert_eq!(sandbox.read("tasks.md"), "- [x] 0 nothing {#quick}\n- [x] once daemon {#slow}\n");
    check_no_overlap(&sandbox);
    no_process_is_left(&sandbox);
}

fn start(sandbox: &Sandbox, args: &[&str]) -> Running {
    let call = sandbox.call(["run", "--json", "--retry-delay", "1ms"]).args(args.to_vec());
    call.args(work_as_the_prompt_says(sandbox)).start()
}

/// Does what another runner does for a claim whose holder is gone.
fn take_away(sandbox: &Sandbox, id: &str) {
    let store = SqliteStore::open(sandbox.path(".agent-runner/store.db")).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let running = store.running().await.expect("what runs is known");
        let claim = running.iter().find(|claim| claim.fence.task.as_str() == id).expect("a claim");
        store.rescue(&claim.fence, "its runner is stopped").await.expect("a rescue");
    });
}
