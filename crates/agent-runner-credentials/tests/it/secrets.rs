//! No secret is in anything that can be printed or written.

use std::time::SystemTime;

use agent_runner_credentials::{
    Answer, ApiKey, Credential, End, Environment, KeyRing, Source, Want, load, parse_key_file,
};
use proptest::prelude::*;

/// Long enough that no part of it appears by chance, short enough that no tail is shown.
fn secrets() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{12,19}"
}

proptest! {
    #[test]
    fn nothing_shows_a_key(secret in secrets(), password in secrets(), status: u16) {
        let secret = format!("{secret}%");
        let password = format!("{password}%");
        let now = SystemTime::now();
        let url = format!("https://user:{password}@proxy.example/v1?key={password}");
        let key = ApiKey::new(&secret).unwrap();
        let credential =
            Credential::new("label", "anthropic", key.clone()).with_base_url(url.as_str());
        let mut ring = KeyRing::new([credential.clone()]);
        let mut lease = ring.lease(now, &Want::call()).unwrap();
        let body = format!("incorrect key {secret}, sent to {url}");
        let headers = [("x-echo", secret.as_str())];
        let answer = Answer::new(status, &headers, &body);
        ring.report(&mut lease, now, &answer);
        let lent = format!("{lease:?} {ring:?}");
        ring.settle(lease, now, End::Answer(&answer, None));

        let environment: Environment = [("X_API_KEY_1", &secret)].into_iter().collect();
        let loaded = load(&[Source::variables("X")], &environment).unwrap();
        let file = format!("[[key]]\nprovider = 'x'\nkey = '{secret}'");
        let specs = parse_key_file(&file).unwrap();
        let snapshot = ring.snapshot(now);

        let shown = [
            format!("{key:?} {} {credential:?} {lent} {ring:?} {answer:?}", key.masked()),
            format!("{environment:?} {loaded:?} {specs:?} {snapshot:?}"),
            format!("{:?} {:?}", credential.environment(), ring.lease(now, &Want::call())),
            serde_json::to_string(&snapshot).unwrap(),
        ];
        for shown in shown {
            prop_assert!(!shown.contains(&secret), "a key in {shown}");
            prop_assert!(!shown.contains(&password), "a password in {shown}");
        }
    }

    #[test]
    fn a_tail_is_shown_of_long_keys_alone(secret in "[!-~]{1,60}") {
        let masked = ApiKey::new(&secret).unwrap().masked();
        let tail = masked.strip_prefix('…').unwrap();
        prop_assert!(secret.ends_with(tail), "not the tail");
        prop_assert_eq!(tail.len(), if secret.len() < 20 { 0 } else { 4 });
    }
}

#[test]
fn a_base_url_keeps_its_host() {
    let shown = |url: &str| {
        let credential = Credential::new("x", "x", ApiKey::new("sk-1").unwrap()).with_base_url(url);
        let snapshot = KeyRing::new([credential]).snapshot(SystemTime::now());
        snapshot.keys[0].base_url.clone().unwrap()
    };
    assert_eq!(shown("https://user:pa@ss@host.example/v1?key=x"), "https://host.example/v1");
    assert_eq!(shown("https://host.example/v1/@x"), "https://host.example/v1/@x");
    assert_eq!(shown("http://localhost:8080"), "http://localhost:8080");
}
