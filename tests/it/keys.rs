//! Credentials: lent, rotated, rested, and never written anywhere.

use agent_runner_tests::{Call, Output, Sandbox};

use crate::sandbox;

const GOOD: &str = "sk-ant-api03-good-0123456789abcdef";
const THROTTLED: &str = "sk-ant-api03-0123456789-throttled";
const REVOKED: &str = "sk-ant-api03-0123456789-revoked";
const SPENT: &str = "sk-ant-api03-0123456789-spent";
const OWING: &str = "sk-ant-api03-0123456789-owing";

fn call(sandbox: &Sandbox, flags: &[&str], keys: &[&str]) -> Call {
    sandbox.write_tasks(6);
    let flags = ["tasks.txt"].iter().chain(flags).copied();
    let call = sandbox.call_fake(flags, "by-key");
    keys.iter()
        .zip(1..)
        .fold(call, |call, (key, number)| call.env(&format!("ANTHROPIC_API_KEY_{number}"), key))
}

/// No secret is in what was printed, nor in any file that the run has written.
fn assert_kept(sandbox: &Sandbox, output: &Output, keys: &[&str]) {
    for key in keys {
        assert!(!output.stdout.contains(key), "a key on stdout: {output}");
        assert!(!output.stderr.contains(key), "a key on stderr: {output}");
        for (path, bytes) in sandbox.files() {
            let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!found, "a key in {}", path.display());
        }
    }
}

fn rested(output: &Output) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let rested = output.events("key_rested");
    rested.iter().map(|event| (text(&event["key"]), text(&event["state"]))).collect()
}

#[test]
fn a_key_at_fault_is_left_for_the_next_and_no_task_pays() {
    for (bad, outcome, state) in [
        (THROTTLED, "throttled", "resting"),
        (REVOKED, "auth", "out"),
        (SPENT, "quota", "spent"),
        (OWING, "billing", "spent"),
    ] {
        let sandbox = sandbox();
        let keys = [bad, GOOD];
        let output = call(&sandbox, &["-j", "1"], &keys).run().exits(0);
        assert_eq!(sandbox.outcomes("1"), [outcome, "succeeded"], "{output}");
        assert_eq!(sandbox.show("1")["failures"], 0, "{output}");
        let [(label, now)] = &rested(&output)[..] else { panic!("one key rests: {output}") };
        assert_eq!(now, state, "{output}");
        let first = &sandbox.show("1")["attempt_log"][0];
        assert_eq!(first["credential"].as_str(), Some(&**label), "the store names its label");
        assert_eq!(
            output.summary()["attempts"],
            7,
            "only the first attempt met the bad key: {output}"
        );
        assert_kept(&sandbox, &output, &keys);
    }
}

#[test]
fn what_an_agent_prints_is_masked() {
    let sandbox = sandbox();
    let output = call(&sandbox, &["-j", "2"], &[GOOD]).run().exits(0);
    let log = sandbox.run(["logs", "1"]).exits(0).stdout;
    assert!(log.starts_with("my key is ") && !log.contains(GOOD), "{log}");
    assert_kept(&sandbox, &output, &[GOOD]);
}

#[test]
fn without_any_key_left_the_run_ends_with_6_and_loses_nothing() {
    let sandbox = sandbox();
    let keys = [REVOKED, THROTTLED];
    let output = call(&sandbox, &["-j", "1", "--no-wait-keys"], &keys).run().exits(6);
    let exhausted = output.events("keys_exhausted");
    assert_eq!(exhausted.len(), 1, "{output}");
    let ready_in = exhausted[0]["ready_in_s"].as_f64().expect("the throttled key comes back");
    assert!((3000.0..=3600.0).contains(&ready_in), "{output}");
    let counts = sandbox.counts();
    assert_eq!((counts.get("pending"), counts.get("failed")), (Some(&6), None));
    assert_kept(&sandbox, &output, &keys);
    // With a good key the next run does it all.
    call(&sandbox, &[], &[GOOD]).run().exits(0);
    assert_eq!(sandbox.counts().get("succeeded"), Some(&6));
}

