//! What an agent needs, and which agents have to wait for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The providers of which an agent needs a credential each; all of which there are some, if it
/// names none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::run) struct Needs(BTreeSet<String>);

impl Needs {
    /// The needs of an agent that uses these providers; of one of which nothing is known, if it is
    /// none.
    pub(in crate::run) fn new<'a>(providers: impl IntoIterator<Item = &'a String>) -> Self {
        Self(providers.into_iter().cloned().collect())
    }

    /// Whether a credential of this provider is among them.
    pub(super) fn include(&self, provider: &str) -> bool {
        self.0.is_empty() || self.0.contains(provider)
    }
}

/// Why an agent cannot be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::run) struct Hold {
    /// How long it lasts; `None` until a person does something.
    pub(in crate::run) lasts: Option<Duration>,
    /// Whether it is a pause, and no key's rest.
    pub(in crate::run) is_pause: bool,
    /// The providers of which no credential is ready.
    pub(in crate::run) providers: Vec<String>,
    /// Why the provider cannot be reached, if that is it.
    pub(in crate::run) unreachable: Option<String>,
}

impl Hold {
    /// The one that is over first.
    pub(in crate::run) fn first(holds: impl IntoIterator<Item = Self>) -> Option<Self> {
        holds.into_iter().min_by_key(Self::length)
    }

    fn length(&self) -> Duration {
        self.lasts.unwrap_or(Duration::MAX)
    }

    /// Both at once.
    fn and(self, other: Self) -> Self {
        let is_longer = other.length() > self.length();
        let providers = [&self.providers[..], &other.providers[..]].concat();
        let longer = if is_longer { other } else { self };
        Self { providers, ..longer }
    }
}

/// Everything that is in the way of agents, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::run) struct Held {
    /// By provider, when one of its credentials is ready.
    pub(super) providers: BTreeMap<String, Option<Duration>>,
    /// Agents that met a limit which is no key's, by what they need.
    pub(super) pauses: BTreeMap<Needs, Hold>,
}

impl Held {
    /// Whether any agent can be started.
    pub(in crate::run) fn is_empty(&self) -> bool {
        self.providers.is_empty() && self.pauses.is_empty()
    }

    /// What is in the way of an agent.
    pub(in crate::run) fn of(&self, needs: &Needs) -> Option<Hold> {
        let pause = self.pauses.get(needs).cloned();
        let missing = self.providers.iter().filter(|(provider, _)| needs.include(provider));
        let missing = missing.map(|(provider, &lasts)| Hold {
            lasts,
            providers: vec![provider.clone()],
            ..Hold::default()
        });
        pause.into_iter().chain(missing).reduce(Hold::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs<const N: usize>(providers: [&str; N]) -> Needs {
        Needs::new(&providers.map(str::to_owned))
    }

    #[test]
    fn only_who_needs_what_is_missing_is_held() {
        let hour = Duration::from_secs(3_600);
        let pause = Hold { lasts: Some(hour / 2), is_pause: true, ..Hold::default() };
        let held = Held {
            providers: [("openai".into(), Some(hour)), ("gemini".into(), None)].into(),
            pauses: [(needs(["anthropic"]), pause)].into(),
        };
        let lasts = |needs: Needs| held.of(&needs).map(|hold| (hold.lasts, hold.is_pause));
        assert_eq!(lasts(needs(["other"])), None);
        assert_eq!(lasts(needs(["openai"])), Some((Some(hour), false)));
        assert_eq!(lasts(needs(["openai", "gemini"])), Some((None, false)));
        assert_eq!(lasts(needs(["anthropic"])), Some((Some(hour / 2), true)));
        assert_eq!(lasts(needs([])), Some((None, false)), "it may need any");
        assert_eq!(held.of(&needs([])).expect("it is held").providers, ["gemini", "openai"]);
        let both = [needs(["gemini"]), needs(["openai"])].map(|it| held.of(&it));
        assert_eq!(Hold::first(both.into_iter().flatten()).and_then(|it| it.lasts), Some(hour));
    }
}
