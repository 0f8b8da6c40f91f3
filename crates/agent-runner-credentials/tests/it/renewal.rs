//! Keys that somebody renewed at their source.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agent_runner_credentials::{
    Answer, ApiKey, Credential, End, Environment, KeyRing, KeyState, Rejection, Source, StateFile,
    Want, load, reload,
};

const NOW: SystemTime = UNIX_EPOCH;
const REVOKED: Answer<'_> = Answer::new(401, &[], "");

fn key(text: &str) -> ApiKey {
    ApiKey::new(text).expect("it has no white space")
}

/// A ring whose keys can be renewed.
fn ring(labels: &[&str]) -> KeyRing {
    let keys = labels.iter().map(|label| Credential::new(*label, "anthropic", key("sk-old")));
    let labels: Vec<_> = labels.iter().map(|&label| label.to_owned()).collect();
    KeyRing::new(keys).with_renewable(&labels)
}

fn state(ring: &KeyRing, now: SystemTime) -> KeyState {
    ring.snapshot(now).keys[0].state
}

#[test]
fn a_refused_key_rests_until_its_source_was_read_and_goes_on_with_what_it_has() {
    let mut ring = ring(&["one"]);
    let leases: Vec<_> = (0..4).map(|_| ring.lease(NOW, &Want::call()).expect("ready")).collect();
    let mut leases = leases.into_iter();
    for lease in leases.by_ref().take(3) {
        ring.settle(lease, NOW, End::Answer(&REVOKED, None));
    }
    assert_eq!(ring.next_to_renew().expect("it is asked for").label, "one");
    assert!(ring.next_to_renew().is_none(), "once, however many were refused");
    let none = ring.lease(NOW, &Want::call()).unwrap_err();
    assert!(none.until.is_some(), "waiting may help: {none}");

    assert!(ring.renew("one", Some(key("sk-new")), NOW));
    let late = leases.next().expect("the fourth");
    ring.settle(late, NOW, End::Answer(&REVOKED, None));
    let lease = ring.lease(NOW, &Want::call()).expect("what was sent before says nothing");
    assert_eq!(lease.credential().key.expose(), "sk-new");
    assert!(ring.next_to_renew().is_none());
}

#[test]
fn a_key_that_is_the_same_at_its_source_is_out() {
    for found in [Some("sk-old"), None] {
        let mut ring = ring(&["one"]);
        let lease = ring.lease(NOW, &Want::call()).expect("ready");
        ring.settle(lease, NOW, End::Rejected(Rejection::Unauthorized));
        assert!(!ring.renew("one", found.map(key), NOW));
        assert_eq!(state(&ring, NOW), KeyState::Out);
        assert_eq!(ring.lease(NOW, &Want::call()).unwrap_err().until, None);
    }
}

#[test]
fn a_source_that_always_has_another_wrong_key_is_not_asked_for_ever() {
    let mut ring = ring(&["one"]);
    let refuse = |ring: &mut KeyRing, now| {
        let lease = ring.lease(now, &Want::call()).expect("ready");
        ring.settle(lease, now, End::Answer(&REVOKED, None));
        ring.next_to_renew().is_some()
    };
    assert!(refuse(&mut ring, NOW));
    ring.renew("one", Some(key("sk-new-1")), NOW);
    let soon = NOW + Duration::from_secs(5);
    assert!(!refuse(&mut ring, soon), "it was read just now");
    assert_eq!(state(&ring, soon), KeyState::Out);
    // Renewed by hand, and refused much later: a token of an hour, say.
    ring.reset("one", soon);
    assert!(refuse(&mut ring, NOW + Duration::from_secs(3600)));
}

#[test]
fn a_key_without_such_a_source_is_out_at_once() {
    let mut ring = KeyRing::new([Credential::new("one", "anthropic", key("sk-old"))]);
    let lease = ring.lease(NOW, &Want::call()).expect("ready");
    ring.settle(lease, NOW, End::Answer(&REVOKED, None));
    assert!(ring.next_to_renew().is_none());
    assert_eq!(state(&ring, NOW), KeyState::Out);
}

#[test]
fn a_key_that_another_run_found_refused_is_read_again_where_it_was_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = StateFile::new(folder.path().join("keys.json"));
    let now = SystemTime::now();
    let mut theirs = KeyRing::new([Credential::new("one", "anthropic", key("sk-old"))]);
    let lease = theirs.lease(now, &Want::call()).expect("ready");
    let mut ours = ring(&["one"]);
    drop(ours.lease(now, &Want::call()).expect("ready"));
    theirs.settle(lease, now, End::Answer(&REVOKED, None));
    file.sync(&mut theirs, now).expect("it can be written");

    file.sync(&mut ours, now).expect("it can be read");
    assert!(ours.next_to_renew().is_some());
    ours.renew("one", Some(key("sk-new")), now);
    file.sync(&mut ours, now).expect("it can be read");
    let lease = ours.lease(now, &Want::call()).expect("nobody has refused this one");
    assert_eq!(lease.credential().key.expose(), "sk-new");

    let mut begun_now = ring(&["one"]);
    file.sync(&mut begun_now, now).expect("it can be read");
    assert!(begun_now.next_to_renew().is_none(), "its source was read just now");
    assert_eq!(state(&begun_now, now), KeyState::Out);
}

#[test]
fn only_the_source_of_the_key_itself_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, count) = (folder.path().join("keys.toml"), folder.path().join("count"));
    let write = |first: &str| {
        let command = |word: &str| {
            format!("[\"sh\", \"-c\", \"echo {word} >>'{}'; echo sk-{word}\"]", count.display())
        };
        let text = format!(
            "[[key]]\nprovider = \"anthropic\"\nlabel = \"file\"\nkey = \"{first}\"\n\
             [[key]]\nprovider = \"anthropic\"\nlabel = \"a\"\ncommand = {}\n\
             [[key]]\nprovider = \"anthropic\"\nlabel = \"b\"\ncommand = {}\n\
             [[key]]\nprovider = \"anthropic\"\nlabel = \"variable\"\nenv = \"OTHER\"\n",
            command("a"),
            command("b")
        );
        fs::write(&path, text).expect("it can be written");
    };
    write("sk-first");
    let (sources, environment) =
        ([Source::file(&path)], Environment::from_iter([("OTHER", "sk-other")]));
    let loaded = load(&sources, &environment).expect("it makes sense");
    assert_eq!(loaded.renewable, ["file", "a", "b"]);
    write("sk-second");
    let again = |number: usize| {
        let found = reload(&sources, &environment, &loaded.credentials[number]);
        found.expect("it makes sense").map(|key| key.expose().to_owned())
    };
    assert_eq!(again(0).as_deref(), Some("sk-second"));
    assert_eq!(again(1).as_deref(), Some("sk-a"));
    assert_eq!(fs::read_to_string(&count).expect("it was written"), "a\nb\na\n");
    fs::write(&path, "").expect("it can be written");
    assert_eq!(again(0), None);

    let argv = ["sh", "-c", "echo sk-x"].map(str::to_owned).to_vec();
    let sources = [Source::Command { argv, provider: "openai".into(), label: None }];
    let loaded = load(&sources, &environment).expect("it prints a key");
    assert_eq!(loaded.renewable, ["openai (sh)"]);
    let found = reload(&sources, &environment, &loaded.credentials[0]).expect("it prints a key");
    assert_eq!(found.expect("it is known").expose(), "sk-x");
}
