//! Networks of companies: proxies, and certificates of their own.

use agent_runner_tests::{Call, Company, Output, Provider, Proxy, Sandbox, Signal};
use serde_json::Value;

use crate::{sandbox, schemas::Schema};

const KEY: &str = "sk-ant-api03-good-0123456789abcdef";
const PASSWORD: &str = "pass-of-the-proxy";
const HOST: &str = "api.provider.test";

/// A provider that only the company's proxy can find, and only its authority vouches for.
struct Network {
    sandbox: Sandbox,
    provider: Provider,
    proxy: Proxy,
}

impl Network {
    fn new() -> Self {
        Self::after(0)
    }

    /// The proxy refuses so many connections first.
    fn after(refusals: usize) -> Self {
        let sandbox = sandbox();
        let provider = Company::new(&sandbox.root().join("ca.pem")).provider(HOST);
        let proxy = Proxy::start_after(&provider, refusals);
        Self { sandbox, provider, proxy }
    }

    /// A call by somebody who has set this up as it must be.
    fn call(&self, args: &[&str]) -> Call {
        let file = self.sandbox.root().join("ca.pem");
        self.without_trust(args).env("SSL_CERT_FILE", file.to_str().expect("Unicode"))
    }

    fn without_trust(&self, args: &[&str]) -> Call {
        let call = self.sandbox.call(args.iter().copied());
        call.env("ANTHROPIC_API_KEY", KEY)
            .env("ANTHROPIC_BASE_URL", format!("https://{HOST}"))
            .env("HTTPS_PROXY", self.proxy.url(PASSWORD))
            // What is on this machine is not asked through it.
            .env("HTTP_PROXY", self.proxy.url(PASSWORD))
    }

    /// Neither the key nor the proxy's password is in anything that was printed or written, but for
    /// what an agent wrote of its own environment.
    fn assert_kept(&self, output: &Output) {
        for secret in [KEY, PASSWORD] {
            assert!(!output.stdout.contains(secret), "{secret}: {output}");
            assert!(!output.stderr.contains(secret), "{secret}: {output}");
        }
        for (path, bytes) in self.sandbox.files() {
            let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
            assert!(!found, "a key in {}", path.display());
        }
    }
}

#[test]
fn keys_are_tested_through_the_company_s_proxy() {
    let it = Network::new();
    let output = it.call(&["keys", "test"]).run().exits(0);
    assert!(output.stdout.contains("taken"), "{output}");
    it.assert_kept(&output);
    assert_eq!(it.provider.asked(KEY), 1);
    let [asked] = &it.proxy.asked()[..] else { panic!("one connection: {:?}", it.proxy.asked()) };
    assert!(asked.starts_with(&format!("CONNECT {HOST}:443 ")), "{asked}");
}

