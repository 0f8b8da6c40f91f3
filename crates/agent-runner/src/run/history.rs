//! What the store knows of a task's earlier attempts, and what that means for the next.

use agent_runner_task_store::{Attempt, Report};
use agent_runner_worktree::Landed;

use super::{
    outcome::Outcome,
    proof::{Merged, Proof},
};

/// A task's earlier attempts, first to last.
#[derive(Debug, Default)]
pub(super) struct History(pub(super) Vec<Attempt>);

impl History {
    /// Whether there was an attempt before this one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is recorded of them, last to first.
    pub(super) fn reports(&self) -> impl Iterator<Item = &Report> + Clone {
        self.0.iter().rev().filter_map(|attempt| attempt.report.as_ref())
    }

    /// The proof of the last attempt, with the report that it is part of.
    pub(super) fn last_proof(&self) -> Option<Proof> {
        self.reports().next().and_then(|report| Proof::of(&report.details))
    }

    /// A merge that nobody recorded: it was made by one of these attempts, whose run was killed or
    /// lost its claim before it could say so.
    pub(super) fn unrecorded(&self, landed: Option<&Landed>, target: &str) -> Option<Merged> {
        let landed = landed?;
        let commit = landed.commit.to_string();
        let is_known = |report: &Report| {
            let merged = Proof::of(&report.details).and_then(|proof| proof.merged);
            merged.is_some_and(|merged| merged.commit == commit)
        };
        let is_its_own = |attempt: &Attempt| {
            attempt.number == landed.attempt && landed.by.as_ref() == Some(&attempt.worker.run)
        };
        let is_unrecorded = self.0.iter().any(is_its_own) && !self.reports().any(is_known);
        is_unrecorded.then(|| Merged { target: target.to_owned(), commit, already: true })
    }

    /// How often in a row, up to the last attempt, something was in the way.
    pub(super) fn times_in_the_way(&self) -> u32 {
        let is_in_the_way = |report: &&Report| {
            let blocked = [Outcome::MergeBlocked, Outcome::WorktreeBlocked];
            blocked.iter().any(|it| it.as_str() == report.outcome)
        };
        u32::try_from(self.reports().take_while(is_in_the_way).count()).unwrap_or(u32::MAX)
    }
}
