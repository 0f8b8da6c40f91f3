//! What ends a run or an attempt before its time: `--limit`, `--tag`, failures, checks, timeouts.

use std::collections::BTreeMap;

use agent_runner_tests::Sandbox;
use serde_json::json;

use crate::sandbox;

/// Ten tasks whose prompts are verbs of the fake agent.
fn backlog(sandbox: &Sandbox, verbs: [&str; 10]) {
    sandbox.write("tasks.txt", verbs.join("\n"));
    sandbox.run(["import", "tasks.txt"]).exits(0);
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn limit_starts_so_many_tasks_and_leaves_the_others() {
    let sandbox = sandbox();
    backlog(&sandbox, ["succeed"; 10]);
    let output = sandbox.run_fake(["--limit", "3", "-j", "8"], "prompt").exits(5);
    assert_eq!(output.summary()["attempts"], 3, "{output}");
    assert_eq!(sandbox.counts(), counts([("succeeded", 3), ("pending", 7)]));
    sandbox.run_fake(["--limit", "7"], "prompt").exits(0);
    assert_eq!(sandbox.counts(), counts([("succeeded", 10)]));
}

#[test]
fn tag_takes_only_the_tasks_that_have_it() {
    let sandbox = sandbox();
    sandbox
        .write("tasks.csv", "id,prompt,tags\na,succeed,red\nb,succeed,blue\nc,succeed,red;big\n");
    let output = sandbox.run_fake(["tasks.csv", "--tag", "red"], "prompt");
    let mut done: Vec<_> = output.events("task_finished");
    done.sort_by_key(|event| event["task"].to_string());
    let done: Vec<_> = done.iter().map(|event| event["task"].as_str().expect("an id")).collect();
    assert_eq!(done, ["a", "c"], "{output}");
    assert_eq!(sandbox.counts(), counts([("succeeded", 2), ("pending", 1)]));
    assert_eq!(sandbox.run(["list", "--plain", "--tag", "red"]).stdout.lines().count(), 2);
}

#[test]
fn fail_fast_stops_at_the_first_task_that_failed_for_good() {
    let sandbox = sandbox();
    backlog(&sandbox, ["fail-always"; 10]);
    let output = sandbox.run_fake(["--fail-fast", "--attempts", "1", "-j", "1"], "prompt").exits(5);
    assert_eq!(output.summary()["failed"], 1, "{output}");
    assert_eq!(output.events("stopping").len(), 1, "{output}");
    assert_eq!(sandbox.counts(), counts([("failed", 1), ("pending", 9)]));
}

#[test]
fn max_failures_counts_tasks() {
    let sandbox = sandbox();
    backlog(&sandbox, ["fail-always"; 10]);
    let flags = ["--max-failures", "3", "--attempts", "1", "-j", "1"];
    sandbox.run_fake(flags, "prompt").exits(5);
    assert_eq!(sandbox.counts(), counts([("failed", 3), ("pending", 7)]));
}

#[test]
fn max_failures_counts_a_share_of_all_tasks() {
    let sandbox = sandbox();
    backlog(&sandbox, ["fail-always"; 10]);
    let flags = ["--max-failures", "20%", "--attempts", "1", "-j", "1"];
    sandbox.run_fake(flags, "prompt").exits(5);
    assert_eq!(sandbox.counts(), counts([("failed", 2), ("pending", 8)]));
}

#[test]
fn a_check_decides_and_what_it_said_reaches_the_next_attempt() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let check =
        "echo 'expected 3 tests, saw '$AGENT_RUNNER_ATTEMPT; test $AGENT_RUNNER_ATTEMPT = 2";
    sandbox.run_fake(["tasks.txt", "--verify", check], "record").exits(0);
    assert_eq!(sandbox.outcomes("1"), ["verify_failed", "succeeded"]);
    let [first, second] = ["1.1.json", "1.2.json"].map(|file| sandbox.json_lines(file).remove(0));
    assert_eq!(first["env"].get("AGENT_RUNNER_LAST_ERROR"), None, "nothing went wrong before");
    let error = second["env"]["AGENT_RUNNER_LAST_ERROR"].as_str().expect("the check's words");
    assert!(error.contains("expected 3 tests, saw 1"), "{error}");
    let log = sandbox.read(".agent-runner/logs/1/1.verify.log");
    assert_eq!(log, "expected 3 tests, saw 1\n");
}

