//! What is known of keys survives a restart, and is shared.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use agent_runner_credentials::{
    ApiKey, Credential, End, KeyRing, KeyState, Rejection, Scope, StateFile, Want, parse_rfc3339,
};
use tempfile::TempDir;

const SECRET: &str = "sk-ant-api03-0123456789abcdef";
const HOUR: Duration = Duration::from_secs(3600);

fn ring() -> KeyRing {
    let key = |label: &str| {
        let key = ApiKey::new(&format!("{SECRET}-{label}")).expect("it has no white space");
        Credential::new(label, "anthropic", key)
    };
    KeyRing::new(["a", "b", "c"].map(key))
}

fn now() -> SystemTime {
    parse_rfc3339("2026-11-23T18:00:00Z").expect("it is a time")
}

fn file() -> (TempDir, PathBuf, StateFile) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("state/keys.json");
    let file = StateFile::new(&path);
    (folder, path, file)
}

/// Refuses the next key.
fn refuse(ring: &mut KeyRing, at: SystemTime, rejection: Rejection) {
    let lease = ring.lease(at, &Want::call()).expect("a key is ready");
    ring.settle(lease, at, End::Rejected(rejection));
}

fn states(ring: &KeyRing, at: SystemTime) -> [KeyState; 3] {
    let keys = ring.snapshot(at).keys;
    [0, 1, 2].map(|index: usize| keys[index].state)
}

#[test]
fn a_restart_knows_what_is_spent_and_out_and_no_secret_is_written() {
    let (_folder, path, file) = file();
    let mut before = ring();
    let spent = Rejection::QuotaExhausted { resets_in: Some(6 * HOUR), scope: Scope::Group };
    refuse(&mut before, now(), spent);
    refuse(&mut before, now(), Rejection::Unauthorized);
    refuse(&mut before, now(), Rejection::RateLimited { retry_after: Some(HOUR) });
    assert!(file.sync(&mut before, now()).unwrap().written);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("0123456789"), "{text}");

    let mut after = ring();
    let later = now() + HOUR / 2;
    let synced = file.sync(&mut after, later).unwrap();
    assert!(synced.learned && !synced.written, "who only learns has nothing to tell: {synced:?}");
    assert_eq!(states(&after, later), [KeyState::Spent, KeyState::Out, KeyState::Ready]);
    assert_eq!(states(&after, now() + 6 * HOUR)[0], KeyState::Ready, "its quota is there again");
    assert!(!file.sync(&mut after, later).unwrap().written, "nothing is new");

    let mut much_later = ring();
    file.sync(&mut much_later, now() + 13 * HOUR).unwrap();
    assert_eq!(states(&much_later, now() + 13 * HOUR), [KeyState::Ready; 3], "all is tried again");
}

#[test]
fn runs_learn_from_each_other_and_a_reset_reaches_all() {
    let (_folder, _, file) = file();
    let (mut one, mut other) = (ring(), ring());
    refuse(&mut one, now(), Rejection::Billing);
    file.sync(&mut one, now()).unwrap();
    file.sync(&mut other, now() + Duration::from_secs(1)).unwrap();
    assert_eq!(states(&other, now())[0], KeyState::Spent);

    let later = now() + Duration::from_secs(60);
    assert!(other.reset("a", later));
    file.sync(&mut other, later).unwrap();
    file.sync(&mut one, later).unwrap();
    assert_eq!(states(&one, later)[0], KeyState::Ready, "somebody has paid");
    let mut new = ring();
    file.sync(&mut new, later).unwrap();
    assert_eq!(states(&new, later)[0], KeyState::Ready);

    let at = later + Duration::from_secs(60);
    refuse(&mut one, at, Rejection::Unauthorized);
    file.sync(&mut one, at).unwrap();
    file.sync(&mut other, at).unwrap();
    assert!(states(&other, at).contains(&KeyState::Out), "what is newer counts");
}

#[test]
fn a_file_that_makes_no_sense_is_begun_anew() {
    let (_folder, path, file) = file();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for text in ["", "{", "[1]", r#"{"version":2,"salt":"x","keys":{}}"#, "\u{0}"] {
        fs::write(&path, text).unwrap();
        let mut ring = ring();
        refuse(&mut ring, now(), Rejection::Unauthorized);
        let synced = file.sync(&mut ring, now()).unwrap();
        assert!(synced.was_corrupt && synced.written, "{text}");
        assert!(!file.sync(&mut ring, now()).unwrap().was_corrupt, "{text}");
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let (_folder, path, _) = file();
    std::thread::scope(|scope| {
        for key in 0..3_usize {
            let file = StateFile::new(&path);
            scope.spawn(move || {
                let mut ring = ring();
                for _ in 0..key {
                    // On to the next key.
                    drop(ring.lease(now(), &Want::call()));
                }
                refuse(&mut ring, now(), Rejection::Unauthorized);
                for _ in 0..20 {
                    file.sync(&mut ring, now()).unwrap();
                }
            });
        }
    });
    let mut ring = ring();
    StateFile::new(&path).sync(&mut ring, now()).unwrap();
    assert_eq!(states(&ring, now()), [KeyState::Out; 3]);
}
