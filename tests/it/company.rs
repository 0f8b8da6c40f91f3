//! Networks of companies: proxies, and certificates of their own.

use agent_runner_tests::{Call, Company, Output, Provider, Proxy, Sandbox};

use crate::sandbox;

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
        let sandbox = sandbox();
        let provider = Company::new(&sandbox.root().join("ca.pem")).provider(HOST);
        let proxy = Proxy::start(&provider);
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
