//! The credentials of a run: which are lent to an attempt, and what its end says about them.

use std::{
    collections::BTreeSet,
    env,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff};
use agent_runner_credentials::{
    Credential, End, ExposeSecret, Form, KeyRing, KeySnapshot, Lease, Rejection, Snapshot,
    StateFile, Want, is_key_variable,
};

use super::outcome::Outcome;
use crate::{error::Result, key_state, keys, project::Project, report::Event, ui::Ui};

/// All credentials, and the pauses that are no key's fault.
#[derive(Debug)]
pub struct Supply {
    state: Mutex<State>,
    /// One credential of each is lent to an attempt.
    providers: Vec<String>,
    secrets: Vec<String>,
    /// The variables of this process that no agent may see.
    variables: Vec<String>,
    /// What the machine's runs know of keys.
    file: Option<StateFile>,
}

#[derive(Debug)]
struct State {
    ring: KeyRing,
    paused_until: Option<Instant>,
    backoff: AdaptiveBackoff,
    /// No key is known, and the provider refused the agent's own login.
    refused: bool,
    announced: bool,
}

/// Whether an attempt can be supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// Yes.
    Now,
    /// Not for so long.
    In(Duration),
    /// Not until a person does something.
    Never,
}

/// What was lent to an attempt: at most one credential of each provider.
#[derive(Debug)]
pub(super) struct Lent {
    leases: Vec<Lease>,
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
        let credentials = loaded.credentials;
        // The path of a folder is no secret.
        let secret = credentials.iter().filter(|it| it.form != Form::ConfigFolder);
        let secrets = secret.map(|credential| credential.key.expose().to_owned()).collect();
        let providers: BTreeSet<_> =
            credentials.iter().map(|credential| credential.provider.clone()).collect();
        Ok(Self {
            providers: providers.iter().cloned().collect(),
            variables: variables(&credentials),
            secrets,
            file: None,
            state: Mutex::new(State {
                ring: KeyRing::new(credentials),
                paused_until: None,
                backoff: AdaptiveBackoff::new(ExponentialBackoff::new()),
                refused: false,
                announced: false,
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
            key_state::sync(file, &mut self.lock().ring, SystemTime::now(), ui);
        }
    }

    /// How the credentials stand.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().ring.snapshot(SystemTime::now())
    }

    /// How many credentials there are.
    pub(super) fn len(&self) -> usize {
        self.lock().ring.len()
    }

    /// The secrets, to be masked.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }

    /// The variables to strip from an agent's environment.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// Whether an attempt can be supplied now.
    pub(super) fn ready(&self) -> Ready {
        let mut state = self.lock();
        if state.refused {
            return Ready::Never;
        }
        let now = SystemTime::now();
        let pause = state.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        let mut longest = pause.unwrap_or_default();
        for provider in &self.providers {
            match state.ring.next_ready(now, &Want::process().provider(provider)) {
                Some(at) => longest = longest.max(at.duration_since(now).unwrap_or_default()),
                None => return Ready::Never,
            }
        }
        if longest.is_zero() {
            state.announced = false;
            return Ready::Now;
        }
        Ready::In(longest)
    }

    /// Whether what is waited for is a pause for everybody, and no key's rest.
    pub(super) fn is_pause(&self) -> bool {
        self.lock().paused_until.is_some_and(|until| until > Instant::now())
    }

    /// Whether this wait has not been told yet.
    pub(super) fn announce(&self) -> bool {
        !std::mem::replace(&mut self.lock().announced, true)
    }

    /// Lends a credential of each provider; `None` when one has none ready.
    pub(super) fn lend(&self) -> Option<Lent> {
        let mut state = self.lock();
        let now = SystemTime::now();
        let leases: Vec<_> = self
            .providers
            .iter()
            .map(|provider| state.ring.lease(now, &Want::process().provider(provider)).ok())
            .collect::<Option<_>>()?;
        let labels: Vec<_> = leases.iter().map(|lease| lease.credential().label.clone()).collect();
        Some(Lent { label: (!labels.is_empty()).then(|| labels.join("+")), leases })
    }

    /// Takes back what was lent, and learns from how the attempt ended.
    pub(super) fn settle(&self, lent: Lent, outcome: Outcome, wait: Option<Duration>) -> Settled {
        let mut state = self.lock();
        let rejection = match outcome {
            Outcome::Throttled => Rejection::RateLimited { retry_after: wait },
            Outcome::Overloaded => Rejection::Overloaded { retry_after: wait },
            Outcome::Quota => Rejection::quota(wait),
            Outcome::Billing => Rejection::Billing,
            Outcome::Auth => Rejection::Unauthorized,
            Outcome::Succeeded => {
                state.succeed(lent);
                return Settled { retry_after: None, event: None };
            }
            _ => {
                state.end(lent, End::Lost);
                return Settled { retry_after: wait, event: None };
            }
        };
        if lent.leases.len() == 1 && rejection.is_about_key() {
            return state.reject(lent, rejection);
        }
        state.end(lent, End::Lost);
        state.pause(rejection)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn succeed(&mut self, lent: Lent) {
        self.backoff.record_success();
        self.end(lent, End::Success(None));
    }

    fn end(&mut self, lent: Lent, end: End<'_>) {
        for lease in lent.leases {
            self.ring.settle(lease, SystemTime::now(), end);
        }
    }

    /// One key is at fault: it rests, and the task goes to the next one at once.
    fn reject(&mut self, lent: Lent, rejection: Rejection) -> Settled {
        let now = SystemTime::now();
        let label = lent.label.clone().unwrap_or_default();
        let before = self.state_of(&label, now).map(|key| key.state);
        self.end(lent, End::Rejected(rejection));
        // Attempts that were under way with the same key say the same again.
        let changed = self.state_of(&label, now).filter(|key| Some(key.state) != before);
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

    fn state_of(&self, label: &str, now: SystemTime) -> Option<KeySnapshot> {
        self.ring.snapshot(now).keys.into_iter().find(|key| key.label == label)
    }

    /// Nobody's key, or one that is not known: everybody waits. A login that is refused is the end.
    fn pause(&mut self, rejection: Rejection) -> Settled {
        self.refused |= matches!(rejection, Rejection::Unauthorized | Rejection::Billing);
        self.backoff.record_failure();
        if let Some(wait) = rejection.retry_after() {
            self.backoff.record_retry_after(wait);
        }
        let wait = self.backoff.delay();
        let until = Instant::now() + wait;
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
        Settled { retry_after: Some(wait), event: None }
    }
}

impl Lent {
    /// Which were lent, for people.
    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// What the agent finds in its environment.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        self.leases
            .iter()
            .flat_map(|lease| lease.credential().environment())
            .map(|(name, value)| (name, value.expose_secret().to_owned()))
            .collect()
    }
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
