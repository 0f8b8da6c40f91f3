//! The agent that is the Messages API itself, against a pretend provider.

use std::time::Instant;

use agent_runner_tests::{Call, Sandbox, llm::FakeLlm};

use crate::sandbox;

const SECRET: &str = "0123456789abcdef";

fn provider() -> FakeLlm {
    FakeLlm::start(0, |_| {}).expect("a port is free")
}

fn key(behaviour: &str) -> String {
    format!("sk-ant-fake-{behaviour}-{SECRET}")
}

/// It is lent a token, and the model that its keys name.
#[test]
fn its_keys_are_lent_request_by_request_unless_it_is_said() {
    let (sandbox, llm) = (sandbox(), provider());
    sandbox.write("tasks.txt", "say that all is well\n");
    let output = run(&sandbox, &llm, &["revoked", "ok"], &["--gateway", "auto"]).run().exits(0);
    assert_eq!(sandbox.outcomes("1"), ["succeeded"], "one attempt, two keys: {output}");
    let details = sandbox.show("1")["attempt_log"][0]["details"].clone();
    let line = &details["gateway"]["lines"][0];
    assert_eq!((&line["model"], &line["requests"]), (&"model-1".into(), &1.into()), "{details}");
}

/// The gateway says why there is no key, and not only that one has to wait.
#[test]
fn the_reason_why_no_key_is_left_reaches_the_outcome() {
    for (behaviour, outcome) in [
        ("throttled", "throttled"),
        ("quota", "quota"),
        ("usage", "quota"),
        ("credit", "billing"),
        ("revoked", "auth"),
    ] {
        let (sandbox, llm) = (sandbox(), provider());
        sandbox.write("tasks.txt", "say that all is well\n");
        let flags = ["--gateway", "auto", "--no-wait-keys"];
        let output = run(&sandbox, &llm, &[behaviour], &flags).run().exits(6);
        assert_eq!(sandbox.outcomes("1"), [outcome], "{behaviour}: {output}");
    }
}

/// A run of the profile with one key for each behaviour.
fn run(sandbox: &Sandbox, llm: &FakeLlm, keys: &[&str], flags: &[&str]) -> Call {
    let always = ["run", "tasks.txt", "--json", "--retry-delay", "1ms", "--profile", "messages"];
    // With keys of its own it meets limits itself.
    let off = ["--gateway", "off"].iter().filter(|_| !flags.contains(&"--gateway"));
    let always = always.iter().chain(off).copied().collect::<Vec<_>>();
    let mut call = sandbox.call(always.iter().chain(flags).copied());
    for (number, behaviour) in (1..).zip(keys) {
        call = call
            .env(&format!("ANTHROPIC_API_KEY_{number}"), key(behaviour))
            .env(&format!("ANTHROPIC_BASE_URL_{number}"), llm.url())
            .env(&format!("ANTHROPIC_MODEL_{number}"), "model-1");
    }
    call
}

#[test]
fn an_answer_is_a_file_and_what_it_used_is_kept() {
    let (sandbox, llm) = (sandbox(), provider());
    sandbox.write("tasks.txt", "say that all is well\n");
    run(&sandbox, &llm, &["ok"], &[]).run().exits(0);
    assert_eq!(sandbox.read("answers/1.md"), "Done: all is well.");
    let details = sandbox.show("1")["attempt_log"][0]["details"].clone();
    assert_eq!(details["model"], "model-1", "{details}");
    assert_eq!(details["usage"]["input_tokens"], 100, "{details}");
    assert_eq!(details["usage"]["output_tokens"], 20, "{details}");
    assert_eq!(llm.answers().len(), 1);
}

