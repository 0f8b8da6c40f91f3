//! What a run tells: events as JSON lines for scripts, lines and a footer for people.

mod event;
mod footer;
mod line;

pub use event::{Event, Stamped};

use std::{
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use footer::Footer;

use crate::ui::Ui;

/// Tells every event to whoever listens.
#[derive(Debug)]
pub struct Reporter {
    ui: Ui,
    footer: Mutex<Footer>,
    collected: Option<Mutex<Vec<Event>>>,
}

impl Reporter {
    /// Tells through `ui`.
    pub fn new(ui: Ui) -> Self {
        Self { ui, footer: Mutex::new(Footer::new(Instant::now())), collected: None }
    }

    /// Also keeps every event, for [`Reporter::events`].
    pub fn collecting(mut self) -> Self {
        self.collected = Some(Mutex::default());
        self
    }

    /// Where text goes.
    pub const fn ui(&self) -> &Ui {
        &self.ui
    }

    /// The events so far, if they are kept.
    pub fn events(&self) -> Vec<Event> {
        self.collected.as_ref().map(|events| lock(events).clone()).unwrap_or_default()
    }

    /// Tells one event.
    pub fn tell(&self, event: &Event) {
        if let Some(events) = &self.collected {
            lock(events).push(event.clone());
        }
        let mut footer = lock(&self.footer);
        footer.see(event);
        if self.ui.json {
            let line = Stamped { time: SystemTime::now(), event };
            // A reader that is gone does not stop the work.
            drop(self.ui.data(serde_json::to_string(&line).expect("events are plain JSON")));
        }
        let tells_failures = event.is_failure();
        if (self.ui.tells_events() || tells_failures)
            && let Some(line) = line::of(event, self.ui.verbose)
        {
            if tells_failures { self.ui.failure(line) } else { self.ui.say(line) }
        }
        if self.ui.has_footer() {
            self.ui.footer(footer.text(Instant::now()));
        }
    }

    /// Draws the footer anew, for the clock in it.
    pub fn tick(&self) {
        if self.ui.has_footer() {
            self.ui.footer(lock(&self.footer).text(Instant::now()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
