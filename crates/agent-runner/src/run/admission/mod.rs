//! Whether another agent may be started: asked before a task is claimed, so that none is claimed
//! and then waits.

mod gates;
mod machine;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use agent_runner_lock::TaskLock;
use agent_runner_pool::{AdaptiveLimit, AdaptivePolicy, Stop};
use tokio::sync::Notify;

pub(super) use self::gates::Floor;
use self::gates::{Gates, Hold, LOOK};
use super::outcome::Outcome;
use crate::report::{Event, Reporter};

/// What a run was asked to mind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AdmissionRules {
    /// How many agents work at once, at most.
    pub(super) jobs: u32,
    /// Whether fewer work at once when a provider asks to slow down.
    pub(super) adaptive: bool,
    /// How long after a start that raised the number of agents at work another one may.
    pub(super) stagger: Duration,
    /// What the machine must have left.
    pub(super) floor: Floor,
}

/// Who admits agents.
///
/// The machine's gates never close for the only agent: one may always work.
#[derive(Debug)]
pub(super) struct Admission {
    state: Mutex<State>,
    /// Rung when there may be room again. Only one worker at a time waits for it.
    room: Notify,
    gates: Gates,
    stagger: Duration,
    reporter: Arc<Reporter>,
    /// The run's lock, whose note says to others why the run waits.
    alive: Arc<TaskLock>,
}

#[derive(Debug)]
struct State {
    at_work: usize,
    limit: Limit,
    /// Before it no start may raise the number of agents at work.
    next_start: Option<Instant>,
    /// What is being waited for, as it was told.
    hold: Option<Instant>,
}

#[derive(Debug)]
enum Limit {
    Fixed(usize),
    Adaptive(AdaptiveLimit),
}

/// The place of one agent. Dropping it makes room for another.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub(super) struct Place(Arc<Admission>);

/// What is in the way.
enum Wait {
    /// An agent has to end first.
    Room,
    /// A time has to pass.
    For(Duration),
    /// The machine has too little left for an agent beside those at work.
    Hold(Hold, usize),
}

impl Admission {
    pub(super) fn new(
        rules: AdmissionRules,
        reporter: Arc<Reporter>,
        alive: Arc<TaskLock>,
    ) -> Arc<Self> {
        let jobs = rules.jobs as usize;
        let mut limit = Limit::Fixed(jobs);
        if rules.adaptive {
            let adaptive = AdaptiveLimit::new(jobs, AdaptivePolicy::default());
            let reason = "start".to_owned();
            reporter.tell(&Event::LimitChanged { limit: adaptive.get(), reason });
            limit = Limit::Adaptive(adaptive);
        }
        Arc::new(Self {
            state: Mutex::new(State { at_work: 0, limit, next_start: None, hold: None }),
            room: Notify::new(),
            gates: Gates::new(rules.floor),
            stagger: rules.stagger,
            reporter,
            alive,
        })
    }

    /// Waits for a place; `None` once `stop` says so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken when the future is dropped.
    pub(super) async fn admit(self: &Arc<Self>, stop: &Stop) -> Option<Place> {
        loop {
            let wait = match self.try_admit() {
                Ok(place) => return Some(place),
                Err(Wait::Room) => Duration::MAX,
                Err(Wait::For(time)) => time,
                Err(Wait::Hold(hold, at_work)) => {
                    self.tell_hold(hold, at_work);
                    LOOK
                }
            };
            tokio::select! {
                () = stop.stopped() => return None,
                () = self.room.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn try_admit(self: &Arc<Self>) -> Result<Place, Wait> {
        let held = {
            let mut state = self.state();
            if state.at_work >= state.limit.get() {
                return Err(Wait::Room);
            }
            let left = |at: Instant| at.saturating_duration_since(Instant::now());
            let wait = state.next_start.map(left).unwrap_or_default();
            if !wait.is_zero() {
                return Err(Wait::For(wait));
            }
            if state.at_work > 0
                && let Some(hold) = self.gates.closed()
            {
                return Err(Wait::Hold(hold, state.at_work));
            }
            state.at_work += 1;
            state.hold.take()
        };
        let place = Place(Arc::clone(self));
        if let Some(since) = held {
            self.note("");
            self.reporter.tell(&Event::StartsResumed { held_s: since.elapsed().as_secs_f64() });
        }
        Ok(place)
    }

    /// Whether the agent of a place that becomes free may be followed by another at once.
    pub(super) fn may_go_on(&self) -> bool {
        let state = self.state();
        let at_work = state.at_work;
        at_work <= state.limit.get() && (at_work == 1 || self.gates.closed().is_none())
    }

    /// Learns from how an attempt ended, before its place is given back.
    pub(super) fn learn(&self, outcome: Outcome, retry_after: Option<Duration>) {
        let changed = {
            let mut state = self.state();
            let at_work = state.at_work;
            let Limit::Adaptive(limit) = &mut state.limit else { return };
            let before = limit.get();
            match outcome {
                Outcome::Throttled => limit.record_throttled(Instant::now(), retry_after),
                Outcome::Overloaded | Outcome::Network | Outcome::Unreachable => {
                    limit.record_trouble();
                }
                _ if outcome.met_no_limit() && at_work >= before => {
                    limit.record_success(Instant::now());
                }
                _ => {}
            }
            (limit.get() != before).then(|| (limit.get(), limit.get() > before))
        };
        if let Some((limit, grew)) = changed {
            let reason = if grew { "no_limit_met" } else { Outcome::Throttled.as_str() };
            self.reporter.tell(&Event::LimitChanged { limit, reason: reason.to_owned() });
            self.room.notify_one();
        }
    }

    fn tell_hold(&self, hold: Hold, at_work: usize) {
        let mut is_new = false;
        self.state().hold.get_or_insert_with(|| {
            is_new = true;
            Instant::now()
        });
        if !is_new {
            return;
        }
        let message = hold.to_string();
        self.note(&message);
        self.reporter.tell(&Event::StartsHeld {
            reason: hold.as_str().to_owned(),
            message,
            at_work,
        });
    }

    /// What `status` shows. It is told as an event too, so that a note that cannot be written is
    /// no reason for anything.
    fn note(&self, note: &str) {
        drop(self.alive.set_note(note));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    const fn get(&self) -> usize {
        match self {
            Self::Fixed(jobs) => *jobs,
            Self::Adaptive(limit) => limit.get(),
        }
    }
}

impl Place {
    /// An agent is being started in a place that was waited for.
    pub(super) fn starts(&self) {
        self.0.state().next_start = Instant::now().checked_add(self.0.stagger);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().at_work -= 1;
        self.0.room.notify_one();
    }
}
