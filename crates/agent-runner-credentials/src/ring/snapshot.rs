//! How the keys stand, for people and reports.

use std::{fmt, time::SystemTime};

use serde::{Serialize, Serializer};

use super::{
    clock::{Clock, Moment},
    gate::Gate,
    places::Places,
    slot::Slot,
    standing::{Standing, State},
};
use crate::time::rfc3339;

/// All keys of a ring at one time. In JSON, times are in RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The keys, in the ring's order.
    pub keys: Vec<KeySnapshot>,
    /// The limit groups that were used.
    pub groups: Vec<GroupSnapshot>,
    /// The services that are overloaded.
    pub overloads: Vec<OverloadSnapshot>,
    /// How many wait in line.
    pub waiting: usize,
    /// When a key is ready; `None` if all are out.
    #[serde(serialize_with = "time")]
    pub next_ready: Option<SystemTime>,
}

/// One key at one time. It has no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeySnapshot {
    /// Its name.
    pub label: String,
    /// Whose key it is.
    pub provider: String,
    /// The organisation, workspace or project that it is of, if an answer told.
    pub account: Option<String>,
    /// Where it stands, its account and limits included.
    pub state: KeyState,
    /// Since when it has not been ready.
    #[serde(serialize_with = "time")]
    pub since: Option<SystemTime>,
    /// When it is ready again.
    #[serde(serialize_with = "time")]
    pub until: Option<SystemTime>,
    /// Why it was refused last; nothing after a success.
    pub reason: Option<String>,
    /// Its last characters, such as `…a1b2`, if it is long enough to show them.
    pub key: String,
    /// Where requests go, without user, password and query.
    pub base_url: Option<String>,
    /// The model it is used with.
    pub model: Option<String>,
    /// The models that it may not use.
    pub denied: Vec<String>,
    /// How often it was lent.
    pub lent: u64,
    /// How many successes were reported.
    pub succeeded: u64,
    /// How many rejections were reported.
    pub rejected: u64,
}

/// One limit group at one time: keys of one account with one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupSnapshot {
    /// The labels of its keys.
    pub keys: Vec<String>,
    /// The model, if one was named.
    pub model: Option<String>,
    /// Where it stands.
    pub state: KeyState,
    /// When it is ready again.
    #[serde(serialize_with = "time")]
    pub until: Option<SystemTime>,
    /// What is known of its limits.
    pub limits: Vec<LimitSnapshot>,
    /// Calls that are under way.
    pub calls: u32,
    /// Processes that run.
    pub processes: u32,
}

/// One limit at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LimitSnapshot {
    /// `requests`, `input_tokens`, `output_tokens` or `tokens`.
    pub name: &'static str,
    /// How much there is a minute.
    pub per_minute: f64,
    /// How much is believed to be left now.
    pub left: f64,
}

/// A service that is overloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OverloadSnapshot {
    /// Whose service it is.
    pub provider: String,
    /// The model, if one was named.
    pub model: Option<String>,
    /// When the next request is let through to see.
    #[serde(serialize_with = "time")]
    pub until: Option<SystemTime>,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Can be lent.
    Ready,
    /// Refused for a short time.
    Resting,
    /// Without quota until it starts anew.
    Spent,
    /// Of no use before a person has done something.
    Out,
}

impl KeyState {
    /// The name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Resting => "resting",
            Self::Spent => "spent",
            Self::Out => "out",
        }
    }

    const fn of(state: State) -> (Self, Option<Moment>) {
        match state {
            State::Ready => (Self::Ready, None),
            State::Resting(until) => (Self::Resting, Some(until)),
            State::Spent(until) => (Self::Spent, Some(until)),
            State::Out => (Self::Out, None),
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Places {
    pub(super) fn snapshot(&self, clock: &Clock, now: SystemTime) -> Snapshot {
        let view = View { places: self, clock, now, moment: clock.at(now) };
        let used = (0..self.groups.len()).filter(|index| self.groups[*index].is_used);
        Snapshot {
            keys: self.slots.iter().map(|slot| view.key(slot)).collect(),
            groups: used.map(|index| view.group(index)).collect(),
            overloads: self.shut_gates().map(|gate| view.overload(gate)).collect(),
            waiting: 0,
            next_ready: None,
        }
    }
}

/// The ring, seen at one time.
struct View<'a> {
    places: &'a Places,
    clock: &'a Clock,
    now: SystemTime,
    moment: Moment,
}

impl View<'_> {
    fn key(&self, slot: &Slot) -> KeySnapshot {
        let account = &self.places.accounts[slot.account];
        let standing = self.standing_of(slot);
        let (state, until) = KeyState::of(standing.state(self.moment));
        let (since, reason) = standing.history();
        let denied = slot.denials().filter(|(_, it)| it.state(self.moment) != State::Ready);
        let credential = &slot.credential;
        KeySnapshot {
            label: credential.label.clone(),
            provider: credential.provider.clone(),
            account: account.name.clone(),
            state,
            since: since.filter(|_| state != KeyState::Ready).map(|since| self.time(since)),
            until: until.map(|until| self.time(until)),
            reason: reason.map(|reason| reason.to_string()),
            key: credential.key.masked(),
            base_url: credential.shown_base_url(),
            model: credential.model.clone(),
            denied: denied.filter_map(|(model, _)| self.model(*model)).collect(),
            lent: slot.counts.lent,
            succeeded: slot.counts.succeeded,
            rejected: slot.counts.rejected,
        }
    }

    /// What keeps a key away for longest: itself or its account, or else all the limits that it was
    /// used under, of which the first to end counts.
    fn standing_of<'a>(&'a self, slot: &'a Slot) -> &'a Standing {
        let ends = |standing: &Standing| standing.ready_at(self.moment).unwrap_or(Moment::MAX);
        let own = [&slot.standing, &self.places.accounts[slot.account].standing];
        let groups = slot.lanes.iter().map(|lane| &self.places.groups[lane.group]);
        let group = groups.filter(|group| group.is_used).map(|group| &group.standing);
        let denied = slot.denied(slot.model(0));
        let limits = group.min_by_key(|standing| ends(standing));
        let mut longest = own[0];
        for other in own.into_iter().skip(1).chain(limits).chain(denied) {
            if ends(other) > ends(longest) {
                longest = other;
            }
        }
        longest
    }

    fn group(&self, index: usize) -> GroupSnapshot {
        let group = &self.places.groups[index];
        let is_in = |slot: &&Slot| slot.lanes.iter().any(|lane| lane.group == index);
        let (state, until) = KeyState::of(group.standing.state(self.moment));
        let limits = group.shown(self.moment).map(|(dimension, per_minute, left)| LimitSnapshot {
            name: dimension.as_str(),
            per_minute,
            left,
        });
        GroupSnapshot {
            keys: self
                .places
                .slots
                .iter()
                .filter(is_in)
                .map(|it| it.credential.label.clone())
                .collect(),
            model: self.model(group.model),
            state,
            until: until.map(|until| self.time(until)),
            limits: limits.collect(),
            calls: group.calls,
            processes: group.processes,
        }
    }

    fn overload(&self, (provider, model, gate): (&str, usize, &Gate)) -> OverloadSnapshot {
        OverloadSnapshot {
            provider: provider.to_owned(),
            model: self.model(model),
            until: Some(self.time(gate.opens_at(self.moment))),
        }
    }

    fn model(&self, model: usize) -> Option<String> {
        self.places.model_name(model).map(ToString::to_string)
    }

    fn time(&self, moment: Moment) -> SystemTime {
        self.clock.time(moment, self.now)
    }
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn time<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}
