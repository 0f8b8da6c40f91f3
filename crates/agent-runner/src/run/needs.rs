//! Which agent a task is for, and what that needs; and so which tasks can be claimed now.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use agent_runner_task_store::{CommandLine, Takes};

use super::{
    attempt::shell_or_argv,
    supply::{Held, Hold, Needs},
};
use crate::profile::{Profile, Profiles, Recipe};

/// The agents of a run.
#[derive(Debug)]
pub(super) struct Agents {
    /// What the run's own command needs.
    usual: Needs,
    profiles: Profiles,
}

/// Which tasks can be claimed, and what those needed that were passed over.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) takes: Takes,
    held: Held,
    passed_over: Arc<Mutex<BTreeSet<Needs>>>,
}

impl Agents {
    pub(super) fn new(recipe: Option<&Recipe>, profiles: &Profiles) -> Arc<Self> {
        let usual = recipe.map(|recipe| needs(&recipe.profile)).unwrap_or_default();
        Arc::new(Self { usual, profiles: profiles.clone() })
    }

    /// The tasks whose agents have all that they need.
    pub(super) fn select(self: &Arc<Self>, held: Held) -> Selection {
        if held.is_empty() {
            return Selection::default();
        }
        let passed_over = Arc::default();
        let takes = {
            let (agents, held) = (Arc::clone(self), held.clone());
            let passed_over: Arc<Mutex<BTreeSet<Needs>>> = Arc::clone(&passed_over);
            Takes::new(move |command| {
                let needs = agents.needs_of(command);
                let is_held = held.of(&needs).is_some();
                if is_held {
                    passed_over.lock().unwrap_or_else(PoisonError::into_inner).insert(needs);
                }
                !is_held
            })
        };
        Selection { takes, held, passed_over }
    }

    fn needs_of(&self, command: Option<&CommandLine>) -> Needs {
        let Some(own) = command else { return self.usual.clone() };
        self.profiles.of_command(&shell_or_argv(own)).map(needs).unwrap_or_default()
    }
}

impl Selection {
    /// What is in the way of a task with this command.
    pub(super) fn hold_of(&self, agents: &Agents, command: Option<&CommandLine>) -> Option<Hold> {
        self.held.of(&agents.needs_of(command))
    }

    /// What those wait for that were passed over.
    pub(super) fn waits(&self) -> Vec<(Needs, Hold)> {
        let passed_over = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        passed_over.iter().filter_map(|needs| Some((needs.clone(), self.held.of(needs)?))).collect()
    }
}

/// What an agent of this profile needs.
pub(super) fn needs(profile: &Profile) -> Needs {
    Needs::new(profile.providers())
}
