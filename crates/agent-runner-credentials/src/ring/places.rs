//! Who shares what: keys, their accounts, the limit groups and the gates.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{
    clock::Moment,
    gate::Gate,
    group::{Group, Taken},
    lease::Epochs,
    sessions::Sessions,
    slot::Slot,
    standing::Standing,
};
use crate::{Credential, Kind, Want};

/// All states, by what they are about. Models, accounts, groups and gates are numbers.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) slots: Vec<Slot>,
    /// The keys in the order in which they were lent last, the longest ago first.
    pub(super) line: Vec<usize>,
    pub(super) accounts: Vec<Account>,
    pub(super) groups: Vec<Group>,
    pub(super) gates: Vec<Gate>,
    /// The gate of a service with a model.
    gate_of: HashMap<(usize, usize), usize>,
    services: Vec<Service>,
    /// By number; the first one is that of those who name none.
    models: Vec<Option<Arc<str>>>,
    pub(super) sessions: Sessions,
}

/// An organisation, workspace or project, as far as it is known; at first each key is its own.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) name: Option<String>,
    pub(super) standing: Standing,
}

/// A provider at a base URL.
#[derive(PartialEq, Eq)]
struct Service {
    provider: String,
    /// It may hold a password.
    base_url: Option<String>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// The group and the gate of a key with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) group: usize,
    pub(super) gate: usize,
}

/// The number of the model that nobody named.
const NONE: usize = 0;
/// So many models are told apart; more share the state of those who name none.
const MODELS: usize = 256;

