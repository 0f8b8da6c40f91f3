//! The table of fake agents, walked: the store, the events, the logs and the exit code tell the
//! same story.

use std::thread;

use agent_runner_tests::{FAKES, Fake, Output, Sandbox};
use serde_json::Value;

use crate::sandbox;

#[test]
fn each_fake_agent_leads_to_what_the_table_says() {
    thread::scope(|threads| {
        for fake in FAKES {
            threads.spawn(move || check(&fake));
        }
    });
}

#[test]
fn fake_agents_side_by_side_do_not_disturb_each_other() {
    let fakes: Vec<_> = FAKES.iter().filter(|fake| fake.flags.is_empty()).collect();
    let sandbox = sandbox();
    let verbs: Vec<_> = fakes.iter().map(|fake| fake.verb).collect();
    sandbox.write("tasks.txt", verbs.join("\n"));
    sandbox.run_fake(["tasks.txt", "-j", "4"], "prompt").exits(100);
    for (fake, id) in fakes.iter().zip(1..) {
        let id = id.to_string();
        assert_eq!(sandbox.outcomes(&id), fake.outcomes, "{fake:?}");
        let log = sandbox.run(["logs", &id]).exits(0).stdout;
        assert!(log.contains(fake.log), "{fake:?}");
    }
}

fn check(fake: &Fake) {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "do it\n");
    let output = sandbox.run_fake(flags(fake), fake.verb).exits(fake.exit);
    check_events(fake, &output);
    check_store(fake, &sandbox);
    check_logs(fake, &sandbox);
}

fn flags(fake: &Fake) -> Vec<&'static str> {
    ["tasks.txt", "-j", "1", "--no-wait-keys"]
        .into_iter()
        .chain(fake.flags.iter().copied())
        .collect()
}

fn check_events(fake: &Fake, output: &Output) {
    let ended = output.events("task_finished");
    let outcomes: Vec<_> = ended.iter().map(|event| text(event, "outcome")).collect();
    assert_eq!(outcomes, fake.outcomes, "{fake:?}: {output}");
    let last = ended.last().expect("every fake ends");
    assert_eq!(last["status"], fake.status, "{fake:?}: {output}");
    let message = text(last, "message");
    assert!(message.contains(fake.message), "{fake:?}: {message:?}");
    assert_eq!(output.events("task_started").len(), fake.outcomes.len(), "{fake:?}: {output}");
    let summary = output.summary();
    assert_eq!(summary["exit_code"], fake.exit, "{fake:?}: {output}");
    assert_eq!(summary["attempts"], fake.outcomes.len(), "{fake:?}: {output}");
    assert_eq!(summary["counts"][fake.status], 1, "{fake:?}: {output}");
}

fn check_store(fake: &Fake, sandbox: &Sandbox) {
    let shown = sandbox.show("1");
    assert_eq!(shown["status"], fake.status, "{fake:?}: {shown}");
    assert_eq!(shown["attempts"], fake.outcomes.len(), "{fake:?}: {shown}");
    assert_eq!(sandbox.outcomes("1"), fake.outcomes, "{fake:?}: {shown}");
    let paid = |outcomes: &[&str]| {
        fake.outcomes.iter().filter(|outcome| outcomes.contains(outcome)).count()
    };
    let failures = ["task_failed", "verify_failed", "timed_out", "idle_timed_out"];
    assert_eq!(shown["failures"], paid(&failures), "failures of its own, {fake:?}: {shown}");
    assert_eq!(shown["recoveries"], paid(&["crashed"]), "recoveries, {fake:?}: {shown}");
}

fn check_logs(fake: &Fake, sandbox: &Sandbox) {
    for number in 1..=fake.outcomes.len() {
        let name = format!(".agent-runner/logs/1/{number}.log");
        // Who prints nothing leaves no log.
        let log = if sandbox.has(&name) { sandbox.read(&name) } else { String::new() };
        let printed = sandbox.run(["logs", "1", "--attempt", &number.to_string()]).exits(0).stdout;
        assert_eq!(printed, log, "`logs` prints the log as it is, {fake:?}");
    }
    let last = sandbox.run(["logs", "1"]).exits(0).stdout;
    assert!(last.contains(fake.log), "{fake:?}: {:?}", &last[..last.len().min(200)]);
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}
