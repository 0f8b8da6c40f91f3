//! Agents whose words are understood: outcomes, limits, sessions, what they cost.

use std::{fs, os::unix::fs::PermissionsExt};

use agent_runner_tests::{Call, Sandbox};
use serde_json::Value;

use crate::sandbox;

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"5e55-1","model":"claude-sonnet-5","claude_code_version":"2.1.197"}"#;
const DONE: &str = r#"{"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","num_turns":3,"result":"done","session_id":"5e55-1","total_cost_usd":0.25,"usage":{"input_tokens":100,"output_tokens":20}}"#;
const LIMIT: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"num_turns":1,"result":"You've hit your session limit","session_id":"5e55-1"}"#;

/// A project in which `claude` is a script: it notes its arguments and its stdin, and then does this.
fn with_claude(script: &str) -> Sandbox {
    let sandbox = sandbox();
    let head = "#!/bin/bash\nn=$AGENT_RUNNER_ATTEMPT\necho \"$@\" > args.$n\ncat > stdin.$n\n";
    let program = sandbox.bin().join("claude");
    fs::write(&program, format!("{head}{script}\n")).expect("the folder is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    sandbox.write("tasks.txt", "fix it\n");
    sandbox
}

fn run(sandbox: &Sandbox, flags: &[&str]) -> Call {
    let always = ["run", "tasks.txt", "--json", "--retry-delay", "1ms", "--profile", "claude"];
    sandbox.call(always.iter().chain(flags).copied())
}

fn last_attempt(sandbox: &Sandbox) -> Value {
    sandbox.show("1")["attempt_log"].as_array().and_then(|all| all.last()).expect("one").clone()
}

#[test]
fn what_an_agent_says_of_its_work_is_kept() {
    let sandbox = with_claude(&format!("echo '{INIT}'; echo '{DONE}'"));
    run(&sandbox, &[]).run().exits(0);
    let details = &last_attempt(&sandbox)["details"];
    assert_eq!(details["session"], "5e55-1", "{details}");
    assert_eq!(details["cost_usd"], 0.25, "{details}");
    assert_eq!(details["usage"]["output_tokens"], 20, "{details}");
    assert!(sandbox.read("args.1").starts_with("-p --output-format stream-json"));
    assert_eq!(sandbox.read("stdin.1"), "fix it", "the prompt is no option");
}

#[test]
fn an_agent_that_does_not_say_that_it_is_done_is_not() {
    let sandbox = with_claude(&format!("echo '{INIT}'"));
    run(&sandbox, &["--limit", "1"]).run().exits(5);
    assert_eq!(sandbox.outcomes("1"), ["no_terminal_event"]);
}

#[test]
fn an_agent_that_only_talks_of_limits_meets_none() {
    let text = "429 rate_limit_error: You've hit your session limit, resets 5pm";
    let said = format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
    );
    let sandbox =
        with_claude(&format!("cat <<'END'\n{INIT}\n{said}\n{DONE}\nEND\necho \"{text}\" >&2"));
    run(&sandbox, &[]).run().exits(0);
    assert_eq!(sandbox.outcomes("1"), ["succeeded"]);
}

/// The key rests, another one goes on with the session.
#[test]
fn a_limit_costs_no_attempt_and_the_next_key_goes_on() {
    let sandbox = with_claude(&format!(
        "echo '{INIT}'\ncase $ANTHROPIC_API_KEY in\n*one) cat <<'END'\n{LIMIT}\nEND\nexit 1;;\n*) echo '{DONE}';;\nesac"
    ));
    let output = run(&sandbox, &["--attempts", "1", "--gateway", "off"])
        .env("ANTHROPIC_API_KEY_1", "sk-ant-0123456789-one")
        .env("ANTHROPIC_API_KEY_2", "sk-ant-0123456789-two")
        .run()
        .exits(0);
    let [first, last] = &sandbox.outcomes("1")[..] else { panic!("{output}") };
    assert!(["quota", "throttled"].contains(&first.as_str()), "{first}");
    assert_eq!(last, "succeeded");
    assert_eq!(output.events("key_rested").len(), 1, "{output}");
    assert!(sandbox.read("args.2").starts_with("--resume 5e55-1 -p"), "{}", sandbox.read("args.2"));
    assert!(sandbox.read("stdin.2").starts_with("You were interrupted."));
}

