//! `classify`: what the recorded output of an agent came to.

use std::path::PathBuf;

use agent_runner_tests::{Output, Sandbox};
use serde_json::{Value, json};

use crate::{sandbox, schemas::Schema};

/// A recorded run of a real CLI.
fn recorded(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/agent-runner-signals/tests/fixtures")
        .join(name)
}

fn classify(sandbox: &Sandbox, args: &[&str]) -> Value {
    let printed = sandbox.call(["classify"]).args(args.iter().copied()).run().exits(0).json();
    Schema::new("classify").holds(&printed);
    printed
}

#[test]
fn a_recorded_run_is_told_with_all_that_is_known() {
    let sandbox = sandbox();
    let quota = recorded("claude-oauth-sub5h/stdout");
    let quota = quota.to_str().expect("paths are UTF-8");
    let told = classify(&sandbox, &["--profile", "claude", "--exit-code", "1", quota]);
    assert_eq!(
        (&told["outcome"], &told["reset_at"], &told["rule"]),
        (&json!("quota"), &json!("2026-11-23T17:13:09Z"), &json!("claude.window")),
        "{told:#}"
    );

    let success = recorded("claude-aok/stdout");
    let told = classify(&sandbox, &["--profile", "claude", success.to_str().expect("UTF-8")]);
    assert_eq!((&told["outcome"], &told["message"]), (&json!("succeeded"), &Value::Null));
    let cost = told["cost_usd"].as_f64().expect("Claude tells the cost");
    assert!((cost - 0.007_65).abs() < 1e-9, "{cost}");
    assert_eq!(
        told["usage"],
        json!({"input_tokens": 1000, "output_tokens": 50, "cache_read_tokens": 300,
            "cache_write_tokens": 200})
    );
}

#[test]
fn the_end_of_the_process_and_stderr_count_too() {
    let sandbox = sandbox();
    let out = sandbox.write("out", "");
    let stderr = recorded("gemini-json-g400key/stderr");
    let (out, stderr) = (out.to_str().expect("UTF-8"), stderr.to_str().expect("UTF-8"));
    let told = |end: &[&str]| {
        let args = [&["--profile", "gemini", "--stderr", stderr, out], end].concat();
        classify(&sandbox, &args)["outcome"].clone()
    };
    assert_eq!(told(&["--exit-code", "144"]), "auth");
    let silent = |end: &[&str]| {
        let args = [&["--profile", "claude", out], end].concat();
        classify(&sandbox, &args)["outcome"].clone()
    };
    assert_eq!(silent(&[]), "no_terminal_event");
    assert_eq!(silent(&["--signal", "9"]), "crashed");
    assert_eq!(silent(&["--timed-out"]), "no_terminal_event");
    assert_eq!(classify(&sandbox, &["--profile", "sh", out])["outcome"], "succeeded");
}

/// A time of day is one of the machine that the agent ran on.
#[test]
fn a_time_of_day_is_read_where_it_was_written() {
    let sandbox = sandbox();
    let usage = recorded("codex-custom-o429usage/stdout");
    let flags = ["--profile", "codex", "--exit-code", "1", "--at", "2026-11-23T16:00:00Z"];
    let told = |zone: &str| {
        let call = sandbox.call(["classify"]).args(flags).args([usage.to_str().expect("UTF-8")]);
        call.env("TZ", zone).run().exits(0).json()["reset_at"].clone()
    };
    assert_eq!(told("UTC"), "2026-11-23T18:20:00Z");
    assert_eq!(told("Asia/Tokyo"), "2026-11-24T09:20:00Z");
}

#[test]
fn stdin_is_read_and_is_read_in_pieces() {
    let sandbox = sandbox();
    let line = "x".repeat(1000);
    let mut output = format!("{{\"type\":\"user\",\"text\":\"{}\"}}\n", line.repeat(5000));
    output += "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}\n";
    sandbox.write("out", output);
    let Output { code, stdout, .. } =
        sandbox.shell("cat out | agent-runner classify --profile claude -");
    assert_eq!(code, Some(0));
    let told: Value = serde_json::from_str(&stdout).expect("one object");
    assert_eq!(told["outcome"], "succeeded");
}

#[test]
fn profiles_are_those_of_the_project_and_mistakes_are_named() {
    let sandbox = sandbox();
    sandbox.run(["classify", "--profile", "claude", "nowhere"]).exits(3).says("nowhere");
    sandbox.run(["classify", "--profile", "gpt", "nowhere"]).exits(2).says("opencode");
    sandbox.write("agent-runner.toml", "[profiles.mine]\noutput = \"codex\"\n");
    let out = sandbox.write("out", "{\"type\":\"turn.completed\"}\n");
    let out = out.to_str().expect("UTF-8");
    assert_eq!(classify(&sandbox, &["--profile", "mine", out])["outcome"], "succeeded");
    sandbox.run(["classify", "nowhere"]).exits(2).says("--profile");
}
