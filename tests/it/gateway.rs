//! Keys that are lent request by request: no agent sees one, nor a limit that another can serve.

use agent_runner_tests::{Call, Output, Provider, Sandbox, Signal};
use serde_json::Value;

use crate::{sandbox, schemas::Schema};

const GOOD: &str = "sk-ant-api03-good-0123456789abcdef";
const OTHER: &str = "sk-ant-api03-other-0123456789abcdef";
const REVOKED: &str = "sk-ant-api03-0123456789-revoked";
const THROTTLED: &str = "sk-ant-api03-0123456789-throttled";
const SPENT: &str = "sk-ant-api03-0123456789-spent";
const OWING: &str = "sk-ant-api03-0123456789-owing";
const ALL: [&str; 6] = [GOOD, OTHER, REVOKED, THROTTLED, SPENT, OWING];

/// `run` with these keys at this provider.
fn run(sandbox: &Sandbox, provider: &Provider, keys: &[&str], flags: &[&str], verb: &str) -> Call {
    let call = sandbox.call_fake(["tasks.txt"].iter().chain(flags).copied(), verb);
    with_keys(call, provider, keys)
}

fn with_keys(call: Call, provider: &Provider, keys: &[&str]) -> Call {
    keys.iter().zip(1..).fold(call, |call, (key, number)| {
        call.env(&format!("ANTHROPIC_API_KEY_{number}"), key)
            .env(&format!("ANTHROPIC_BASE_URL_{number}"), provider.url())
    })
}

/// No key is in anything that was printed or written: not what the agent saw of itself, no log, no
/// store, no report.
fn assert_kept(sandbox: &Sandbox, outputs: &[&Output]) {
    for key in ALL {
        for output in outputs {
            assert!(!output.stdout.contains(key), "a key on stdout: {output}");
            assert!(!output.stderr.contains(key), "a key on stderr: {output}");
        }
        for (path, bytes) in sandbox.files() {
            let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!found, "a key in {}", path.display());
        }
    }
}

#[test]
fn agents_work_with_tokens_and_see_neither_keys_nor_limits() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(8);
    let keys = [REVOKED, SPENT, THROTTLED, OWING, GOOD];
    let flags = ["--gateway", "on", "-j", "4"];
    let output = run(&sandbox, &provider, &keys, &flags, "ask 3").run().exits(0);
    for id in 1..=8 {
        assert_eq!(sandbox.outcomes(&id.to_string()), ["succeeded"], "{output}");
    }
    for bad in [REVOKED, SPENT, THROTTLED, OWING] {
        // Four agents begin at once, and each may have met it before the first answer.
        assert!((1..=4).contains(&provider.asked(bad)), "{bad}: {}", provider.asked(bad));
    }
    assert_eq!(provider.asked(GOOD), 24);
    let seen = sandbox.read("1.1.seen");
    assert!(seen.contains("ANTHROPIC_API_KEY=sk-ar-"), "{seen}");
    assert!(seen.contains("ANTHROPIC_BASE_URL=http://127.0.0.1:"), "{seen}");
    assert!(!seen.contains("ANTHROPIC_API_KEY_"), "{seen}");
    let log = sandbox.run(["logs", "1"]).exits(0);
    assert!(log.stdout.contains("\"your_key\":\"***"), "masked before it came: {log}");
    assert!(!log.stdout.contains("sk-ar-"), "tokens are not written down either: {log}");
    assert_kept(&sandbox, &[&output, &log, &sandbox.run(["show", "--json", "1"])]);
}

#[test]
fn who_does_not_wait_for_keys_is_not_held_by_the_gateway_either() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(1);
    let flags = ["--gateway", "on", "--no-wait-keys"];
    let output = run(&sandbox, &provider, &[THROTTLED], &flags, "ask 1").run().exits(6);
    assert_eq!(sandbox.counts(), [("pending".into(), 1)].into(), "{output}");
    assert_eq!(sandbox.show("1")["failures"], 0, "no task pays for it: {output}");
}

