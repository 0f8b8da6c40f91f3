//! The bugs of the sketch that the project started from, and checks that find them.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agent_runner_credentials::{
    Answer, ApiKey, Credential, End, Environment, KeyRing, Source, Want, load,
};

const DAILY: &str = "You have used up your daily quota.";

/// What stays with a key until it is refused.
trait Rotation {
    /// The key that is used next, which is then refused.
    fn refuse_next(&mut self, answer: &Answer<'_>) -> Option<String>;
}

/// The sketch's `APIRotationState`: an index into a list that shrinks.
struct Sketch {
    keys: Vec<(String, bool)>,
    current_index: usize,
}

impl Rotation for Sketch {
    fn refuse_next(&mut self, answer: &Answer<'_>) -> Option<String> {
        let available = self.keys.iter_mut().filter(|(_, exhausted)| !exhausted);
        let mut available: Vec<_> = available.collect();
        let index = self.current_index.checked_rem(available.len())?;
        let (label, exhausted) = &mut *available[index];
        *exhausted = answer.body.contains("daily quota");
        self.current_index += 1;
        Some(label.clone())
    }
}

struct Ours(KeyRing);

const NOW: SystemTime = UNIX_EPOCH;

impl Rotation for Ours {
    fn refuse_next(&mut self, answer: &Answer<'_>) -> Option<String> {
        let lease = self.0.lease(NOW, &Want::call().session("the one")).ok()?;
        let label = lease.credential().label.clone();
        self.0.settle(lease, NOW, End::Answer(answer, None));
        Some(label)
    }
}

/// The keys in the order in which they are used, when each is out of quota at its first use.
fn order(mut rotation: impl Rotation) -> Vec<String> {
    std::iter::from_fn(|| rotation.refuse_next(&Answer::new(429, &[], DAILY))).collect()
}

const LABELS: [&str; 4] = ["a", "b", "c", "d"];

#[test]
fn the_check_finds_the_key_that_the_sketch_skips() {
    let keys = LABELS.map(|label| (label.to_owned(), false)).into();
    assert_eq!(order(Sketch { keys, current_index: 0 }), ["a", "c", "b", "d"]);
}

#[test]
fn ours_skips_none() {
    let key = |label: &str| Credential::new(label, "x", ApiKey::new(label).unwrap());
    assert_eq!(order(Ours(KeyRing::new(LABELS.map(key)))), LABELS);
}

/// The sketch's loader: it stops at the first number that is not there.
fn sketch_load(variables: &BTreeMap<&str, &str>) -> usize {
    let is_there = |i: &u32| variables.contains_key(format!("ANTHROPIC_API_KEY_{i}").as_str());
    (1..100).take_while(is_there).count()
}

#[test]
fn a_gap_in_the_numbers_loses_no_key() {
    let variables =
        BTreeMap::from([("ANTHROPIC_API_KEY_1", "sk-1"), ("ANTHROPIC_API_KEY_3", "sk-3")]);
    assert_eq!(sketch_load(&variables), 1, "the sketch loses the third key");
    let environment: Environment = variables.into_iter().collect();
    let loaded = load(&[Source::variables("ANTHROPIC")], &environment).unwrap();
    assert_eq!(loaded.credentials.len(), 2);
}

#[test]
fn a_refused_key_comes_back() {
    let key = |label: &str| Credential::new(label, "x", ApiKey::new(label).unwrap());
    let mut ring = KeyRing::new(["a", "b"].map(key));
    let want = Want::call();
    for (label, headers) in [("a", &[][..]), ("b", &[("retry-after", "60")])] {
        let lease = ring.lease(NOW, &want).unwrap();
        assert_eq!(lease.credential().label, label);
        let body = if headers.is_empty() { DAILY } else { "" };
        ring.settle(lease, NOW, End::Answer(&Answer::new(429, headers, body), None));
    }
    assert!(ring.lease(NOW, &want).is_err(), "none is left");
    assert_eq!(ring.next_ready(NOW, &want), Some(NOW + Duration::from_secs(60)));
    let mut label = |after| {
        let lease = ring.lease(NOW + Duration::from_secs(after), &want).unwrap();
        lease.credential().label.clone()
    };
    assert_eq!(label(60), "b");
    assert_eq!(label(86_400), "a", "a day later it has its turn");
}