/// Tasks that come due later would find no key either; one that needs none is worth waiting for.
#[test]
fn who_waits_for_no_key_waits_for_no_task_that_needs_one() {
    let sandbox = sandbox();
    sandbox.write(
        "agent-runner.toml",
        "[profiles.needy]\nproviders = [\"anthropic\"]\n[profiles.other]\nprogram = \"other\"\nproviders = [\"openai\"]\n",
    );
    sandbox.script("other", "touch made");
    let exits_6 = |backlog: &str| {
        let flags = [backlog, "-j", "1", "--no-wait-keys", "--profile", "needy"];
        sandbox.call_fake(flags, "by-key").env("ANTHROPIC_API_KEY_1", THROTTLED).run().exits(6);
    };
    let soon = sandbox.shell("date -u -d '2 seconds' +%FT%TZ").exits(0).stdout;
    let soon = soon.trim_end();
    sandbox.write(
        "soon.json",
        format!(
            r#"[{{"prompt": "x"}}, {{"prompt": "y", "not_before": "{soon}", "command": ["other"]}}]"#
        ),
    );
    exits_6("soon.json");
    assert!(sandbox.has("made"), "that task needs no key that is missing");
    sandbox.write("late.json", r#"[{"prompt": "z", "not_before": "2100-01-01T00:00:00Z"}]"#);
    exits_6("late.json");
}

#[test]
fn list_shows_labels_and_no_secret() {
    let sandbox = sandbox();
    let call = |args: &[&str]| {
        sandbox
            .call(args.iter().copied())
            .env("ANTHROPIC_API_KEY_1", GOOD)
            .env("ANTHROPIC_API_KEY_2", REVOKED)
            .env("ANTHROPIC_BASE_URL_2", "http://user:hunter2@127.0.0.1:1/v1?token=hunter2")
            .env("OPENAI_API_KEY", "sk-proj-0123456789abcdef")
            .run()
            .exits(0)
    };
    let keys = call(&["keys", "list", "--json"]).json_lines();
    let providers: Vec<_> =
        keys.iter().map(|key| key["provider"].as_str().expect("text")).collect();
    assert_eq!(providers, ["anthropic", "anthropic", "openai"]);
    for output in [call(&["keys", "list"]), call(&["keys", "list", "--json"]), call(&["doctor"])] {
        for secret in [GOOD, REVOKED, "sk-proj-0123456789abcdef", "hunter2"] {
            assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "{output}");
        }
    }
    sandbox.run(["keys", "list"]).exits(0).says("no credentials");
}

#[test]
fn a_file_of_keys_is_used_and_its_mistakes_are_named() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let sandbox = sandbox();
    let text = format!("[[key]]\nprovider = \"anthropic\"\nlabel = \"mine\"\nkey = \"{GOOD}\"\n");
    let path = sandbox.home().join("keys.toml");
    fs::write(&path, &text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    sandbox.write("agent-runner.toml", format!("keys = {:?}\n", path.display().to_string()));
    sandbox.write("tasks.txt", "one\n");
    let output = sandbox.run_fake(["tasks.txt"], "by-key").exits(0);
    assert_eq!(sandbox.show("1")["attempt_log"][0]["credential"], "mine");
    assert_kept(&sandbox, &output, &[GOOD]);
    fs::write(&path, text.replace("label", "labels")).expect("a file");
    let wrong = sandbox.run(["keys", "list"]).exits(3);
    assert!(!wrong.stderr.contains(GOOD), "an error shows no secret: {wrong}");
}

