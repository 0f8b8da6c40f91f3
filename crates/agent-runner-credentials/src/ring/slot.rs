//! One key of the ring.

use std::{sync::Arc, time::Duration};

use super::{
    clock::Moment,
    places::Lane,
    renewal::Renewal,
    standing::{Standing, Term},
};
use crate::{Credential, Form, Kind, Rejection, Want};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A key and what is known about it alone.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) credential: Arc<Credential>,
    pub(super) standing: Standing,
    /// How it stands for models that it was refused for.
    denied: Vec<(usize, Standing)>,
    /// Whose it is: the account's number.
    pub(super) account: usize,
    /// The endpoint's number, without the model.
    pub(super) service: usize,
    /// By the model's number.
    pub(super) lanes: Vec<Lane>,
    own_model: Option<usize>,
    pub(super) renewal: Renewal,
    pub(super) processes: u32,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) lent: u64,
    pub(super) succeeded: u64,
    pub(super) rejected: u64,
}

impl Slot {
    pub(super) fn new(
        credential: Credential,
        account: usize,
        service: usize,
        own_model: Option<usize>,
    ) -> Self {
        Self {
            credential: Arc::new(credential),
            standing: Standing::default(),
            denied: Vec::new(),
            account,
            service,
            lanes: Vec::new(),
            own_model,
            renewal: Renewal::default(),
            processes: 0,
            counts: Counts::default(),
        }
    }

    /// The model it is used with: its own, or the one that is wanted.
    pub(super) fn model(&self, wanted: usize) -> usize {
        self.own_model.unwrap_or(wanted)
    }

    /// Whether it is what is wanted: accounts of agents' own are for their processes.
    pub(super) fn fits(&self, want: &Want) -> bool {
        let provider = want.provider.as_deref();
        provider.is_none_or(|provider| self.credential.provider == provider)
            && (want.kind == Kind::Process || self.credential.form == Form::ApiKey)
    }

    pub(super) fn denied(&self, model: usize) -> Option<&Standing> {
        self.denied.iter().find(|(denied, _)| *denied == model).map(|(_, standing)| standing)
    }

    pub(super) fn denials(&self) -> impl Iterator<Item = &(usize, Standing)> {
        self.denied.iter()
    }

    pub(super) fn deny(&mut self, model: usize, epoch: u64, now: Moment) -> bool {
        let index = self.denied.iter().position(|(denied, _)| *denied == model);
        let index = index.unwrap_or_else(|| {
            self.denied.push((model, Standing::default()));
            self.denied.len() - 1
        });
        let term = Term::Growing { first: 10 * MINUTE, longest: 6 * HOUR, spent: false };
        self.denied[index].1.reject(epoch, now, term, Rejection::Forbidden)
    }

    pub(super) fn succeed(&mut self, model: usize, epochs: (u64, u64), now: Moment) {
        self.standing.succeed(epochs.0, now);
        if let Some((_, denied)) = self.denied.iter_mut().find(|(denied, _)| *denied == model) {
            denied.succeed(epochs.1, now);
        }
    }

    pub(super) fn reset(&mut self, now: Moment) {
        self.standing.reset(now);
        self.denied.iter_mut().for_each(|(_, denied)| denied.reset(now));
    }
}
