//! `agent-runner gateway` as a service that stands for a long time.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use agent_runner_tests::{Running, Sandbox, Signal, llm::FakeLlm};
use serde_json::Value;

use crate::sandbox;

const TOKEN: &str = "a-token-of-my-own-0123456789";

fn provider() -> FakeLlm {
    FakeLlm::start(0, |_| {}).expect("a port is free")
}

/// A gateway with one key of this behaviour, and its address.
fn start(sandbox: &Sandbox, llm: &FakeLlm, behaviour: &str, flags: &[&str]) -> (Running, String) {
    let args = ["gateway", "--listen", "127.0.0.1:0", "--json"];
    let running = sandbox
        .call(args.iter().chain(flags).copied())
        .env("AGENT_RUNNER_GATEWAY_TOKEN", TOKEN)
        .env("ANTHROPIC_API_KEY", format!("sk-fake-{behaviour}-0123456789"))
        .env("ANTHROPIC_BASE_URL", llm.url())
        .start();
    let started = running.event(|line| line["token"] == TOKEN);
    let address = started["address"].as_str().expect("text").replace("http://", "");
    (running, address)
}

/// Asks for a message, and reads the answer until it has this, or to its end.
fn ask(address: &str, stream: bool, until: Option<&str>) -> (TcpStream, String) {
    let body = format!("{{\"model\":\"model-1\",\"stream\":{stream},\"messages\":[]}}");
    let mut connection = TcpStream::connect(address).expect("it listens");
    write!(
        connection,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut text = String::new();
    let mut piece = [0; 1024];
    while until.is_none_or(|until| !text.contains(until)) {
        match connection.read(&mut piece).expect("it answers") {
            0 => break,
            count => text.push_str(&String::from_utf8_lossy(&piece[..count])),
        }
    }
    (connection, text)
}

#[test]
fn it_waits_for_answers_that_are_under_way_until_it_is_told_once_more() {
    let (sandbox, llm) = (sandbox(), provider());
    let (mut running, address) = start(&sandbox, &llm, "stall", &[]);
    let (mut stream, _) = ask(&address, true, Some("content_block_delta"));
    running.signal(Signal::TERM);
    running.says("answers are under way: waiting 30s");
    assert!(TcpStream::connect(&address).is_err(), "it takes nobody else in");
    running.signal(Signal::TERM);
    let output = running.wait().exits(0).says("have been cut");
    output.says("used 1 request of 1 key: 100 tokens in");
    let mut rest = String::new();
    // Cut, or reset.
    drop(stream.read_to_string(&mut rest));
    assert!(!rest.contains("message_stop"), "{rest}");
}

#[test]
fn answers_that_take_too_long_are_cut_by_themselves() {
    let (sandbox, llm) = (sandbox(), provider());
    let (mut running, address) = start(&sandbox, &llm, "stall", &["--drain", "1s"]);
    let (_stream, _) = ask(&address, true, Some("content_block_delta"));
    running.signal(Signal::INT);
    running.wait().exits(0).says("have been cut");
}

#[test]
fn a_key_that_it_found_spent_is_known_after_it_was_killed() {
    let (sandbox, llm) = (sandbox(), provider());
    let (mut running, address) = start(&sandbox, &llm, "credit", &[]);
    let credit = "Your credit balance is too low";
    let (_, answer) = ask(&address, false, None);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(credit), "{answer}");
    agent_runner_tests::wait_until("it is written down", || {
        let list = sandbox
            .call(["keys", "list", "--json"])
            .env("ANTHROPIC_API_KEY", "sk-fake-credit-0123456789")
            .env("ANTHROPIC_BASE_URL", llm.url());
        list.run().exits(0).json_lines().iter().any(|key| key["state"] == "spent")
    });
    running.signal(Signal::KILL);
    drop(running.wait());
    let (_running, address) = start(&sandbox, &llm, "credit", &[]);
    let (_, answer) = ask(&address, false, None);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(credit), "{answer}");
    assert_eq!(llm.answers().len(), 1, "it was not asked again");
}

/// A client takes a descriptor, and its request to the provider another one.
#[cfg(unix)]
#[test]
fn with_few_descriptors_clients_wait_instead_of_being_refused() {
    let (sandbox, llm) = (sandbox(), provider());
    llm.set_latency(std::time::Duration::from_millis(50));
    let key = "sk-fake-ok-0123456789";
    let line = format!(
        "ulimit -n 64; export ANTHROPIC_API_KEY={key} ANTHROPIC_BASE_URL={} AGENT_RUNNER_GATEWAY_TOKEN={TOKEN}; \
         exec agent-runner gateway --listen 127.0.0.1:0 --json",
        llm.url()
    );
    let mut running = sandbox.shell_call(&line).start();
    let started = running.event(|line| line["token"] == TOKEN);
    let address = started["address"].as_str().expect("text").replace("http://", "");
    let asks: Vec<_> = (0..100)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || ask(&address, true, None).1)
        })
        .collect();
    for answer in asks {
        let answer = answer.join().expect("it asks");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    running.signal(Signal::INT);
    let output = running.wait().exits(0);
    assert!(!output.stderr.contains("Too many open files"), "{output}");
}

#[test]
fn what_is_wrong_with_keys_is_said_at_the_start() {
    let sandbox = sandbox();
    let path = sandbox.home().join("keys.toml");
    sandbox.write("agent-runner.toml", format!("keys = {:?}\n", path.display().to_string()));
    let gateway = || sandbox.call(["gateway", "--listen", "127.0.0.1:0"]);
    let missing = gateway().run().exits(3).says("could not read key file");
    missing.says("by `keys` of the configuration");
    std::fs::write(&path, "[[key]]\nprovider = \"acme\"\nlabel = \"mine\"\nkey = \"sk-0123\"\n")
        .expect("a file");
    let mut running = gateway().start();
    running.says("key 'mine' cannot be lent: where 'acme' is has to be told by its `base_url`");
    running.signal(Signal::INT);
    running.wait().exits(0);
    let tested = sandbox.run(["keys", "test", "--json"]).exits(6).json_lines();
    let Value::String(why) = &tested[0]["reason"] else { panic!("no reason: {tested:?}") };
    assert_eq!(why, "it is not known where 'acme' is: its key has no base_url");
}
