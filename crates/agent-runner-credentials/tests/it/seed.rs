//! The bugs of the sketch that the project started from, and checks that find them.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agent_runner_credentials::{Answer, ApiKey, Credential, Environment, KeyRing, Source, load};

const DAILY: &str = "You have used up your daily quota.";

/// What stays with a key until it is refused.
trait Rotation {
    fn current(&self) -> Option<String>;
    fn refuse(&mut self, answer: &Answer<'_>);
}

/// The sketch's `APIRotationState`: an index into a list that shrinks.
struct Sketch {
    keys: Vec<(String, bool)>,
    current_index: usize,
}

impl Rotation for Sketch {
    fn current(&self) -> Option<String> {
        let available: Vec<_> = self.keys.iter().filter(|(_, exhausted)| !exhausted).collect();
        let index = self.current_index.checked_rem(available.len())?;
        Some(available[index].0.clone())
    }

    fn refuse(&mut self, answer: &Answer<'_>) {
        let current = self.current();
        if let Some((_, exhausted)) =
            self.keys.iter_mut().find(|(label, _)| Some(label) == current.as_ref())
            && answer.body.contains("daily quota")
        {
            *exhausted = true;
        }
        self.current_index += 1;
    }
}

struct Ours(KeyRing);

const NOW: SystemTime = UNIX_EPOCH;

impl Rotation for Ours {
    fn current(&self) -> Option<String> {
        self.0.current(NOW).map(|credential| credential.label.clone())
    }

    fn refuse(&mut self, answer: &Answer<'_>) {
        self.0.rotate(NOW, answer);
    }
}

/// The keys in the order in which they are used, when each is out of quota at its first use.
fn order(mut rotation: impl Rotation) -> Vec<String> {
    let mut order = Vec::new();
    while let Some(label) = rotation.current() {
        order.push(label);
        rotation.refuse(&Answer::new(429, &[], DAILY));
    }
    order
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
    assert!(ring.rotate(NOW, &Answer::new(429, &[], DAILY)), "b is left");
    assert!(!ring.rotate(NOW, &Answer::new(429, &[("retry-after", "60")], "")), "none is left");
    assert!(ring.current(NOW).is_none());
    assert_eq!(ring.next_ready(NOW), Some(NOW + Duration::from_secs(60)));
    let label = |now| ring.current(now).map(|credential| credential.label.as_str());
    assert_eq!(label(NOW + Duration::from_secs(60)), Some("b"));
    assert_eq!(label(NOW + Duration::from_secs(86_400)), Some("a"), "a day later it has its turn");
}