/// The CLI would go on asking for minutes.
#[test]
fn a_dead_key_is_not_asked_again() {
    let retry = r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":600,"error_status":401,"error":"authentication_failed"}"#;
    let sandbox = with_claude(&format!(
        "echo '{INIT}'\nif [[ $ANTHROPIC_API_KEY == *one ]]; then echo '{retry}'; sleep 300; fi\necho '{DONE}'"
    ));
    run(&sandbox, &["--grace", "200ms", "--gateway", "off"])
        .env("ANTHROPIC_API_KEY_1", "sk-ant-0123456789-one")
        .env("ANTHROPIC_API_KEY_2", "sk-ant-0123456789-two")
        .run()
        .exits(0);
    assert_eq!(sandbox.outcomes("1"), ["auth", "succeeded"]);
}

/// It is ended, and counts as it said.
#[test]
fn an_agent_that_hangs_after_its_last_word_is_taken_at_its_word() {
    let failed = r#"{"type":"result","subtype":"error_max_turns","is_error":true,"num_turns":3,"session_id":"5e55-1"}"#;
    for (last_word, outcome, code) in [(DONE, "succeeded", 0), (failed, "max_turns", 100)] {
        let sandbox = with_claude(&format!("echo '{INIT}'; echo '{last_word}'; sleep 300"));
        sandbox.write(
            "agent-runner.toml",
            "[profiles.mine]\ncommand = [\"claude\"]\noutput = \"claude\"\nexit_timeout = \"300ms\"\n",
        );
        let flags = ["run", "tasks.txt", "--profile", "mine", "--attempts", "1"];
        sandbox.run(flags).exits(code);
        assert_eq!(sandbox.outcomes("1"), [outcome]);
    }
}

#[test]
fn a_retry_is_told_what_went_wrong() {
    for (how, first_words, prompt) in [
        ("warm", "--resume 5e55-1 -p", "This is not done yet."),
        ("fork", "--resume 5e55-1 --fork-session -p", "This is not done yet."),
        ("cold", "-p --output-format", "fix it"),
    ] {
        let sandbox = with_claude(&format!("echo '{INIT}'; echo '{DONE}'"));
        let verify = "test $AGENT_RUNNER_ATTEMPT = 2 || { echo the tests are red; exit 1; }";
        run(&sandbox, &["--verify", verify, "--retries", how]).run().exits(0);
        assert_eq!(sandbox.outcomes("1"), ["verify_failed", "succeeded"]);
        assert!(sandbox.read("args.2").starts_with(first_words), "{}", sandbox.read("args.2"));
        let told = sandbox.read("stdin.2");
        assert!(told.starts_with(prompt) && told.contains("the tests are red"), "{told}");
    }
}

#[test]
fn a_session_that_cannot_be_resumed_is_not_tried_twice() {
    let lost = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["No conversation found with session ID: 5e55-1"]}"#;
    let sandbox = with_claude(&format!(
        "if [[ $1 == --resume ]]; then echo '{lost}'; exit 1; fi\necho '{INIT}'; test $n = 1 && exit 1; echo '{DONE}'"
    ));
    run(&sandbox, &[]).run().exits(0);
    assert!(sandbox.read("args.2").starts_with("--resume"));
    assert!(sandbox.read("args.3").starts_with("-p"), "{}", sandbox.read("args.3"));
    assert_eq!(sandbox.outcomes("1").last().map(String::as_str), Some("succeeded"));
}

#[test]
fn a_command_is_recognised_and_a_project_can_have_profiles() {
    let sandbox = with_claude(&format!("echo \"$MINE\" > mine; echo '{INIT}'"));
    let own =
        ["run", "tasks.txt", "--limit", "1", "--", "claude", "-p", "--output-format=stream-json"];
    sandbox.run(own).exits(5);
    assert_eq!(sandbox.outcomes("1"), ["no_terminal_event"], "its output is read");

    sandbox.write(
        "agent-runner.toml",
        "profile = \"mine\"\n[profiles.mine]\ncommand = [\"claude\", \"go\"]\nenv = { MINE = \"yes\" }\n",
    );
    sandbox.run(["run"]).exits(0);
    assert_eq!(sandbox.read("mine"), "yes\n");
    sandbox.run(["run", "--profile", "cluade"]).exits(2).says("did you mean `claude`?");
}

#[test]
fn a_profile_that_is_asked_for_wins_against_the_configured_command() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "echo from the prompt > made\n");
    sandbox.write(
        "agent-runner.toml",
        "command = [\"false\"]\nattempts = 1\n[profiles.bare]\nenv = { A = \"b\" }\n",
    );
    sandbox.run(["run", "tasks.txt", "--profile", "sh"]).exits(0);
    assert_eq!(sandbox.read("made"), "from the prompt\n");
    // One without a command of its own says how the configured one is treated.
    sandbox.write("tasks.txt", "another\n");
    sandbox.run(["run", "tasks.txt", "--profile", "bare"]).exits(100);
    sandbox.run(["retry", "--failed"]).exits(0);
    sandbox.run(["run", "--profile", "sh", "--", "true"]).exits(0);
}
