//! The credentials of a run: which are lent to an attempt, and what its end says about them.

mod held;
mod pause;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use agent_runner_credentials::{
    Credential, End, ExposeSecret, Form, KeySnapshot, Lent as Lease, Rejection, SharedRing,
    Snapshot, StateFile, Want, is_key_variable,
};
use agent_runner_gateway::{Refused, Unreachable};

pub(super) use self::held::{Held, Hold, Needs};
use self::pause::Pause;
use super::outcome::Outcome;
use crate::{error::Result, key_state, keys, project::Project, report::Event, ui::Ui};

/// All credentials, and the pauses that are no key's fault.
#[derive(Debug)]
pub struct Supply {
    ring: SharedRing,
    state: Mutex<State>,
    /// One credential of each is lent to an attempt.
    providers: Vec<String>,
    /// Those of which there are keys, and not accounts alone.
    keyed: BTreeSet<String>,
    /// The keys themselves, those that were renewed meanwhile included.
    secrets: Arc<Mutex<Vec<String>>>,
    /// The variables of this process that no agent may see.
    variables: Vec<String>,
    /// What the machine's runs know of keys.
    file: Option<StateFile>,
}

#[derive(Debug)]
struct State {
    ring: SharedRing,
    /// By what the agents need that met them.
    pauses: BTreeMap<Needs, Pause>,
    /// Those whose providers were reached at some time, by what is needed.
    reached: BTreeSet<Needs>,
    /// The waits that were told, by what is needed.
    told: BTreeSet<Needs>,
    /// By provider, the model for which there was no key when an agent asked: its limits are its own.
    scarce: BTreeMap<String, String>,
}

/// What was lent to an attempt: at most one credential of each provider.
#[derive(Debug)]
pub(super) struct Lent {
    needs: Needs,
    /// Of what is needed.
    leases: Vec<Lease>,
    /// What an agent may find beside that.
    others: Vec<Lease>,
    label: Option<String>,
}

/// What the end of an attempt meant for the supply.
#[derive(Debug)]
pub(super) struct Settled {
    /// How long the task waits before it is tried again.
    pub(super) retry_after: Option<Duration>,
    /// What to tell about the credential.
    pub(super) event: Option<Event>,
}

impl Supply {
    /// Finds the credentials of a project.
    pub fn load(project: &Project, ui: &Ui) -> Result<Self> {
        let loaded = keys::load(project)?;
        for notice in &loaded.notices {
            ui.warn(notice);
        }
        let credentials = &loaded.credentials;
        // The path of a folder is no secret.
        let secret = credentials.iter().filter(|it| it.form != Form::ConfigFolder);
        let secrets: Vec<_> = secret.map(|credential| credential.key.expose().to_owned()).collect();
        let secrets = Arc::new(Mutex::new(secrets));
        let providers: BTreeSet<_> =
            credentials.iter().map(|credential| credential.provider.clone()).collect();
        let keys = credentials.iter().filter(|it| it.form == Form::ApiKey);
        let keyed = keys.map(|credential| credential.provider.clone()).collect();
        let variables = variables(credentials);
        let all = Arc::clone(&secrets);
        let ring = keys::ring(project, loaded, ui, move |key| {
            all.lock().unwrap_or_else(PoisonError::into_inner).push(key.expose().to_owned());
        });
        Ok(Self {
            providers: providers.iter().cloned().collect(),
            keyed,
            variables,
            secrets,
            file: None,
            ring: ring.clone(),
            state: Mutex::new(State {
                ring,
                pauses: BTreeMap::new(),
                reached: BTreeSet::new(),
                told: BTreeSet::new(),
                scarce: BTreeMap::new(),
            }),
        })
    }

    /// Shares what is known of keys with the runs of this machine, past ones included.
    pub fn shared(self, ui: &Ui) -> Self {
        let supply = Self { file: key_state::shared_file(), ..self };
        supply.sync(ui);
        supply
    }

    /// Learns from others, and lets them learn.
    pub(super) fn sync(&self, ui: &Ui) {
        if let Some(file) = &self.file {
            self.ring.with(|ring, now| key_state::sync(file, ring, now, ui));
        }
    }

