//! Those who wait for a key, the oldest first.

use std::{collections::VecDeque, time::SystemTime};

use super::{KeyRing, Lease, NoneReady, choice::Choice, clock::Moment};
use crate::Want;

/// A place in the line of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiter>,
    tickets: u64,
    /// When somebody may be served next, if nothing happens before.
    wake_at: Option<Moment>,
    /// Whether something happened since it was seen that nobody can be served.
    is_stale: bool,
    /// By group: kept for somebody who waits for longer. Here to be used again.
    held: Vec<bool>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    want: Want,
    model: usize,
    asked: Moment,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Says that something happened that may serve somebody.
    pub(super) const fn touch(&mut self) {
        self.is_stale = true;
    }
}

impl KeyRing {
    /// Takes a place in the line.
    ///
    /// Then [`serve`](Self::serve) until it returns nothing, now, after each call to the ring, and
    /// [when it is time](Self::wake_at).
    pub fn enqueue(&mut self, now: SystemTime, want: Want) -> Ticket {
        let asked = self.follow(now);
        let model = self.places.model_of(want.model.as_deref());
        let queue = &mut self.queue;
        queue.tickets += 1;
        let ticket = Ticket(queue.tickets);
        queue.waiting.push_back(Waiter { ticket, want, model, asked });
        queue.touch();
        ticket
    }

    /// Leaves the line. Nothing happens if the ticket was served.
    pub fn leave(&mut self, ticket: Ticket) {
        let place = self.queue.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        if let Ok(place) = place {
            self.queue.waiting.remove(place);
            self.queue.touch();
        }
    }

    /// Serves the next one in the line who can be served: with a lease, or with the word that
    /// waiting does not help.
    ///
    /// The oldest is first. Whoever can not be served yet keeps the limits that he waits for from
    /// all who came later, so that nobody starves who wants much.
    pub fn serve(&mut self, now: SystemTime) -> Option<(Ticket, Result<Lease, NoneReady>)> {
        let moment = self.follow(now);
        let is_idle = !self.queue.is_stale && self.queue.wake_at.is_none_or(|at| at > moment);
        if is_idle || self.queue.waiting.is_empty() {
            return None;
        }
        let (place, key) = self.next(moment)?;
        let waiter = self.queue.waiting.remove(place)?;
        let served = match key {
            Some(key) => Ok(self.lend(key, &waiter.want, waiter.model, moment)),
            None => Err(self.none_ready(now, &waiter.want)),
        };
        self.queue.touch();
        Some((waiter.ticket, served))
    }

    /// When to [serve](Self::serve) again if nothing happens before; `None` if only an event helps.
    pub fn wake_at(&self, now: SystemTime) -> Option<SystemTime> {
        let at = self.queue.wake_at.filter(|_| !self.queue.waiting.is_empty())?;
        Some(self.clock.time(at, now))
    }

    /// The first place in the line that can be served, and with what; else notes when to look again.
    fn next(&mut self, now: Moment) -> Option<(usize, Option<usize>)> {
        let mut held = std::mem::take(&mut self.queue.held);
        held.clear();
        held.resize(self.places.groups.len(), false);
        let mut wake_at = None;
        let mut found = None;
        for (place, waiter) in self.queue.waiting.iter().enumerate() {
            let Waiter { want, model, asked, .. } = waiter;
            let at = match self.places.choose(want, *model, *asked, now, &held) {
                Choice::Key(key) => {
                    found = Some((place, Some(key)));
                    break;
                }
                Choice::None => {
                    found = Some((place, None));
                    break;
                }
                Choice::Home(key, at) => {
                    held[self.places.group_of(key, *model)] = true;
                    at
                }
                Choice::Any(at) => {
                    self.places.hold(want, *model, &mut held);
                    at
                }
            };
            if at < Moment::MAX {
                wake_at = Some(wake_at.map_or(at, |known: Moment| known.min(at)));
            }
            if held.iter().all(|held| *held) {
                break;
            }
        }
        self.queue.held = held;
        self.queue.is_stale = false;
        self.queue.wake_at = wake_at;
        found
    }
}
