//! Three keys and a provider that refuses two: `cargo run -p agent-runner-credentials --example lend`.

#![expect(clippy::print_stderr, reason = "an example shows what it does")]

use std::time::{Duration, SystemTime};

use agent_runner_credentials::{Answer, End, Environment, KeyRing, Source, Want, load};

/// What the provider says to each key.
fn ask(key: &str) -> Answer<'static> {
    match key {
        "sk-revoked" => Answer::new(401, &[], r#"{"error": {"type": "authentication_error"}}"#),
        "sk-busy" => Answer::new(429, &[("retry-after", "20")], ""),
        _ => Answer::new(200, &[], ""),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let environment = Environment::from_iter([
        ("ANTHROPIC_API_KEY_1", "sk-revoked"),
        ("ANTHROPIC_API_KEY_2", "sk-busy"),
        ("ANTHROPIC_API_KEY_3", "sk-good"),
    ]);
    let loaded = load(&[Source::variables("ANTHROPIC")], &environment)?;
    let mut ring = KeyRing::new(loaded.credentials);
    let mut now = SystemTime::now();

    for request in 1..=6 {
        let lease = ring.lease(now, &Want::call())?;
        let label = lease.credential().label.clone();
        let answer = ask(lease.credential().key.expose());
        let meaning = ring.settle(lease, now, End::Answer(&answer, None));
        let meaning = meaning.map_or("fine".to_owned(), |rejection| rejection.to_string());
        eprintln!("request {request} with {label}: {meaning}");
        now += Duration::from_secs(5);
    }
    for key in ring.snapshot(now).keys {
        eprintln!("{:20} {:8} {}", key.label, key.state, key.reason.unwrap_or_default());
    }
    Ok(())
}