/// Each is what it is, is asked for once, and leaves no file.
#[test]
fn what_the_provider_does_is_the_outcome() {
    for (behaviour, outcome) in [
        ("throttled", "throttled"),
        ("quota", "quota"),
        ("usage", "quota"),
        ("credit", "billing"),
        ("revoked", "auth"),
        ("overloaded", "overloaded"),
        ("broken", "overloaded"),
        ("midway", "overloaded"),
        ("nomodel", "model_not_found"),
        ("toolong", "context_overflow"),
        ("refusal", "refused"),
        ("cut", "network"),
        ("garbage", "network"),
        ("endless", "network"),
    ] {
        let (sandbox, llm) = (sandbox(), provider());
        sandbox.write("tasks.txt", "say that all is well\n");
        let flags = ["--attempts", "1", "--limit", "1", "--no-wait-keys"];
        let output = run(&sandbox, &llm, &[behaviour], &flags).run();
        assert_eq!(sandbox.outcomes("1"), [outcome], "{behaviour}: {output}");
        assert_eq!(llm.answers().len(), 1, "{behaviour}");
        let left = sandbox.listing().into_iter().filter(|line| line.contains("answers/"));
        assert_eq!(left.count(), 0, "{behaviour}");
        for (path, bytes) in sandbox.files() {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(SECRET), "{behaviour}: the key is in {}", path.display());
        }
    }
}

/// A run that is silent is ended by the agent itself, or by the run if that is less patient.
#[test]
fn a_provider_that_hangs_is_given_up() {
    for (behaviour, words, flags, outcome) in [
        ("hang", "--idle-timeout=300ms", vec![], "network"),
        ("stall", "--idle-timeout=300ms", vec![], "network"),
        ("hang", "--idle-timeout=5m", vec!["--idle-timeout", "500ms"], "idle_timed_out"),
        ("stall", "--idle-timeout=5m", vec!["--timeout", "1500ms"], "timed_out"),
    ] {
        let (sandbox, llm) = (sandbox(), provider());
        sandbox.write("tasks.txt", "say that all is well\n");
        let mut flags = flags;
        flags.extend(["--attempts", "1", "--limit", "1", "--", "agent-runner", "messages", words]);
        let output = run(&sandbox, &llm, &[behaviour], &flags).run();
        assert_eq!(sandbox.outcomes("1"), [outcome], "{behaviour} {words}: {output}");
    }
}

/// Five keys, of which one is good and one is good every second time.
#[test]
fn a_run_goes_on_with_the_keys_that_are_good() {
    let (sandbox, llm) = (sandbox(), provider());
    sandbox.write_tasks(6);
    let keys = ["revoked", "quota", "throttled", "flapping", "ok"];
    let started = Instant::now();
    run(&sandbox, &llm, &keys, &["-j", "2", "--attempts", "1"])
        .limit(std::time::Duration::from_secs(120))
        .run()
        .exits(0);
    for task in 1..=6 {
        assert_eq!(sandbox.read(format!("answers/{task}.md")), "Done: all is well.");
    }
    let asked = |key: &str| llm.answers().iter().filter(|answer| answer.key.contains(key)).count();
    let asked = ["revoked", "quota"].map(asked);
    assert!(asked.iter().all(|&count| count <= 2), "{asked:?} in {:?}", started.elapsed());
}

#[test]
fn what_is_missing_is_said_in_the_words_of_the_api() {
    let sandbox = sandbox();
    for (call, kind) in [
        (sandbox.call(["messages", "hello"]), "invalid_request_error"),
        (sandbox.call(["messages", "--model", "m", "hello"]), "authentication_error"),
        (
            sandbox.call(["messages", "--model", "m"]).env("ANTHROPIC_API_KEY", "k"),
            "invalid_request_error",
        ),
    ] {
        let output = call.run().exits(1);
        assert_eq!(output.json()["error"]["type"], kind, "{output}");
    }
    let nobody = sandbox
        .call(["messages", "--model", "m", "hello"])
        .env("ANTHROPIC_API_KEY", "k")
        .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
        .run()
        .exits(1);
    assert_eq!(nobody.json()["error"]["type"], "network_error", "{nobody}");
}