#[test]
fn what_was_used_is_in_the_report_of_the_attempt_and_of_the_run() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(2);
    sandbox.write(
        "agent-runner.toml",
        "gateway = \"on\"\n[prices.claude-test]\ninput = 10\noutput = 20\n",
    );
    let output = run(&sandbox, &provider, &[GOOD], &[], "ask 3").run().exits(0);
    let attempt = &sandbox.show("1")["attempt_log"][0];
    assert_eq!(attempt["credential"], "ANTHROPIC_API_KEY_1", "{attempt}");
    let used = &attempt["details"]["gateway"];
    assert_eq!(used["tokens"], 450, "{attempt}");
    let line = &used["lines"][0];
    assert_eq!((&line["model"], &line["requests"]), (&"claude-test-1".into(), &3.into()));
    let [event] = &output.events("keys_used")[..] else { panic!("one event: {output}") };
    Schema::new("event").holds(event);
    let line = &event["lines"][0];
    assert_eq!((&line["input"], &line["output"]), (&600.into(), &300.into()), "{event}");
    let cost = line["cost_usd"].as_f64().expect("a number");
    assert!((cost - 0.012).abs() < 1e-9, "{event}");
}

#[test]
fn a_task_that_spent_its_budget_is_given_up_and_others_go_on() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write("tasks.txt", "ask 20\nask 1\n");
    let flags = ["--gateway", "on", "--task-budget", "1000", "-j", "1"];
    let output = run(&sandbox, &provider, &[GOOD], &flags, "prompt").run().exits(100);
    assert_eq!(sandbox.outcomes("1"), ["budget_spent"], "{output}");
    assert_eq!(sandbox.outcomes("2"), ["succeeded"], "{output}");
    assert_eq!(provider.asked(GOOD), 7 + 1, "1,050 of 1,000 tokens, and the other task's");
    output.says("its budget is spent");
}

#[test]
fn earlier_attempts_count_toward_a_budget() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(1);
    let flags = ["--gateway", "on", "--task-budget", "1000"];
    run(&sandbox, &provider, &[GOOD], &flags, "ask 4").run().exits(0);
    for (asked, exit) in [(7, 100), (7, 100)] {
        sandbox.run(["retry", "1"]).exits(0);
        run(&sandbox, &provider, &[GOOD], &flags, "ask 20").run().exits(exit);
        assert_eq!(provider.asked(GOOD), asked);
    }
    assert_eq!(sandbox.outcomes("1"), ["succeeded", "budget_spent", "budget_spent"]);
}

#[test]
fn a_run_that_spent_its_budget_stops_and_can_be_continued() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(10);
    let flags = ["--gateway", "on", "--budget", "1000", "-j", "1"];
    let output = run(&sandbox, &provider, &[GOOD], &flags, "ask 3").run().exits(5);
    assert_eq!(output.summary()["reason"], "the budget of the run is spent", "{output}");
    assert_eq!(sandbox.counts(), [("pending".into(), 8), ("succeeded".into(), 2)].into());
    assert_eq!(sandbox.show("3")["failures"], 0, "no task pays for it: {output}");
    run(&sandbox, &provider, &[GOOD], &["--gateway", "on"], "ask 3").run().exits(0);
    assert_eq!(sandbox.counts(), [("succeeded".into(), 10)].into());
}

#[test]
fn a_budget_is_not_taken_where_nobody_counts() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(1);
    let call = |flags: &[&str], keys: &[&str]| run(&sandbox, &provider, keys, flags, "ask 1").run();
    call(&["--budget", "1M", "--gateway", "off"], &[GOOD])
        .exits(2)
        .says("a budget needs the gateway");
    call(&["--budget", "$5", "--gateway", "on"], &[GOOD]).exits(3).says("needs prices");
    call(&["--budget", "five"], &[GOOD]).exits(2).says("is no amount");
    call(&["--budget", "1M"], &[]).exits(3).says("no API keys");
    call(&["--gateway", "on"], &[]).exits(3).says("no API keys");
    // An agent that is not known to take a base URL.
    let output = call(&["--budget", "1M"], &[GOOD]).exits(100);
    assert_eq!(sandbox.outcomes("1"), ["invalid"], "{output}");
    output.says("--gateway on");
}