    /// How the credentials stand.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.ring.snapshot()
    }

    /// How many credentials there are.
    pub(super) fn len(&self) -> usize {
        self.ring.with(|ring, _| ring.len())
    }

    /// The keys themselves, for whoever lends them request by request.
    pub(super) fn ring(&self) -> &SharedRing {
        &self.ring
    }

    /// Whose keys there are, that can be lent request by request.
    pub(super) const fn keyed(&self) -> &BTreeSet<String> {
        &self.keyed
    }

    /// The model that agents of a provider are told, if each of its keys names one. It is the first
    /// key's: whoever lends another sees to that one's model.
    pub(super) fn model(&self, provider: &str) -> Option<String> {
        self.ring.with(|ring, _| {
            let keys = ring.credentials().filter(|it| it.provider == provider);
            let mut models = keys.filter(|it| it.form == Form::ApiKey).map(|it| it.model.clone());
            let first = models.next()?;
            first.filter(|_| models.all(|model| model.is_some()))
        })
    }

    /// The secrets, to be masked.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The variables to strip from an agent's environment.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// What is in the way of agents now.
    pub(super) fn held(&self) -> Held {
        let state = &mut *self.lock();
        let mut held = Held::default();
        for provider in &self.providers {
            let want = state.want(provider);
            let rest = self.ring.with(|ring, now| {
                let at = ring.next_ready(now, &want)?;
                Some(at.duration_since(now).unwrap_or_default())
            });
            if rest.is_some_and(|rest| rest.is_zero()) {
                state.scarce.remove(provider);
            } else {
                held.providers.insert(provider.clone(), rest);
            }
        }
        let pauses = state.pauses.iter();
        held.pauses = pauses.filter_map(|(needs, it)| Some((needs.clone(), it.left()?))).collect();
        state.told.retain(|needs| held.of(needs).is_some());
        held
    }

    /// Whether this wait has not been told yet.
    pub(super) fn announce(&self, needs: &Needs) -> bool {
        self.lock().told.insert(needs.clone())
    }

    /// Lends a credential of each provider that is needed; `None` when one has none ready. Those of
    /// others are lent as well where they are ready: the project's own programs may use them.
    pub(super) fn lend(&self, needs: &Needs) -> Option<Lent> {
        let lease = |provider| self.ring.try_lease(&Want::process().provider(provider)).ok();
        let (needed, others): (Vec<_>, Vec<_>) =
            self.providers.iter().partition(|provider| needs.include(provider));
        let leases: Vec<_> = needed.into_iter().map(lease).collect::<Option<_>>()?;
        let others = others.into_iter().filter_map(lease).collect();
        let labels: Vec<_> = leases.iter().map(|lease| lease.credential().label.clone()).collect();
        let label = (!labels.is_empty()).then(|| labels.join("+"));
        Some(Lent { needs: needs.clone(), leases, others, label })
    }

    /// Takes back what was lent, and learns from how the attempt ended.
    pub(super) fn settle(&self, lent: Lent, outcome: Outcome, wait: Option<Duration>) -> Settled {
        let mut state = self.lock();
        let Some(rejection) = rejection(outcome, wait) else {
            if outcome == Outcome::Succeeded {
                state.succeed(&lent.needs);
                lent.end(End::Success(None));
                return Settled { retry_after: None, event: None };
            }
            lent.end(End::Lost);
            return Settled { retry_after: wait, event: None };
        };
        if lent.leases.len() == 1 && rejection.is_about_key() {
            return state.reject(lent, rejection);
        }
        let needs = lent.needs.clone();
        lent.end(End::Lost);
        state.pause(needs, rejection)
    }

    /// Learns from how an attempt ended whose keys were lent request by request: the ring has heard
    /// of every refusal already. If it knows of a key that is ready all the same, then the agent
    /// uses something else, and everybody waits.
    pub(super) fn settle_lent_by_request(
        &self,
        needs: &Needs,
        outcome: Outcome,
        wait: Option<Duration>,
        refused: Option<Refused>,
        was_reached: bool,
    ) -> Settled {
        let rejection = rejection(outcome, wait);
        if was_reached {
            self.lock().reached.insert(needs.clone());
        }
        match refused {
            Some(Refused { unreachable: Some(told), .. }) if outcome == Outcome::Unreachable => {
                return self.pause_unreachable(needs, told);
            }
            Some(Refused { provider, model: Some(model), unreachable: None, .. }) => {
                self.lock().scarce.insert(provider, model);
            }
            _ => {}
        }
        let is_known = rejection.is_some() && self.held().of(needs).is_some();
        let mut state = self.lock();
        match rejection {
            _ if is_known => Settled { retry_after: None, event: None },
            Some(rejection) => state.pause(needs.clone(), rejection),
            None => {
                if outcome == Outcome::Succeeded {
                    state.succeed(needs);
                }
                Settled { retry_after: wait, event: None }
            }
        }
    }

    /// All wait that need what cannot be reached. Agents that met it at the same time count once.
    fn pause_unreachable(&self, needs: &Needs, told: Unreachable) -> Settled {
        if self.held().of(needs).is_some_and(|hold| hold.unreachable.is_some()) {
            return Settled { retry_after: None, event: None };
        }
        let mut state = self.lock();
        let was_reached = state.reached.contains(needs);
        let pause = state.pauses.entry(needs.clone()).or_default();
        let wait = pause.prolong_unreachable(told, was_reached);
        Settled { retry_after: wait, event: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What agents of this provider want.
    fn want(&self, provider: &str) -> Want {
        let want = Want::process().provider(provider);
        match self.scarce.get(provider) {
            Some(model) => want.model(model),
            None => want,
        }
    }

    fn succeed(&mut self, needs: &Needs) {
        if let Some(pause) = self.pauses.get_mut(needs) {
            pause.succeed();
        }
    }

    /// One key is at fault: it rests, and the task goes to the next one at once.
    fn reject(&mut self, lent: Lent, rejection: Rejection) -> Settled {
        let now = SystemTime::now();
        let label = lent.label.clone().unwrap_or_default();
        let before = self.state_of(&label).map(|key| key.state);
        lent.end(End::Rejected(rejection));
        // Attempts that were under way with the same key say the same again.
        let changed = self.state_of(&label).filter(|key| Some(key.state) != before);
        let event = changed.map(|key| Event::KeyRested {
            key: key.label,
            state: key.state.as_str().to_owned(),
            ready_in_s: key
                .until
                .and_then(|until| until.duration_since(now).ok())
                .map(|wait| wait.as_secs_f64()),
        });
        Settled { retry_after: None, event }
    }

    fn state_of(&self, label: &str) -> Option<KeySnapshot> {
        self.ring.snapshot().keys.into_iter().find(|key| key.label == label)
    }

    /// Nobody's key, or one that is not known: all agents wait that need the same.
    fn pause(&mut self, needs: Needs, rejection: Rejection) -> Settled {
        let wait = self.pauses.entry(needs).or_default().prolong(rejection);
        Settled { retry_after: Some(wait), event: None }
    }
}

impl Lent {
    fn end(self, end: End<'_>) {
        for lease in self.leases {
            lease.settle(end);
        }
        for lease in self.others {
            lease.settle(End::Lost);
        }
    }

    /// Which were lent, for people.
    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// What the agent finds in its environment.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let leases = self.leases.iter().chain(&self.others);
        leases
            .flat_map(|lease| lease.credential().environment())
            .map(|(name, value)| (name, value.expose_secret().to_owned()))
            .collect()
    }
}

/// What an end says about the credential, if it does.
fn rejection(outcome: Outcome, wait: Option<Duration>) -> Option<Rejection> {
    Some(match outcome {
        Outcome::Throttled => Rejection::RateLimited { retry_after: wait },
        Outcome::Overloaded => Rejection::Overloaded { retry_after: wait },
        Outcome::Quota => Rejection::quota(wait),
        Outcome::Billing => Rejection::Billing,
        Outcome::Auth => Rejection::Unauthorized,
        _ => return None,
    })
}

/// The variables of this process that hold credentials of these providers.
fn variables(credentials: &[Credential]) -> Vec<String> {
    let prefixes: BTreeSet<_> =
        credentials.iter().map(|credential| credential.provider.to_uppercase()).collect();
    env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| prefixes.iter().any(|prefix| is_key_variable(name, prefix)))
        .collect()
}
