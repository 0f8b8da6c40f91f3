//! What an agent is given: its arguments, its stdin, its environment.

use std::collections::BTreeSet;

use agent_runner_tests::Sandbox;
use serde_json::{Value, json};

use crate::sandbox;

/// Prompts that would do harm if anybody took them for more than text.
const HOSTILE: [&str; 8] = [
    "'; touch pwned; '",
    "$(touch pwned) `touch pwned`",
    "\" && touch pwned && \"",
    "--help -rf / -- {{id}} {% raw %}",
    "line one\nline two\n\ttabbed; touch pwned",
    "\u{202e}ünï©ødé 🎉 \u{1b}[31m",
    "a  b   c * ? [x] ~ !! $HOME %PATH%",
    "back\\slash \\n \\' \\\"",
];

fn import(sandbox: &Sandbox, prompts: &[&str]) {
    let tasks: Vec<_> = prompts.iter().map(|prompt| json!({ "prompt": prompt })).collect();
    sandbox.write("tasks.json", Value::from(tasks).to_string());
    sandbox.run(["import", "tasks.json"]).exits(0);
}

/// What `fake-agent record` saw at a task.
fn record(sandbox: &Sandbox, id: usize) -> Value {
    serde_json::from_str(&sandbox.read(format!("{id}.1.json"))).expect("a record is JSON")
}

#[test]
fn each_argument_is_filled_in_by_itself() {
    let sandbox = sandbox();
    import(&sandbox, &HOSTILE);
    sandbox.run_fake([""; 0], "record -p {{prompt}} {{id}}: --last").exits(0);
    for (index, prompt) in HOSTILE.iter().enumerate() {
        let seen = record(&sandbox, index + 1);
        assert_eq!(seen["args"], json!(["-p", prompt, format!("{}:", index + 1), "--last"]));
        assert_eq!(seen["stdin"], "", "nothing is on stdin when the prompt is an argument");
    }
    assert!(!sandbox.has("pwned"));
}

#[test]
fn without_a_placeholder_the_prompt_is_on_stdin() {
    let sandbox = sandbox();
    import(&sandbox, &HOSTILE);
    sandbox.run_fake([""; 0], "record plain words").exits(0);
    for (index, prompt) in HOSTILE.iter().enumerate() {
        let seen = record(&sandbox, index + 1);
        assert_eq!((&seen["args"], &seen["stdin"]), (&json!(["plain", "words"]), &json!(prompt)));
    }
}

#[test]
fn a_shell_sees_each_placeholder_as_one_word() {
    let sandbox = sandbox();
    import(&sandbox, &HOSTILE);
    let line = "fake-agent record {{prompt}} | cat; fake-agent succeed";
    sandbox.run(["run", "--shell", "--", line]).exits(0);
    for (index, prompt) in HOSTILE.iter().enumerate() {
        assert_eq!(record(&sandbox, index + 1)["args"], json!([prompt]));
    }
    assert!(!sandbox.has("pwned"));
}

#[test]
fn every_field_can_be_named() {
    let sandbox = sandbox();
    sandbox.write(
        "tasks.json",
        r#"[{"id": "x", "title": "T", "prompt": "P", "tags": ["a", "b"], "priority": -2,
             "payload": {"file": "src/a.rs"}}]"#,
    );
    let words = "record {{id}} {{title}} {{task.prompt}} {{attempt}} {{tags|join(',')}} {{priority}} {{payload.file}} [{{last_error}}]";
    sandbox.run_fake(["tasks.json"], words).exits(0);
    let seen: Value = serde_json::from_str(&sandbox.read("x.1.json")).expect("JSON");
    assert_eq!(seen["args"], json!(["x", "T", "P", "1", "a,b", "-2", "src/a.rs", "[]"]));
}

#[test]
fn the_environment_is_as_documented() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let output = sandbox
        .call_fake(["tasks.txt"], "record")
        .env("KEPT", "as it is")
        .env("AGENT_RUNNER_LAST_ERROR", "of the run above")
        .env("ANTHROPIC_API_KEY_1", "sk-ant-first-0123456789")
        .env("ANTHROPIC_API_KEY_2", "sk-ant-second-0123456789")
        .env("ANTHROPIC_BASE_URL_1", "http://127.0.0.1:9/one")
        .env("ANTHROPIC_MODEL_1", "model-one")
        .env("CLAUDECODE", "1")
        .env("CODEX_SANDBOX", "1")
        .env("GEMINI_CLI", "1")
        .run()
        .exits(0);
    let seen = record(&sandbox, 1);
    let of = |name: &str| seen["env"][name].as_str();
    assert_eq!(of("AGENT_RUNNER_TASK_ID"), Some("1"));
    assert_eq!(of("AGENT_RUNNER_ATTEMPT"), Some("1"));
    let root = sandbox.root().canonicalize().expect("the folder is there");
    let store = format!("sqlite:{}", root.join(".agent-runner/store.db").display());
    assert_eq!(of("AGENT_RUNNER_STORE"), Some(&*store));
    assert_eq!(seen["task"]["prompt"], "one", "AGENT_RUNNER_TASK_FILE is the task as JSON");
    assert_eq!(seen["cwd"], json!(root), "an agent works in the project");
    assert_eq!(of("KEPT"), Some("as it is"));
    assert_eq!(of("ANTHROPIC_API_KEY"), Some("sk-ant-first-0123456789"), "{output}");
    assert_eq!(of("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:9/one"));
    assert_eq!(of("ANTHROPIC_MODEL"), Some("model-one"));
    for stripped in [
        "AGENT_RUNNER_LAST_ERROR",
        "ANTHROPIC_API_KEY_1",
        "ANTHROPIC_API_KEY_2",
        "ANTHROPIC_BASE_URL_1",
        "ANTHROPIC_MODEL_1",
        "CLAUDECODE",
        "CODEX_SANDBOX",
        "GEMINI_CLI",
    ] {
        assert_eq!(of(stripped), None, "an agent does not see {stripped}");
    }
}

/// The page and the agent agree on the names.
#[test]
fn the_page_on_the_environment_is_complete() {
    let sandbox = sandbox();
    let page = sandbox.run(["help", "environment"]).exits(0).stdout;
    let given = page.split("What agent-runner reads:").next().expect("a first part");
    let words = given.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let documented: BTreeSet<_> =
        words.filter(|word| word.starts_with("AGENT_RUNNER_")).map(str::to_owned).collect();
    sandbox.repository();
    sandbox.write("tasks.txt", "one\n");
    let check = "test $AGENT_RUNNER_ATTEMPT = 2";
    let flags = ["tasks.txt", "--isolate", "worktree", "--verify", check];
    sandbox.run_fake(flags, "record").exits(0);
    let second = sandbox.git("show agent-runner/1:1.2.json");
    let second: Value = serde_json::from_str(&second).expect("JSON");
    let environment = second["env"].as_object().expect("an object");
    let seen: BTreeSet<_> = environment
        .keys()
        .filter(|name| name.starts_with("AGENT_RUNNER_") && *name != "AGENT_RUNNER_MARK")
        .cloned()
        .collect();
    assert_eq!(seen, documented);
}