#[test]
fn a_task_may_bring_its_own_limits_command_and_check() {
    let sandbox = sandbox();
    sandbox.write(
        "tasks.toml",
        r#"
        [[tasks]]
        id = "impatient"
        prompt = "hang"
        timeout = "300ms"
        max_attempts = 1

        [[tasks]]
        id = "silent"
        prompt = "hang"
        idle_timeout = "300ms"
        max_attempts = 1

        [[tasks]]
        id = "own"
        title = "has a command of its own"
        command = ["sh", "-c", "echo its own; touch own.made"]
        verify = ["test", "-e", "own.made"]

        [[tasks]]
        id = "line"
        prompt = "a line for the shell"
        command = "cat > line.made"
        "#,
    );
    sandbox.run_fake(["tasks.toml"], "prompt").exits(100);
    assert_eq!(sandbox.outcomes("impatient"), ["timed_out"]);
    assert_eq!(sandbox.outcomes("silent"), ["idle_timed_out"]);
    assert_eq!(sandbox.outcomes("own"), ["succeeded"]);
    assert_eq!(sandbox.run(["logs", "own"]).stdout, "its own\n");
    assert_eq!(sandbox.read("line.made"), "a line for the shell", "its prompt is on stdin");
}

#[test]
fn an_agent_that_needs_too_much_memory_is_ended() {
    let sandbox = sandbox();
    let hog = "(head -c 200M /dev/zero; sleep 300) | tail";
    let backlog = json!([
        { "id": "hog", "command": hog, "max_attempts": 1 },
        { "id": "large", "command": "head -c 200M /dev/zero | tail -c 1", "memory": "1G" },
    ]);
    sandbox.write("tasks.json", backlog.to_string());
    let output = sandbox.run(["run", "tasks.json", "--memory", "64M", "-j", "2"]).exits(100);
    assert_eq!(sandbox.outcomes("hog"), ["memory_exceeded"], "{output}");
    assert_eq!(sandbox.outcomes("large"), ["succeeded"], "it has a limit of its own");
    let attempt = &sandbox.show("hog")["attempt_log"][0];
    let process = &attempt["details"]["process"];
    assert!(process["peak_memory_bytes"].as_u64() >= Some(64 << 20), "{attempt}");
    assert_eq!(process["survivors"], 0, "{attempt}");
    let message = attempt["message"].as_str().expect("a reason");
    assert!(message.starts_with("used more memory than it may"), "{message}");
    let told = output.stderr.matches("memory is limited by looking").count();
    assert!(told <= 1, "it is told once, where the kernel does not limit: {output}");
}

/// Where groups can be made: whether they can is the machine's to say, and `doctor` says it too.
#[test]
fn an_attempt_has_a_control_group_if_it_is_asked_for() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let agent = ["--", "sh", "-c", "sleep 0.2; cat /proc/self/cgroup"];
    sandbox.run(["run", "tasks.txt"].into_iter().chain(agent)).exits(0);
    assert!(!sandbox.run(["logs", "1"]).stdout.contains("agent-runner."), "nobody asked");
    sandbox.write("agent-runner.toml", "cgroups = true\n");
    sandbox.run(["add", "two", "--id", "two"]).exits(0);
    sandbox.run(["run"].into_iter().chain(agent)).exits(0);
    let has_group = sandbox.run(["logs", "two"]).stdout.contains("agent-runner.");
    let doctor = sandbox.run(["doctor"]).stdout;
    let can = !doctor.contains("no control groups of version 2")
        && !doctor.contains("is not ours to write")
        && !doctor.contains("is not delegated");
    assert_eq!(has_group, can, "{doctor}");
}

#[test]
fn what_a_task_needs_comes_first_and_a_lock_is_never_shared() {
    let sandbox = sandbox();
    let line = "test ! -e busy && touch busy && sleep 0.02 && rm busy && echo $AGENT_RUNNER_TASK_ID >> order";
    let needs = |n: u32| match n {
        8 => vec![],
        _ if n.is_multiple_of(2) => vec![format!("t{}", n - 1)],
        _ => vec!["t8".to_owned()],
    };
    let task = |n| {
        json!({
            "id": format!("t{n}"), "command": line, "locks": ["one"], "depends_on": needs(n),
            "max_attempts": 1,
        })
    };
    let backlog: Vec<_> = (1..=8).map(task).collect();
    sandbox.write("tasks.json", json!(backlog).to_string());
    sandbox.run(["run", "tasks.json", "-j", "8"]).exits(0);
    let order = sandbox.read("order");
    let at = |id: &str| order.lines().position(|line| line == id).expect("it ran");
    assert_eq!(at("t8"), 0, "all wait for it: {order}");
    for n in [2, 4, 6] {
        assert!(at(&format!("t{n}")) > at(&format!("t{}", n - 1)), "t{n} in {order}");
    }
}
