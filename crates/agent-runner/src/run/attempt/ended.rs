//! What an attempt came to.

use std::{collections::BTreeMap, time::Duration};

use crate::run::{
    outcome::{Outcome, Payer},
    proof::{self, Proof},
};

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) struct Ended {
    pub(in crate::run) outcome: Outcome,
    pub(in crate::run) message: Option<String>,
    pub(in crate::run) exit_code: Option<i32>,
    pub(in crate::run) signal: Option<i32>,
    pub(in crate::run) duration: Duration,
    pub(in crate::run) retry_after: Option<Duration>,
    pub(in crate::run) log: Option<String>,
    pub(in crate::run) credential: Option<String>,
    pub(in crate::run) details: BTreeMap<String, serde_json::Value>,
    pub(in crate::run) proof: Proof,
}

impl Ended {
    pub(in crate::run) fn new(outcome: Outcome, message: impl Into<Option<String>>) -> Self {
        Self {
            outcome,
            message: message.into(),
            exit_code: None,
            signal: None,
            duration: Duration::ZERO,
            retry_after: None,
            log: None,
            credential: None,
            details: BTreeMap::new(),
            proof: Proof::default(),
        }
    }

    /// What is kept of it, under names of which the agent cannot choose this one.
    pub(in crate::run) fn details_with_proof(&self) -> BTreeMap<String, serde_json::Value> {
        let mut details = self.details.clone();
        details.insert(proof::DETAIL.to_owned(), self.proof.to_value());
        details
    }

    /// What an agent did, but for what became of it afterwards.
    pub(in crate::run) fn but(self, end: Self) -> Self {
        let is_its_fault = !matches!(end.outcome.payer(), Payer::Nobody | Payer::Worker);
        Self {
            exit_code: end.exit_code.or(self.exit_code),
            duration: self.duration + end.duration,
            log: self.log,
            credential: self.credential,
            details: self.details,
            proof: Proof {
                verified: end.proof.verified.or(self.proof.verified),
                survivors: self.proof.survivors + end.proof.survivors,
                ready: self.proof.ready && !is_its_fault,
                ..self.proof
            },
            ..end
        }
    }
}
