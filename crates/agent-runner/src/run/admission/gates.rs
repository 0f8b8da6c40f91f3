//! Gates that are closed while the machine has too little left for another agent.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::machine;
use crate::{
    error::{Error, Result},
    units::show_size,
};

/// How long what was seen is believed, and how often a closed gate is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(300);

/// What a machine must have left for another agent to be started.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(in super::super) struct Floor {
    /// The highest load.
    pub(in super::super) load: Option<f64>,
    /// The least memory in bytes.
    pub(in super::super) memory: Option<u64>,
}

/// Why none may be started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hold {
    Load { now: f64, most: f64 },
    Memory { free: u64, least: u64 },
}

#[derive(Debug)]
pub(super) struct Gates {
    floor: Floor,
    seen: Mutex<Option<(Instant, Option<Hold>)>>,
}

impl Floor {
    /// Refuses what could never be seen.
    pub(in super::super) fn check(self) -> Result<Self> {
        let unknown = |what: &str, flag: &str| {
            Err(Error::usage(format!(
                "{what} of this system cannot be read, so that `{flag}` means nothing"
            )))
        };
        match (self.load.map(|_| machine::load()), self.memory.map(|_| machine::free_memory())) {
            (Some(None), _) => unknown("the load", "--max-load"),
            (_, Some(None)) => unknown("the free memory", "--min-free-memory"),
            _ => Ok(self),
        }
    }

    fn is_missed(self) -> Option<Hold> {
        let load = self.load.and_then(|most| {
            let now = machine::load()?;
            (now > most).then_some(Hold::Load { now, most })
        });
        load.or_else(|| {
            let (least, free) = (self.memory?, machine::free_memory()?);
            (free < least).then_some(Hold::Memory { free, least })
        })
    }
}

impl Gates {
    pub(super) const fn new(floor: Floor) -> Self {
        Self { floor, seen: Mutex::new(None) }
    }

    /// Why no agent may be started, if so. The machine is asked a few times a second at most.
    pub(super) fn closed(&self) -> Option<Hold> {
        if self.floor == Floor::default() {
            return None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, hold) = seen
            .filter(|(at, _)| at.elapsed() < LOOK)
            .unwrap_or_else(|| (Instant::now(), self.floor.is_missed()));
        *seen = Some((at, hold));
        hold
    }
}

impl Hold {
    /// The name in JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Load { .. } => "load",
            Self::Memory { .. } => "memory",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Load { now, most } => write!(f, "the load is {now:.1}, more than {most}"),
            Self::Memory { free, least } => {
                write!(f, "{} of memory are free, less than {}", show_size(free), show_size(least))
            }
        }
    }
}
