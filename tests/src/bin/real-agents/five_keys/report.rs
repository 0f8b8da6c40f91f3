//! What was not as it should be, and the figures.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::night::{JOBS, Night, TASKS};

/// How often a key was asked, and answered.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    asked: usize,
    answered: usize,
}

impl Night {
    /// How all attempts ended.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let outcomes = self.attempts.outcomes.iter();
        outcomes.map(|(outcome, count)| format!("{count} {outcome}")).collect()
    }

    /// By how the key behaves.
    fn counts(&self) -> BTreeMap<&str, Count> {
        let mut counts = BTreeMap::<_, Count>::new();
        for answer in &self.answers {
            let count = counts.entry(answer.key.split('-').nth(2).unwrap_or_default()).or_default();
            count.asked += 1;
            count.answered += usize::from(answer.status == 200);
        }
        counts
    }
}

/// What was wrong, whatever the keys.
pub(super) fn wrong(night: &Night) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let succeeded = BTreeMap::from([("succeeded".to_owned(), TASKS)]);
    check(night.exit == 0, format!("exit code {}", night.exit));
    check(night.attempts.outcomes == succeeded, night.outcomes().join(", "));
    check(night.written == TASKS, format!("{} files written", night.written));
    check(night.troubles.is_empty(), format!("agents saw trouble: {:?}", night.troubles.first()));
    let found = &night.found;
    check(found.leaks.is_empty(), format!("a key was in {:?}", found.leaks));
    let saw_agents = found.looks >= TASKS && found.looks_with_token == found.looks;
    check(saw_agents, format!("{} of {} looks saw agents", found.looks_with_token, found.looks));
    wrong
}

/// What was wrong with how the keys in trouble were used.
pub(super) fn wrongly_asked(night: &Night) -> Vec<String> {
    let counts = night.counts();
    let count = |behaviour| counts.get(behaviour).copied().unwrap_or_default();
    // Agents that begin at once may each have met it before the first answer.
    let of_a_dead_key = |behaviour| (1..=JOBS).contains(&count(behaviour).asked);
    let throttled = count("throttled");
    let holds = [
        ("revoked", of_a_dead_key("revoked")),
        ("quota", of_a_dead_key("quota")),
        ("throttled", throttled.asked > 0 && throttled.answered == 0),
        ("flapping", (1..count("flapping").asked).contains(&count("flapping").answered)),
        ("ok", count("ok").answered > 0),
    ];
    let wrong = holds.into_iter().filter(|(_, holds)| !holds);
    wrong.map(|(behaviour, _)| format!("{behaviour}: {:?}", count(behaviour))).collect()
}

/// How often each key was asked, and answered.
pub(super) fn asked(night: &Night) -> Value {
    let counts = night.counts().into_iter().map(|(behaviour, Count { asked, answered })| {
        (behaviour.to_owned(), json!({ "asked": asked, "answered": answered }))
    });
    Value::Object(counts.collect())
}

/// The figures, for people.
pub(super) fn note(good: &Night, troubled: &Night) -> String {
    let counts = troubled
        .counts()
        .into_iter()
        .map(|(behaviour, Count { asked, answered })| format!("{behaviour} {answered}/{asked}"));
    format!(
        "{:.2} times the {:.1} s with five good keys; answered/asked: {}",
        troubled.seconds / good.seconds,
        good.seconds,
        counts.collect::<Vec<_>>().join(", ")
    )
}
