//! The project's folder, in which all agents work.

use std::path::{Path, PathBuf};

use agent_runner_worktree::{OpenError, Sight, Watched};

use super::{Setting, Sites, blocking};
use crate::{
    error::chain_of,
    run::{attempt::Ended, outcome::Outcome, proof::DiffStat},
};

/// The project's folder, and how it was when the attempt began.
pub(in crate::run) struct Shared {
    folder: PathBuf,
    before: Option<(Watched, Sight)>,
}

impl Shared {
    /// Looks at the folder if something is to change in it.
    pub(in crate::run) async fn enter(
        sites: &Sites,
        folder: &Path,
        expect_diff: Option<bool>,
    ) -> Result<Self, Ended> {
        let folder = folder.to_owned();
        if !sites.expects_diff(expect_diff) {
            return Ok(Self { folder, before: None });
        }
        let (watched, root) = (sites.watched.clone(), folder.clone());
        let looked = blocking(move || -> Result<_, Box<Ended>> {
            let watched = match watched {
                Some(watched) => watched,
                None => Watched::open(&root).map_err(|error| Box::new(unwatchable(&error)))?,
            };
            let sight = watched.look().map_err(|error| Box::new(unseen(&error)))?;
            Ok((watched, sight))
        });
        let before = looked.await.map_err(|ended| *ended)?;
        Ok(Self { folder, before: Some(before) })
    }

    pub(super) fn setting(&self) -> Setting {
        Setting { folder: self.folder.clone(), variables: Vec::new(), unset: &[] }
    }

    pub(super) fn expects_diff(&self) -> bool {
        self.before.is_some()
    }

    /// Looks again, if it was looked at before.
    pub(super) async fn keep(&mut self, mut ended: Ended) -> Ended {
        let Some((watched, before)) = self.before.clone() else { return ended };
        let compared = blocking(move || {
            let after = watched.look()?;
            let diff = watched.diff(&before, &after)?;
            Ok(DiffStat { changed: before != after, ..DiffStat::of(&diff) })
        });
        match compared.await {
            Ok(diff) => ended.proof.diff = Some(diff),
            Err(error) if ended.outcome == Outcome::Succeeded => {
                let Ended { outcome, message, .. } = unseen(&error);
                (ended.outcome, ended.message) = (outcome, message);
            }
            Err(_) => {}
        }
        ended
    }
}

fn unwatchable(error: &OpenError) -> Ended {
    let why = chain_of(error);
    let message = format!("it is to change a file, which is seen in a git repository only: {why}");
    Ended::new(Outcome::Invalid, message)
}

fn unseen(error: &agent_runner_worktree::Error) -> Ended {
    let why = chain_of(error);
    Ended::new(Outcome::WorkerFailed, format!("could not see what changed: {why}"))
}
