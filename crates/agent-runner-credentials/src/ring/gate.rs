//! The gate of an endpoint: an overload is nobody's key, and stops all who would ask.

use std::time::Duration;

use super::clock::Moment;

/// So many refusals in a row shut the gate, or as many as were under way.
const IN_A_ROW: u32 = 5;
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// A service that names a time is not asked before; but never is it left alone for longer.
const LONGEST_NAMED: Duration = Duration::from_secs(120);

/// Whether a service takes requests for a model.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    shut: Option<Shut>,
    /// Counts the changes; answers to what was sent before the last one are old news.
    epoch: u64,
    /// Refusals in a row.
    refusals: u32,
    under_way: u32,
    /// How long a refusal usually takes.
    usual: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Shut {
    /// When one is let through to see.
    probe_at: Moment,
    pause: Duration,
    /// When one was.
    probed_at: Option<Moment>,
}

impl Gate {
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) const fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// When the next one may pass.
    pub(super) fn opens_at(&self, now: Moment) -> Moment {
        match self.shut {
            None => now,
            Some(Shut { probed_at: None, probe_at, .. }) => probe_at.max(now),
            Some(Shut { probed_at: Some(at), .. }) => (at + self.acceptance()).max(now),
        }
    }

    /// Lets one pass; the epoch that it passes in is the one after.
    pub(super) fn enter(&mut self, now: Moment) {
        self.under_way += 1;
        match &mut self.shut {
            Some(shut) if shut.probed_at.is_none() => {
                shut.probed_at = Some(now);
                self.epoch += 1;
            }
            // The probe was not refused in time: it was let in.
            Some(_) => self.open(),
            None => (),
        }
    }

    pub(super) fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// An answer that is no overload.
    pub(super) fn answered(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.refusals = 0;
            if self.shut.is_some() {
                self.open();
            }
        }
    }

    /// One passed, and nothing became of it: another may take its place.
    pub(super) fn abandoned(&mut self, epoch: u64) {
        if let Some(shut) = self.shut.as_mut().filter(|_| epoch == self.epoch) {
            shut.probed_at = None;
        }
    }

    pub(super) fn overloaded(
        &mut self,
        epoch: u64,
        sent: Moment,
        retry_after: Option<Duration>,
        now: Moment,
    ) {
        if epoch != self.epoch {
            return;
        }
        let took = now.saturating_sub(sent);
        self.usual = Some(self.usual.map_or(took, |usual| (usual * 7 + took) / 8));
        self.refusals += 1;
        let pause = match &self.shut {
            Some(shut) => (shut.pause + shut.pause / 8).min(LONGEST),
            None if self.refusals >= self.under_way.clamp(1, IN_A_ROW) => FIRST,
            None => return,
        };
        let wait = retry_after.map_or(pause, |named| named.min(LONGEST_NAMED));
        self.shut = Some(Shut { probe_at: now + wait, pause, probed_at: None });
        self.epoch += 1;
    }

    fn open(&mut self) {
        self.shut = None;
        self.refusals = 0;
        self.epoch += 1;
    }

    /// How long a probe goes without a refusal until it counts as let in.
    fn acceptance(&self) -> Duration {
        let usual = self.usual.unwrap_or(Duration::from_millis(300));
        (usual * 2).clamp(Duration::from_millis(50), Duration::from_secs(20))
    }
}
