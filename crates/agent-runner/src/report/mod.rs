//! What a run tells: events as JSON lines for scripts, lines and a footer for people.

mod event;
mod footer;
mod line;

pub use event::{Event, Stamped};

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
    /// Whether an event could not be written.
    unwritten: AtomicBool,
}

impl Reporter {
    /// Tells through `ui`.
    pub fn new(ui: Ui) -> Self {
        let footer = Mutex::new(Footer::new(Instant::now()));
        Self { ui, footer, collected: None, unwritten: AtomicBool::new(false) }
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
            let line = serde_json::to_string(&line).expect("events are plain JSON");
            self.write(&line);
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

    /// A disk that is full does not stop the work, but whoever reads the events must know.
    fn write(&self, line: &str) {
        if let Err(error) = self.ui.data(line)
            && !self.unwritten.swap(true, Ordering::Relaxed)
        {
            self.ui.warn(format_args!("events are missing on stdout: {error}; the run goes on"));
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

/// An event as one line for people.
pub fn describe(event: &Event) -> Option<String> {
    line::of(event, false)
}