#[test]
fn agents_that_are_known_use_it_by_themselves() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(1);
    let profile = "[profiles.mine]\nprogram = \"fake-agent\"\ngateway = [\"anthropic\"]\n";
    sandbox.write("agent-runner.toml", profile);
    run(&sandbox, &provider, &[REVOKED, GOOD], &[], "ask 2").run().exits(0);
    assert_eq!(provider.asked(GOOD), 2);
    assert!(sandbox.read("1.1.seen").contains("ANTHROPIC_API_KEY=sk-ar-"));
    sandbox.run(["retry", "1"]).exits(0);
    let off = run(&sandbox, &provider, &[GOOD], &["--gateway", "off"], "ask 2").run().exits(0);
    assert_eq!(provider.asked(GOOD), 4);
    assert!(sandbox.read("1.2.seen").contains(&format!("ANTHROPIC_API_KEY={GOOD}")), "{off}");
}

#[test]
fn without_any_key_left_the_run_ends_with_6() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(3);
    let flags = ["--gateway", "on", "--no-wait-keys"];
    let output = run(&sandbox, &provider, &[REVOKED, SPENT], &flags, "ask 1").run().exits(6);
    assert_eq!(sandbox.counts(), [("pending".into(), 3)].into(), "{output}");
    assert_kept(&sandbox, &[&output]);
}

/// A key whose command has another one after it was asked once.
fn renewed(sandbox: &Sandbox, provider: &Provider) {
    sandbox.write("agent-runner.toml", "keys = \"keys.toml\"\n");
    let script = format!("if [ -e asked ]; then echo {GOOD}; else touch asked; echo {REVOKED}; fi");
    let root = sandbox.root().display().to_string();
    sandbox.write(
        "keys.toml",
        format!(
            "[[key]]\nprovider = \"anthropic\"\nlabel = \"vault\"\nbase_url = \"{}\"\n\
             command = [\"sh\", \"-c\", \"cd '{root}'; echo x >>times; {script}\"]\n",
            provider.url()
        ),
    );
}

#[test]
fn a_key_that_was_renewed_at_its_source_is_used_and_no_task_pays() {
    for (gateway, outcomes) in [("on", &["succeeded"][..]), ("off", &["auth", "succeeded"])] {
        let (sandbox, provider) = (sandbox(), Provider::start());
        renewed(&sandbox, &provider);
        sandbox.write_tasks(2);
        let flags = ["tasks.txt", "--gateway", gateway, "-j", "1"];
        let output = sandbox.call_fake(flags, "ask 3").run().exits(0);
        let output = output.says("key 'vault' was refused; its source has another one now");
        assert_eq!(sandbox.outcomes("1"), outcomes, "{output}");
        assert_eq!(sandbox.outcomes("2"), ["succeeded"], "{output}");
        assert_eq!((provider.asked(REVOKED), provider.asked(GOOD)), (1, 6), "{output}");
        assert_eq!(sandbox.read("times"), "x\nx\n", "its command was asked twice");
        assert_eq!(sandbox.show("1")["failures"], 0, "no task pays for it: {output}");
        let log = sandbox.run(["logs", "2"]).exits(0);
        assert!(!log.stdout.contains(GOOD), "the new one is masked too: {log}");
        assert!(!output.stderr.contains(GOOD) && !output.stdout.contains(GOOD), "{output}");
    }
}

#[test]
fn a_key_that_was_not_renewed_is_asked_for_once_more_and_out() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    renewed(&sandbox, &provider);
    let text = sandbox.read("keys.toml").replace(GOOD, REVOKED);
    sandbox.write("keys.toml", &text);
    sandbox.write_tasks(2);
    let output =
        sandbox.call_fake(["tasks.txt", "--gateway", "on", "-j", "1"], "ask 1").run().exits(6);
    assert_eq!(sandbox.read("times"), "x\nx\n", "{output}");
    assert_eq!(sandbox.counts(), [("pending".into(), 2)].into(), "{output}");
    assert_eq!(provider.asked(REVOKED), 1, "{output}");
}

