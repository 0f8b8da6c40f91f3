//! Agents that print more than anybody wants: the runner stays small, and so do its logs.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

use agent_runner_tests::{Running, Sandbox};

use crate::sandbox;

const MIB: u64 = 1 << 20;

/// A project in which `claude` prints this, and then its last word.
fn with_flood(flood: &str) -> Sandbox {
    let sandbox = sandbox();
    let done = r#"{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"5e55-1"}"#;
    let script = format!("#!/bin/sh\necho first words\n{flood}\necho\necho '{done}'\n");
    let program = sandbox.bin().join("claude");
    fs::write(&program, script).expect("the folder is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    sandbox.write("tasks.txt", "print\n");
    sandbox
}

/// Works through it as a program whose output is read; returns how much memory that took at most.
fn peak(sandbox: &Sandbox) -> u64 {
    let flags = ["run", "tasks.txt", "--json", "--profile", "claude", "--log-limit", "4M"];
    let call = sandbox.call(flags).env("ANTHROPIC_API_KEY", "sk-ant-0123456789-one");
    let mut run = call.limit(Duration::from_secs(300)).start();
    let mut peak = 0;
    while !run.has_ended() {
        peak = peak.max(peak_of(&run).unwrap_or(0));
        thread::sleep(Duration::from_millis(5));
    }
    run.wait().exits(0);
    peak
}

/// The peak only grows, so the last look is as good as one at the end.
fn peak_of(run: &Running) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

fn check(flood: &str, at_least: u64) {
    let sandbox = with_flood(flood);
    let peak = peak(&sandbox);
    assert!((MIB..64 * MIB).contains(&peak), "it took {peak} bytes");
    assert_eq!(sandbox.outcomes("1"), ["succeeded"]);
    let log = fs::read(sandbox.path(".agent-runner/logs/1/1.log")).expect("there is a log");
    assert!(log.len() as u64 <= 4 * MIB + 4096, "the log has {} bytes", log.len());
    let end = String::from_utf8_lossy(&log[log.len() - 200..]);
    assert!(log.windows(12).any(|words| words == b"first words\n"), "the beginning is kept");
    assert!(end.contains(r#""result":"done""#), "the end is kept: {end}");
    let process = sandbox.show("1")["attempt_log"][0]["details"]["process"].clone();
    assert!(process["output_bytes"].as_u64() >= Some(at_least), "{process}");
    assert!(process["left_out_bytes"].as_u64() >= Some(at_least - 4 * MIB), "{process}");
}

#[test]
fn a_line_of_a_gibibyte() {
    check("head -c 1G /dev/zero | tr '\\0' x", 1024 * MIB);
}

#[test]
fn a_line_of_a_gibibyte_that_looks_like_an_event() {
    check(
        "printf '{\"type\":\"assistant\",\"message\":\"'; head -c 1G /dev/zero | tr '\\0' x",
        1024 * MIB,
    );
}

#[test]
fn garbage_on_both_streams() {
    check("head -c 64M /dev/urandom >&2; head -c 64M /dev/urandom", 128 * MIB);
}
