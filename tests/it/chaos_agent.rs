//! The agent of the chaos tests: it leaves a trace of each attempt that it finished, and notices
//! when another agent, or anything that one started, still works on its task.
#![cfg(target_os = "linux")]

use std::{fmt, fs, path::Path};

use agent_runner_tests::Sandbox;

/// The prompt is `SECONDS LEAVES`: how long it takes, and what it starts and leaves behind. `once`
/// is for ever, but for the first attempt only.
///
/// Whatever it starts inherits the lock, so the lock is free only when all of it is gone.
const AGENT: &str = r#"
read -r seconds leaves <<<"$1"
id=$AGENT_RUNNER_TASK_ID attempt=$AGENT_RUNNER_ATTEMPT
mkdir -p alive finished
exec 9>"alive/$id"
flock --nonblock 9 || echo "$id $attempt" >>OVERLAP
case $leaves in
    child) sleep 300 & ;;
    daemon) setsid sleep 300 & ;;
esac
echo $$ >"alive/$id.$attempt"
if [[ $seconds == once ]]; then ((attempt > 1)) && seconds=0 || seconds=300; fi
if [[ $seconds != 0 ]]; then sleep "$seconds"; fi
echo "$attempt" >>"finished/$id"
sync "finished/$id"
"#;

/// The words after the flags of `run` that make its prompts orders for this agent.
pub(crate) fn work_as_the_prompt_says(sandbox: &Sandbox) -> [&'static str; 4] {
    if !sandbox.has("agent.sh") {
        sandbox.write("agent.sh", AGENT);
    }
    ["--", "bash", "agent.sh", "{{prompt}}"]
}

/// The attempts at a task that came to their end, as the agents themselves noted it.
pub(crate) fn finished_attempts(sandbox: &Sandbox, id: &str) -> Vec<u32> {
    let number = |line: &str| line.parse().expect("the number of an attempt");
    sandbox.read(format!("finished/{id}")).lines().map(number).collect()
}

/// Checks that never two agents worked on one task at the same time.
#[track_caller]
pub(crate) fn check_no_overlap(sandbox: &Sandbox) {
    assert!(!sandbox.has("OVERLAP"), "two agents at once: {}", sandbox.read("OVERLAP"));
}

/// Checks that nothing runs which was started in this sandbox.
#[track_caller]
pub(crate) fn no_process_is_left(sandbox: &Sandbox) {
    let left = processes_of(sandbox);
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The command lines of all living processes that have the sandbox's home for their home.
pub(crate) fn processes_of(sandbox: &Sandbox) -> Vec<String> {
    let home = format!("HOME={}", sandbox.home().display());
    let is_of_sandbox = |process: &Path| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == home.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("there is a /proc");
    let processes = processes.filter_map(|entry| Some(entry.ok()?.path()));
    let command_line = |process: &Path| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        format!("{} {}", process.display(), String::from_utf8_lossy(&words).replace('\0', " "))
    };
    processes
        .filter(|process| is_of_sandbox(process))
        .map(|process| command_line(&process))
        .collect()
}

/// Says something to whoever looks at a test's output: a seed, a measured time.
#[expect(clippy::print_stderr, reason = "seeds and times are for people")]
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    eprintln!("{line}");
}