impl Places {
    pub(super) fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        let mut places = Self { models: vec![None], ..Self::default() };
        for credential in credentials {
            let own = credential.model.clone().map(|model| places.number(&model));
            let service = places.service(&credential);
            places.accounts.push(Account::default());
            let account = places.accounts.len() - 1;
            places.line.push(places.slots.len());
            places.slots.push(Slot::new(credential, account, service, own));
        }
        for model in 0..places.models.len() {
            places.pave(model);
        }
        places
    }

    /// The number of a model, with a lane for each key.
    pub(super) fn model_of(&mut self, name: Option<&str>) -> usize {
        let known = self.models.len();
        let number = name.map_or(NONE, |name| self.number(name));
        if self.models.len() > known {
            self.pave(number);
        }
        number
    }

    /// The number of a model; one that was never wanted stands as if it had no name.
    pub(super) fn known_model(&self, name: Option<&str>) -> usize {
        name.and_then(|name| self.find(name)).unwrap_or(NONE)
    }

    pub(super) fn model_name(&self, model: usize) -> Option<&Arc<str>> {
        self.models[model].as_ref()
    }

    /// Notes that a key is in use, and returns the model it is used with, what was taken of its
    /// limits, and the states that it was lent in.
    pub(super) fn take(
        &mut self,
        key: usize,
        want: &Want,
        model: usize,
        now: Moment,
    ) -> (usize, Taken, Epochs) {
        let input = self.input_of(key, want);
        self.send_back(key);
        let slot = &mut self.slots[key];
        let model = slot.model(model);
        let lane = slot.lanes[model];
        slot.counts.lent += 1;
        slot.processes += u32::from(want.kind == Kind::Process);
        let (group, gate) = (&mut self.groups[lane.group], &mut self.gates[lane.gate]);
        let cost = group.cost(input, want.output_tokens);
        let taken = group.take(want.kind, cost, now);
        gate.enter(now);
        let epochs = Epochs {
            key: slot.standing.epoch(),
            denied: slot.denied(model).map_or(0, Standing::epoch),
            account: self.accounts[slot.account].standing.epoch(),
            group: group.standing.epoch(),
            gate: gate.epoch(),
        };
        (model, taken, epochs)
    }

    /// Moves a key to the end of the line.
    fn send_back(&mut self, key: usize) {
        let place = self.line.iter().position(|other| *other == key);
        self.line[place.expect("every key is in the line")..].rotate_left(1);
    }

    pub(super) fn reset(&mut self, label: &str, now: Moment) -> bool {
        let mut found = false;
        for slot in self.slots.iter_mut().filter(|slot| slot.credential.label == label) {
            found = true;
            slot.reset(now);
            self.accounts[slot.account].standing.reset(now);
            for lane in &slot.lanes {
                self.groups[lane.group].standing.reset(now);
            }
        }
        found
    }

    /// Notes whose a key is, once. Keys of one account share its state and its limits from now on.
    pub(super) fn belongs(&mut self, key: usize, name: &str, now: Moment) {
        let (own, service) = (self.slots[key].account, self.slots[key].service);
        if self.accounts[own].name.is_some() {
            return;
        }
        // The same name at another service is another account.
        let is_same = |slot: &Slot| {
            slot.service == service && self.accounts[slot.account].name.as_deref() == Some(name)
        };
        match self.slots.iter().position(is_same) {
            Some(friend) => self.join(key, friend, now),
            None => self.accounts[own].name = Some(name.to_owned()),
        }
    }

    pub(super) fn group_of(&self, key: usize, model: usize) -> usize {
        let slot = &self.slots[key];
        slot.lanes[slot.model(model)].group
    }

    /// Keeps all groups that fit.
    pub(super) fn hold(&self, want: &Want, model: usize, held: &mut [bool]) {
        for (key, slot) in self.slots.iter().enumerate() {
            if slot.fits(want) {
                held[self.group_of(key, model)] = true;
            }
        }
    }

    /// The gates that are shut, with their provider and model.
    pub(super) fn shut_gates(&self) -> impl Iterator<Item = (&str, usize, &Gate)> {
        let gates = self.gate_of.iter().map(|((service, model), gate)| {
            (&*self.services[*service].provider, *model, &self.gates[*gate])
        });
        gates.filter(|(_, _, gate)| gate.is_shut())
    }

    fn join(&mut self, key: usize, friend: usize, now: Moment) {
        let (own, account) = (self.slots[key].account, self.slots[friend].account);
        let standing = std::mem::take(&mut self.accounts[own].standing);
        self.accounts[account].standing.merge(&standing);
        self.slots[key].account = account;
        for model in 0..self.models.len() {
            let to = self.slots[friend].lanes[model].group;
            let from = std::mem::replace(&mut self.slots[key].lanes[model].group, to);
            let group = std::mem::take(&mut self.groups[from]);
            self.groups[to].merge(group, now);
        }
    }

    /// Gives each key a group and a gate for a new model.
    fn pave(&mut self, model: usize) {
        for index in 0..self.slots.len() {
            let (account, service) = (self.slots[index].account, self.slots[index].service);
            let mut friends = self.slots[..index].iter();
            let friend = friends.find(|slot| slot.account == account);
            let group = if let Some(friend) = friend {
                friend.lanes[model].group
            } else {
                self.groups.push(Group::new(model));
                self.groups.len() - 1
            };
            let gate = *self.gate_of.entry((service, model)).or_insert_with(|| {
                self.gates.push(Gate::default());
                self.gates.len() - 1
            });
            self.slots[index].lanes.push(Lane { group, gate });
        }
    }

    fn number(&mut self, model: &str) -> usize {
        self.find(model).unwrap_or_else(|| {
            if self.models.len() == MODELS {
                return NONE;
            }
            self.models.push(Some(Arc::from(model)));
            self.models.len() - 1
        })
    }

    fn find(&self, model: &str) -> Option<usize> {
        self.models.iter().position(|known| known.as_deref() == Some(model))
    }

    fn service(&mut self, credential: &Credential) -> usize {
        let (provider, base_url) = (credential.provider.clone(), credential.base_url.clone());
        let service = Service { provider, base_url };
        let known = self.services.iter().position(|known| *known == service);
        known.unwrap_or_else(|| {
            self.services.push(service);
            self.services.len() - 1
        })
    }
}