#[test]
fn who_does_not_trust_the_company_s_authority_is_told_what_to_do() {
    let it = Network::new();
    let output = it.without_trust(&["keys", "test"]).run().exits(6);
    let host = format!("the certificate of {HOST} is from nobody that is trusted here");
    for told in [&*host, "NODE_EXTRA_CA_CERTS", &it.proxy.shown_url()] {
        assert!(output.stdout.contains(told), "{told}: {output}");
    }
    it.assert_kept(&output);
    let listed = it.call(&["keys", "list", "--json"]).run().exits(0);
    assert!(listed.stdout.contains(r#""state":"ready""#), "no key is blamed: {listed}");
}

#[test]
fn a_run_reaches_its_providers_through_the_company_s_proxy() {
    let it = Network::new();
    it.sandbox.write_tasks(2);
    let agent = it.sandbox.call_fake(["tasks.txt", "--gateway", "on"], "ask 2");
    let file = it.sandbox.root().join("ca.pem");
    let output = agent
        .env("ANTHROPIC_API_KEY_1", KEY)
        .env("ANTHROPIC_BASE_URL_1", format!("https://{HOST}"))
        .env("ALL_PROXY", it.proxy.url(PASSWORD))
        .env("NODE_EXTRA_CA_CERTS", file.to_str().expect("Unicode"))
        .run()
        .exits(0);
    it.assert_kept(&output);
    assert_eq!(it.provider.asked(KEY), 4);
    assert!(it.proxy.asked().iter().all(|asked| asked.starts_with("CONNECT ")));
}

/// `run` with a key, the proxy, and these variables.
fn run(it: &Network, variables: &[(&str, &str)]) -> Output {
    let call = it.sandbox.call_fake(["tasks.txt", "--gateway", "on", "-j", "2"], "ask 1");
    let call = call
        .env("ANTHROPIC_API_KEY_1", KEY)
        .env("ANTHROPIC_BASE_URL_1", format!("https://{HOST}"))
        .env("HTTPS_PROXY", it.proxy.url(PASSWORD));
    variables.iter().fold(call, |call, (name, value)| call.env(name, value)).run()
}

#[test]
fn a_run_that_cannot_trust_its_provider_ends_and_says_why() {
    let it = Network::new();
    it.sandbox.write_tasks(4);
    let output = run(&it, &[]).exits(5);
    let why = format!("the certificate of {HOST} is from nobody that is trusted here");
    assert!(output.summary()["reason"].as_str().expect("text").contains(&why), "{output}");
    let [event] = &output.events("keys_exhausted")[..] else { panic!("one event: {output}") };
    Schema::new("event").holds(event);
    assert!(event["unreachable"].as_str().expect("text").contains(&why), "{output}");
    assert_eq!(it.sandbox.counts(), [("pending".into(), 4)].into(), "{output}");
    let tried: Vec<_> = (1..=4).flat_map(|id| it.sandbox.outcomes(&id.to_string())).collect();
    assert!(
        (1..=2).contains(&tried.len()) && tried.iter().all(|it| it == "unreachable"),
        "{output}"
    );
    assert_eq!(it.sandbox.show("1")["failures"], 0, "no task pays for it: {output}");
    it.assert_kept(&output);
    // With trust it goes on: no key was blamed.
    let file = it.sandbox.root().join("ca.pem");
    run(&it, &[("SSL_CERT_FILE", file.to_str().expect("Unicode"))]).exits(0);
}

#[test]
fn a_run_waits_for_a_way_out_and_no_task_pays() {
    let it = Network::after(8);
    it.sandbox.write_tasks(4);
    let file = it.sandbox.root().join("ca.pem");
    let output = run(&it, &[("SSL_CERT_FILE", file.to_str().expect("Unicode"))]).exits(0);
    let told = output.events("keys_exhausted");
    assert!(!told.is_empty(), "{output}");
    for event in told {
        let why = event["unreachable"].as_str().expect("text");
        assert!(why.contains(&it.proxy.shown_url()) && why.contains("refused"), "{output}");
        assert!(event["ready_in_s"].is_number(), "{output}");
    }
    assert_eq!(it.sandbox.counts(), [("succeeded".into(), 4)].into(), "{output}");
    assert_eq!(it.sandbox.show("1")["failures"], 0, "{output}");
    it.assert_kept(&output);
}

#[test]
fn a_gateway_reaches_its_providers_through_the_company_s_proxy() {
    let it = Network::new();
    let mut running = it.call(&["gateway", "--listen", "127.0.0.1:0", "--json"]).start();
    let started = running.event(|line| line["token"].is_string());
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (url, token) = (text(&started["base_urls"]["anthropic"]), text(&started["token"]));
    let ask = format!(
        "ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={token} AGENT_RUNNER_TASK_ID=x \
         AGENT_RUNNER_ATTEMPT=1 AGENT_RUNNER_RESULT=/dev/null fake-agent ask 2"
    );
    it.sandbox.shell(&ask).exits(0);
    assert_eq!(it.provider.asked(KEY), 2);
    assert!(it.proxy.asked().iter().all(|asked| asked.starts_with("CONNECT ")));
    running.signal(Signal::INT);
    it.assert_kept(&running.wait().exits(0));
}

#[test]
fn messages_go_through_the_company_s_proxy() {
    let it = Network::new();
    let call = it.call(&["messages", "hello", "--model", "claude-test-1"]);
    let output = call.run().exits(1);
    assert!(output.stdout.contains("the answer is no stream of events"), "{output}");
    assert!(!output.stdout.contains(PASSWORD), "{output}");
    assert_eq!(it.provider.asked(KEY), 1, "this provider does not stream: {output}");
}

#[test]
fn what_cannot_be_followed_is_told_before_anything_is_run() {
    let it = Network::new();
    it.sandbox.write_tasks(1);
    for args in [
        &["keys", "test"][..],
        &["gateway", "--listen", "127.0.0.1:0"],
        &["run", "tasks.txt", "--gateway", "on", "--", "true"],
    ] {
        let output = it.call(args).env("SSL_CERT_FILE", "/nowhere/ca.pem").run().exits(3);
        let output = output.says("no certificate in '/nowhere/ca.pem' (SSL_CERT_FILE)");
        it.assert_kept(&output);
        let wrong = format!("ftp://me:{PASSWORD}@proxy");
        let output = it.call(args).env("HTTPS_PROXY", wrong).run().exits(3);
        it.assert_kept(&output.says("'HTTPS_PROXY' names no proxy"));
    }
    assert_eq!(it.sandbox.counts(), [("pending".into(), 1)].into(), "no task pays for it");
}
