//! Ctrl-C: once lets the agents finish, twice asks them to end, thrice ends them. SIGTERM likewise.

use agent_runner_tests::{Running, Sandbox, Signal, wait_until};

use crate::sandbox;

/// A run of two tasks, the first of which is at work.
fn at_work(sandbox: &Sandbox, verb: &str, begun: &str) -> Running {
    sandbox.write("tasks.txt", "one\ntwo\n");
    let run = sandbox.call_fake(["tasks.txt", "-j", "1", "--grace", "60s"], verb).start();
    sandbox.wait_for(begun);
    run
}

/// Sends a signal and waits until the run has said what it does about it.
fn interrupt(run: &mut Running, signal: Signal, then: &str) {
    run.signal(signal);
    run.event(|event| {
        event["event"] == "stopping"
            && event["next"].as_str().is_some_and(|next| next.contains(then))
    });
}

#[test]
fn the_first_lets_the_agents_finish_and_starts_no_other() {
    let sandbox = sandbox();
    let mut run = at_work(&sandbox, "gate", "1.1.begun");
    interrupt(&mut run, Signal::INT, "agents may finish");
    sandbox.write("open", "");
    let output = run.wait().exits(130);
    assert_eq!(output.summary()["reason"], "interrupted");
    assert_eq!(sandbox.outcomes("1"), ["succeeded"], "{output}");
    assert_eq!(sandbox.show("2")["attempts"], 0, "{output}");
    sandbox.run_fake([""; 0], "gate").exits(0);
}

#[test]
fn the_second_asks_them_to_end_and_costs_the_task_nothing() {
    let sandbox = sandbox();
    let mut run = at_work(&sandbox, "hang", "1.hangs");
    let agent = pid(&sandbox, "1.hangs");
    interrupt(&mut run, Signal::INT, "agents may finish");
    assert!(is_alive(&agent), "one Ctrl-C does not end an agent");
    interrupt(&mut run, Signal::INT, "ending the agents");
    let output = run.wait().exits(130);
    assert!(!is_alive(&agent), "{output}");
    assert_eq!(sandbox.outcomes("1"), ["stopped"], "{output}");
    let task = sandbox.show("1");
    assert_eq!((&task["status"], &task["failures"]), (&"pending".into(), &0.into()), "{task}");
}

#[test]
fn the_third_ends_agents_that_ignore_signals() {
    let sandbox = sandbox();
    let mut run = at_work(&sandbox, "ignore-sigterm", "1.hangs");
    let agent = pid(&sandbox, "1.hangs");
    interrupt(&mut run, Signal::INT, "agents may finish");
    interrupt(&mut run, Signal::INT, "ending the agents");
    interrupt(&mut run, Signal::INT, "killing the agents");
    run.wait().exits(130);
    assert!(!is_alive(&agent));
    assert_eq!(sandbox.show("1")["status"], "pending");
}

#[test]
fn sigterm_drains_too_and_has_its_own_exit_code() {
    let sandbox = sandbox();
    let mut run = at_work(&sandbox, "gate", "1.1.begun");
    interrupt(&mut run, Signal::TERM, "agents may finish");
    sandbox.write("open", "");
    run.wait().exits(143);
    assert_eq!(sandbox.outcomes("1"), ["succeeded"]);
}

#[test]
fn after_the_grace_the_stages_go_on_by_themselves() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let flags = ["tasks.txt", "--grace", "100ms"];
    let mut run = sandbox.call_fake(flags, "ignore-sigterm").start();
    sandbox.wait_for("1.hangs");
    let agent = pid(&sandbox, "1.hangs");
    run.signal(Signal::INT);
    run.wait().exits(130);
    assert!(!is_alive(&agent));
}

#[test]
fn no_process_of_an_agent_is_left_when_its_attempt_ends() {
    for verb in ["leak-a-child", "leak-a-daemon"] {
        let sandbox = sandbox();
        sandbox.write("tasks.txt", "one\n");
        sandbox.run_fake(["tasks.txt"], verb).exits(0);
        let leaked = pid(&sandbox, "1.leaked");
        wait_until(&format!("the end of the child of {verb}"), || !is_alive(&leaked));
    }
}

fn pid(sandbox: &Sandbox, file: &str) -> String {
    sandbox.wait_for(file)
}

/// A zombie is dead: it only waits for somebody to look at its exit code.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