#[test]
fn a_spent_key_is_known_to_the_next_run_until_it_is_reset() {
    let sandbox = sandbox();
    let keys = [SPENT, GOOD];
    let output = call(&sandbox, &["-j", "1"], &keys).run().exits(0);
    assert_eq!(rested(&output).len(), 1, "{output}");
    let list = |args: &[&str]| {
        let call = sandbox.call(["keys"].iter().chain(args).copied());
        call.env("ANTHROPIC_API_KEY_1", SPENT).env("ANTHROPIC_API_KEY_2", GOOD).run()
    };
    let states = || {
        let keys = list(&["list", "--json"]).exits(0).json_lines();
        keys.iter().map(|key| key["state"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["spent", "ready"]);
    let again = call(&sandbox, &["-j", "1", "--store", "sqlite:other.db"], &keys).run().exits(0);
    assert!(rested(&again).is_empty(), "it was tried again: {again}");
    assert_eq!(again.summary()["attempts"], 6, "{again}");

    list(&["reset", "ANTHROPIC_API_KEY_7"]).exits(3).says("no credential is called");
    list(&["reset", "ANTHROPIC_API_KEY_1"]).exits(0).says("1 credential can be used again");
    assert_eq!(states(), ["ready", "ready"]);
    assert_kept(&sandbox, &output, &keys);
}

/// Two agents, each of which needs a key of its own provider.
fn two_agents(sandbox: &Sandbox) {
    for name in ["asks-anthropic", "asks-openai"] {
        let fake = env!("CARGO_BIN_EXE_fake-agent");
        std::os::unix::fs::symlink(fake, sandbox.path(name)).expect("a link");
    }
    sandbox.write(
        "agent-runner.toml",
        "[profiles.one]\nprogram = \"asks-anthropic\"\nproviders = [\"anthropic\"]\n\
         [profiles.other]\nprogram = \"asks-openai\"\nproviders = [\"openai\"]\n",
    );
    let task = |id: &str, agent: &str, verb: &str, after: &[&str]| {
        let agent = sandbox.path(agent).display().to_string();
        serde_json::json!({ "id": id, "prompt": id, "command": [agent, verb], "depends_on": after })
    };
    let tasks = serde_json::json!([
        task("a1", "asks-anthropic", "by-key", &[]),
        task("a2", "asks-anthropic", "by-key", &[]),
        task("o1", "asks-openai", "succeed", &[]),
        task("o2", "asks-openai", "succeed", &["o1"]),
    ]);
    sandbox.write("tasks.json", tasks.to_string());
}

#[test]
fn a_spent_provider_stops_only_the_tasks_that_need_it() {
    let sandbox = sandbox();
    two_agents(&sandbox);
    let call = |flags: &[&str], key: &str| {
        let flags = ["tasks.json", "-j", "1"].iter().chain(flags).copied();
        let call = sandbox.call_fake(flags, "by-key").env("ANTHROPIC_API_KEY", key);
        call.env("OPENAI_API_KEY", "sk-proj-0123456789abcdef")
    };
    let output = call(&["--no-wait-keys"], SPENT).run().exits(6);
    let standing = |id: &str| sandbox.show(id)["status"].as_str().expect("text").to_owned();
    assert_eq!(
        ["a1", "a2", "o1", "o2"].map(standing),
        ["pending", "pending", "succeeded", "succeeded"]
    );
    assert_eq!(sandbox.outcomes("a1"), ["quota"], "{output}");
    assert!(sandbox.outcomes("a2").is_empty(), "it was not begun: {output}");
    let exhausted = output.events("keys_exhausted");
    assert_eq!(exhausted.len(), 1, "{output}");
    assert_eq!(exhausted[0]["providers"], serde_json::json!(["anthropic"]), "{output}");
    let started: Vec<_> =
        output.events("task_started").iter().map(|it| it["credential"].clone()).collect();
    assert_eq!(started, ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_API_KEY"], "{output}");
    call(&[], GOOD).run().exits(0);
}

#[test]
fn a_run_that_waits_says_until_when_and_goes_on_with_others() {
    let sandbox = sandbox();
    two_agents(&sandbox);
    let args = ["run", "tasks.json", "-j", "1", "--", "true"];
    let run = sandbox.call(args).env("ANTHROPIC_API_KEY", THROTTLED).env("OPENAI_API_KEY", "sk-o");
    let mut run = run.start();
    agent_runner_tests::wait_until("the others are done", || {
        sandbox.has(".agent-runner/store.db") && sandbox.counts().get("succeeded") == Some(&2)
    });
    run.signal(agent_runner_tests::Signal::INT);
    let output = run.wait().exits(130);
    let line =
        output.stderr.lines().find(|line| line.contains("no key of anthropic is ready before"));
    let line = line.unwrap_or_else(|| panic!("it says so: {output}"));
    assert!(line.contains("(in 1h") || line.contains("(in 59m"), "{line}");
    assert!(line.contains("tasks that need one wait"), "{line}");
}