#[test]
fn it_runs_alone() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    let call = sandbox.call(["gateway", "--listen", "127.0.0.1:0", "--json"]);
    let mut running = with_keys(call, &provider, &[REVOKED, GOOD]).start();
    let started = running.event(|line| line["token"].is_string());
    Schema::new("gateway").holds(&started);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (url, token) = (text(&started["base_urls"]["anthropic"]), text(&started["token"]));
    let ask = |token: &str| {
        let agent = ["-c", "exec fake-agent ask 1 >answer"].map(str::to_owned);
        sandbox.shell(&format!(
            "ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={token} AGENT_RUNNER_TASK_ID=x \
                 AGENT_RUNNER_ATTEMPT=1 AGENT_RUNNER_RESULT=/dev/null sh {} '{}'",
            agent[0], agent[1]
        ))
    };
    ask(&token).exits(0);
    ask("sk-ar-wrong").exits(1);
    let metrics = text(&started["metrics_token"]);
    let address = text(&started["address"]);
    assert!(address.starts_with("http://127.0.0.1:") && metrics.len() == 32);
    running.signal(Signal::INT);
    let output = running.wait().exits(0).says("used 1 request of 1 key: 100 tokens in");
    assert_kept(&sandbox, &[&output]);
}

#[test]
fn a_key_that_a_gateway_found_lost_is_asked_by_no_run_and_no_other_gateway() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    let keys = [REVOKED, GOOD];
    let ask = |started: &Value| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let (url, token) = (text(&started["base_urls"]["anthropic"]), text(&started["token"]));
        let line = format!(
            "ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={token} AGENT_RUNNER_TASK_ID=x \
             AGENT_RUNNER_ATTEMPT=1 AGENT_RUNNER_RESULT=/dev/null fake-agent ask 4"
        );
        sandbox.shell(&line).exits(0);
    };
    let start = || {
        let call = sandbox.call(["gateway", "--listen", "127.0.0.1:0", "--json"]);
        with_keys(call, &provider, &keys).start()
    };
    let mut one = start();
    ask(&one.event(|line| line["token"].is_string()));
    assert_eq!(provider.asked(REVOKED), 1, "it met the lost key");
    // While it lives, within a second.
    agent_runner_tests::wait_until("others know", || {
        let list = with_keys(sandbox.call(["keys", "list", "--json"]), &provider, &keys);
        list.run().exits(0).json_lines().iter().any(|key| key["state"] == "out")
    });
    sandbox.write("tasks.txt", "one\ntwo\n");
    run(&sandbox, &provider, &keys, &["--gateway", "on"], "ask 4").run().exits(0);
    let mut other = start();
    ask(&other.event(|line| line["token"].is_string()));
    for gateway in [&mut one, &mut other] {
        gateway.signal(Signal::INT);
    }
    one.wait().exits(0);
    other.wait().exits(0);
    assert_eq!(provider.asked(REVOKED), 1, "nobody asked it again");
}

#[test]
fn it_starts_for_this_machine_only_and_with_keys_only() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    let start = |listen: &str, keys: &[&str]| {
        with_keys(sandbox.call(["gateway", "--listen", listen]), &provider, keys)
    };
    start("0.0.0.0:0", &[GOOD]).run().exits(2).says("no address of this machine alone");
    start("127.0.0.1:0", &[]).run().exits(6).says("no API keys");
    let taken = provider.url().replace("http://", "");
    start(&taken, &[GOOD]).run().exits(7).says("could not listen");
    let short = start("127.0.0.1:0", &[GOOD]).env("AGENT_RUNNER_GATEWAY_TOKEN", "short");
    short.run().exits(2).says("is no token");
}

#[test]
fn keys_are_tested_one_by_one() {
    let (sandbox, provider) = (sandbox(), Provider::start());
    let test = |keys: &[&str]| with_keys(sandbox.call(["keys", "test", "--json"]), &provider, keys);
    let output = test(&[REVOKED, GOOD, SPENT]).run().exits(0);
    let lines = output.json_lines();
    for line in &lines {
        Schema::new("key-test").holds(line);
    }
    let ok: Vec<_> = lines.iter().map(|line| line["ok"].as_bool().expect("a bool")).collect();
    assert_eq!(ok, [false, true, false], "{output}");
    assert_eq!(lines[0]["state"], "out", "{output}");
    assert_eq!(lines[2]["state"], "spent", "{output}");
    for key in [REVOKED, GOOD, SPENT] {
        assert_eq!(provider.asked(key), 1);
    }
    test(&[REVOKED]).run().exits(6);
    let shown = with_keys(sandbox.call(["keys", "test"]), &provider, &[REVOKED, GOOD]).run();
    let shown = shown.exits(0).prints("ANTHROPIC_API_KEY_2").prints("taken").prints("revoked");
    assert_kept(&sandbox, &[&output, &shown]);
}
