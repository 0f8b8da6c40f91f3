//! Running again continues: after a run that was done, that was killed, or beside one that goes on.

use std::collections::BTreeSet;

use agent_runner_tests::{Sandbox, Signal};
use serde_json::Value;

use crate::sandbox;

/// Each line says which attempt did what, so that work that is done twice is seen.
const WORK: &str = "echo $AGENT_RUNNER_TASK_ID >> done.log";

fn done(sandbox: &Sandbox) -> Vec<u32> {
    let mut done: Vec<u32> =
        sandbox.read("done.log").lines().map(|id| id.parse().expect("a number")).collect();
    done.sort_unstable();
    done
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let sandbox = sandbox();
    sandbox.write_tasks(20);
    let args = ["run", "--json", "tasks.txt", "--shell", "--", WORK];
    sandbox.run(args).exits(0);
    let before = sandbox.list();
    let again = sandbox.run(args).exits(0);
    assert_eq!(again.summary()["attempts"], 0, "{again}");
    assert_eq!(sandbox.list(), before, "nothing changed");
    assert_eq!(done(&sandbox), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_killed_run_is_continued() {
    let sandbox = sandbox();
    sandbox.write_tasks(6);
    let mut first = sandbox.call_fake(["tasks.txt", "-j", "2"], "gate").start();
    sandbox.wait_for("1.1.begun");
    sandbox.wait_for("2.1.begun");
    first.signal(Signal::KILL);
    assert_eq!(first.wait().signal, Some(9));
    assert_eq!(sandbox.status()["counts"]["running"], 2, "nobody has looked yet");
    sandbox.write("open", "");
    let output = sandbox.run_fake(["-j", "2"], "gate").exits(0);
    let rescued: BTreeSet<_> =
        output.events("task_rescued").iter().map(|event| event["task"].to_string()).collect();
    assert_eq!(rescued.len(), 2, "both are taken back: {output}");
    assert_eq!(output.summary()["counts"]["succeeded"], 6, "{output}");
    assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
    let locks = sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
    assert!(locks.iter().all(|lock| lock["state"] != "held"), "no lock is held: {locks:?}");
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next() {
    let sandbox = sandbox();
    sandbox.write("tasks.json", r#"[{"prompt": "x", "not_before": "2100-01-01T00:00:00Z"}]"#);
    let call = sandbox.call_fake(["tasks.json"], "succeed");
    let mut first = call.env("ANTHROPIC_API_KEY_1", "sk-ant-0123456789-one").start();
    let started = first.event_named("run_started");
    let run = started["run"].as_str().expect("it has a name");
    sandbox.wait_for(&format!(".agent-runner/keys/{run}.json"));
    first.signal(Signal::KILL);
    first.wait();
    let left = || {
        let paths = sandbox.files().into_iter().map(|(path, _)| path.display().to_string());
        paths.filter(|path| path.contains(run)).collect::<Vec<_>>()
    };
    assert_eq!(left().len(), 2, "its lock and its keys: {:?}", left());
    sandbox.run(["cancel", "1"]).exits(0);
    sandbox.write_tasks(1);
    sandbox.run_fake(["tasks.txt"], "succeed").exits(0);
    assert_eq!(left(), [""; 0]);
}

#[test]
fn two_runs_at_once_share_the_work() {
    let sandbox = sandbox();
    sandbox.write_tasks(4);
    let first = sandbox.call_fake(["tasks.txt", "-j", "2"], "gate").start();
    sandbox.wait_for("1.1.begun");
    sandbox.wait_for("2.1.begun");
    let second = sandbox.call_fake(["tasks.txt", "-j", "2"], "gate").start();
    sandbox.wait_for("3.1.begun");
    sandbox.wait_for("4.1.begun");
    let status = sandbox.status();
    let runs: BTreeSet<_> = status["running"].as_array().expect("a list").iter().map(run).collect();
    assert_eq!(runs.len(), 2, "`status` sees the tasks of both: {status}");
    sandbox.write("open", "");
    let outputs = [first.wait().exits(0), second.wait().exits(0)];
    let attempts: u64 =
        outputs.iter().map(|output| output.summary()["attempts"].as_u64().expect("a number")).sum();
    assert_eq!(attempts, 4, "nothing is done twice");
    assert_eq!(sandbox.counts().get("succeeded"), Some(&4));
}

fn run(running: &Value) -> String {
    running["run"].to_string()
}

#[test]
fn status_is_live() {
    let sandbox = sandbox();
    sandbox.write_tasks(3);
    let mut run = sandbox.call_fake(["tasks.txt", "-j", "1"], "gate").start();
    sandbox.wait_for("1.1.begun");
    let status = sandbox.status();
    assert_eq!(status["counts"]["running"], 1, "{status}");
    assert_eq!(status["counts"]["pending"], 2, "{status}");
    let [running] = &status["running"].as_array().expect("a list")[..] else { panic!("{status}") };
    assert_eq!((&running["id"], &running["attempt"]), (&"1".into(), &1.into()));
    assert_eq!(running["pid"], run.pid());
    sandbox.run(["status"]).exits(0).prints("1 attempt 1 for ");
    sandbox.write("open", "");
    assert!(!run.has_ended() || sandbox.status()["counts"]["succeeded"] == 3);
    run.wait().exits(0);
    assert_eq!(sandbox.status()["running"], Value::Array(Vec::new()));
}

#[test]
fn a_changed_backlog_adds_what_is_new_and_updates_what_changed() {
    let sandbox = sandbox();
    sandbox.write("tasks.csv", "id,prompt\na,one\nb,two\n");
    sandbox.run(["import", "tasks.csv"]).exits(0).says("2 tasks added, 0 updated, 0 as before");
    sandbox.write("tasks.csv", "id,prompt\na,one\nb,other\nc,three\n");
    sandbox.run(["import", "tasks.csv"]).exits(0).says("1 task added, 1 updated, 1 as before");
    assert_eq!(sandbox.show("b")["prompt"], "other");
}
