//! Agents that do not want to go, and every way of ending them: nothing of them is left, by a look
//! that asks nobody of ours.

use std::{
    fs, process,
    sync::atomic::{AtomicU32, Ordering},
};

use agent_runner_tests::{Running, Sandbox, Signal};

use crate::sandbox;

/// What an animal does, with its marker in `$1`; then it says that it is caged, and stays.
const STAY: &str = "echo > caged; while :; do sleep \"120.$1\"; done";

/// A way of ending.
#[derive(Debug, Clone, Copy)]
enum Way {
    Timeout,
    /// So many signals, each after the run has said what it does about the one before.
    Signals(Signal, usize),
    /// The runner is killed; the next run has to find what it left.
    Kill,
}

const WAYS: [Way; 6] = [
    Way::Timeout,
    Way::Signals(Signal::INT, 1),
    Way::Signals(Signal::INT, 2),
    Way::Signals(Signal::INT, 3),
    Way::Signals(Signal::TERM, 1),
    Way::Kill,
];

/// Ends an animal in every way.
fn check(animal: &str) {
    for way in WAYS {
        let sandbox = sandbox();
        let marker = marker();
        sandbox.write("tasks.txt", "one\n");
        let run = start(&sandbox, way, animal, &marker);
        end(&sandbox, run, way, &marker);
        assert_eq!(living(&marker), Vec::<String>::new(), "{way:?} left something");
    }
}

fn start(sandbox: &Sandbox, way: Way, animal: &str, marker: &str) -> Running {
    let timeout = if matches!(way, Way::Timeout) { "2s" } else { "2m" };
    let flags = ["run", "tasks.txt", "--json", "--attempts", "1", "--grace", "300ms"];
    let flags = flags.into_iter().chain(["--timeout", timeout, "--retry-delay", "1ms", "--"]);
    let script = format!("{animal}\n{STAY}");
    sandbox.call(flags.chain(["bash", "-c", &script, "zoo", marker])).start()
}

fn end(sandbox: &Sandbox, mut run: Running, way: Way, marker: &str) {
    match way {
        Way::Timeout => {
            run.wait().exits(100);
            assert_eq!(sandbox.outcomes("1"), ["timed_out"]);
        }
        Way::Signals(signal, count) => {
            sandbox.wait_for("caged");
            for then in
                ["agents may finish", "ending the agents", "killing the agents"].iter().take(count)
            {
                run.signal(signal);
                run.event(|event| event["next"].as_str().is_some_and(|next| next.contains(then)));
            }
            run.wait().exits(if signal == Signal::INT { 130 } else { 143 });
            assert_eq!(sandbox.outcomes("1"), ["stopped"]);
        }
        Way::Kill => {
            sandbox.wait_for("caged");
            run.signal(Signal::KILL);
            run.wait();
            assert_ne!(living(marker), Vec::<String>::new(), "nobody could end them");
            sandbox.run(["run", "--json", "--grace", "300ms", "--", "true"]).exits(0);
            assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"]);
        }
    }
    for attempt in sandbox.show("1")["attempt_log"].as_array().expect("a list") {
        let survivors = &attempt["details"]["process"]["survivors"];
        assert!(attempt["outcome"] == "lost" || survivors == 0, "{attempt}");
    }
}

/// Digits that no other process has among its arguments.
fn marker() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{:07}{:03}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Every process of the system that has the marker among its arguments, but for the runner, which
/// has the animal's command among its own.
fn living(marker: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("there is one").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(marker) && !line.contains("agent-runner")).collect()
}

#[test]
fn who_forks_twice() {
    check("(sleep \"120.$1\" >&- 2>&- &); (sleep \"120.$1\" >&- 2>&- &)");
}

#[test]
fn who_leaves_for_another_session() {
    check("mkfifo up; setsid sh -c 'echo > up; exec sleep \"120.$0\"' \"$1\" & read -r x < up");
}

#[test]
fn who_ignores_signals() {
    check("trap '' INT TERM HUP; sleep \"120.$1\" &");
}

#[test]
fn who_holds_the_pipe() {
    check("(sleep \"120.$1\" &); (yes \"$1\" &)");
}

#[test]
fn who_forks_for_ever() {
    check(
        "trap '' TERM; (while :; do sleep \"120.$1\" & setsid sleep \"120.$1\" & sleep 0.05; done) &",
    );
}

#[test]
fn who_has_two_hundred_children() {
    check("for i in $(seq 200); do sleep \"120.$1\" & done");
}

/// SIGHUP is what the kernel ends the stopped children of a dead parent with.
#[test]
fn who_is_stopped() {
    check(
        "trap '' HUP; sleep \"120.$1\" & kill -STOP $!; (echo > caged; kill -STOP $$) & sleep \"120.$1\"",
    );
}

/// Nothing of an attempt is left on it: no environment, no descriptor, no parent, no session. It
/// does not do so in its first moment, before its runner could do anything.
#[test]
fn who_wipes_off_all_that_it_can() {
    check(
        "sleep 0.2
        (for fd in /proc/self/fd/*; do fd=${fd##*/}; eval \"exec $fd>&-\"; done 2> /dev/null
        exec env -i setsid sleep \"120.$1\" &)
        until grep -aqs \"^sleep.120[.]$1\" /proc/[0-9]*/cmdline; do sleep 0.02; done",
    );
}
