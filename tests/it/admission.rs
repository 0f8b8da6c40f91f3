//! Whether another agent may be started: the machine's gates, the stagger, the adaptive limit.

use agent_runner_tests::{Output, Sandbox};
use serde_json::Value;

use crate::sandbox;

/// More memory than any machine has.
const NEVER: [&str; 2] = ["--min-free-memory", "1000T"];

/// How many agents were at work at each start, that one included.
fn at_work_at_starts(events: &[Value]) -> Vec<(u64, usize)> {
    let mut at_work = 0;
    let mut starts = Vec::new();
    for event in events {
        match event["event"].as_str().expect("a name") {
            "task_started" => {
                at_work += 1;
                starts.push((event["attempt"].as_u64().expect("a number"), at_work));
            }
            "task_finished" => at_work -= 1,
            _ => {}
        }
    }
    starts
}

#[test]
fn a_gate_that_never_opens_still_lets_one_agent_work() {
    let sandbox = sandbox();
    sandbox.write_tasks(6);
    let flags = ["tasks.txt", "-j", "4"].into_iter().chain(NEVER);
    let output = sandbox.run_fake(flags, "succeed").exits(0);
    let starts = at_work_at_starts(&output.json_lines());
    assert_eq!(starts, [(1, 1); 6], "one at a time: {output}");
}

#[test]
fn a_run_says_what_it_waits_for_and_so_does_status() {
    let sandbox = sandbox();
    sandbox.write_tasks(2);
    let flags = ["tasks.txt", "-j", "2"].into_iter().chain(NEVER);
    let run = sandbox.call_fake(flags, "gate").start();
    let held = run.event_named("starts_held");
    assert_eq!((&held["reason"], &held["at_work"]), (&"memory".into(), &1.into()), "{held}");
    let message = held["message"].as_str().expect("text");
    assert!(message.contains("less than 1000.0 TiB"), "{held}");
    let status = sandbox.status();
    assert_eq!(status["runs"][0]["held"], held["message"], "{status}");
    assert_eq!(status["counts"]["running"], 1, "nothing is claimed that then waits: {status}");
    sandbox.run(["status"]).exits(0).prints("starts no more agents");
    sandbox.write("open", "");
    let output = run.wait().exits(0);
    assert_eq!(output.events("starts_held").len(), 1, "a wait is told once: {output}");
    assert_eq!(sandbox.status()["runs"], Value::Array(Vec::new()));
}

#[test]
fn an_interrupt_is_heard_by_a_run_that_waits_for_memory() {
    use agent_runner_tests::Signal;
    let sandbox = sandbox();
    sandbox.write_tasks(2);
    let flags = ["tasks.txt", "-j", "2", "--grace", "100ms"].into_iter().chain(NEVER);
    let mut run = sandbox.call_fake(flags, "gate").start();
    run.event_named("starts_held");
    run.signal(Signal::INT);
    run.wait().exits(130);
    assert_eq!(sandbox.counts().get("pending"), Some(&2));
}

/// Seconds between the first and the last start of four agents that wait for each other.
fn span_of_starts(sandbox: &Sandbox, flags: &[&str]) -> f64 {
    sandbox.write_tasks(4);
    let flags = ["tasks.txt", "-j", "4"].iter().chain(flags).copied();
    let run = sandbox.call_fake(flags, "gate").start();
    for id in 1..=4 {
        sandbox.wait_for(&format!("{id}.1.begun"));
    }
    sandbox.write("open", "");
    let output = run.wait().exits(0);
    let seconds = |event: &Value| {
        let time = event["time"].as_str().expect("a time");
        let clock: Vec<f64> =
            time[11..23].split(':').map(|part| part.parse().expect("digits")).collect();
        (clock[0] * 60.0 + clock[1]) * 60.0 + clock[2]
    };
    let starts: Vec<_> = output.events("task_started").iter().map(seconds).collect();
    // Over midnight.
    (starts[3] - starts[0]).rem_euclid(86_400.0)
}

#[test]
fn starts_are_staggered_when_the_run_or_the_profile_says_so() {
    let span = span_of_starts(&sandbox(), &["--stagger", "400ms"]);
    assert!(span > 0.8, "three waits of 0.4 s, all in {span} s");
    let of_profile = sandbox();
    of_profile.write(
        "agent-runner.toml",
        "[profiles.fake]\nprogram = \"fake-agent\"\nstagger = \"400ms\"\n",
    );
    let span = span_of_starts(&of_profile, &[]);
    assert!(span > 0.8, "three waits of 0.4 s, all in {span} s");
}

fn limits(output: &Output) -> Vec<(u64, String)> {
    let limit = |event: &Value| {
        let reason = event["reason"].as_str().expect("a reason").to_owned();
        (event["limit"].as_u64().expect("a number"), reason)
    };
    output.events("limit_changed").iter().map(limit).collect()
}

/// Few meet a limit, since each makes all wait longer, and an episode is over after 15 s.
fn adaptive(first: &str, tasks: usize) -> Output {
    let sandbox = sandbox();
    let verbs: Vec<_> = (0..tasks).map(|n| if n < 2 { first } else { "succeed" }).collect();
    sandbox.write("tasks.txt", verbs.join("\n"));
    sandbox.run_fake(["tasks.txt", "-j", "8", "--adaptive"], "prompt").exits(0)
}

#[test]
fn one_episode_of_throttling_costs_a_fifth_once() {
    let output = adaptive("throttle-once", 8);
    let told = limits(&output);
    assert_eq!(told, [(4, "start".to_owned()), (3, "throttled".to_owned())], "{output}");
    for (attempt, at_work) in at_work_at_starts(&output.json_lines()) {
        let most = if attempt == 1 { 4 } else { 3 };
        assert!(
            at_work <= most,
            "{at_work} at work at the start of an attempt {attempt}: {output}"
        );
    }
}

#[test]
fn rounds_without_a_limit_let_more_work_at_once() {
    let output = adaptive("succeed", 40);
    let told = limits(&output);
    assert_eq!(told, [(4, "start".to_owned()), (8, "no_limit_met".to_owned())], "{output}");
}

#[test]
fn a_provider_without_room_is_no_reason_to_let_fewer_work() {
    let output = adaptive("overload-once", 8);
    assert!(limits(&output).iter().all(|(_, reason)| reason != "throttled"), "{output}");
}
