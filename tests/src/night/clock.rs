//! Time that can go faster, and sleeps that end when they should.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// The clock of a night. It stands at zero until it is started.
///
/// A runtime's timers are some milliseconds late, which faster time would multiply: sleepers are
/// woken by a thread of its own, some ten microseconds late.
#[derive(Debug)]
pub struct Clock {
    began: OnceLock<Instant>,
    speed: u32,
    sleepers: Arc<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    by_time: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    count: u64,
    is_over: bool,
}

impl Clock {
    /// A clock that goes so many times as fast as the machine's.
    pub fn new(speed: u32) -> Self {
        let sleepers = Arc::<Sleepers>::default();
        let theirs = Arc::clone(&sleepers);
        thread::spawn(move || theirs.wake());
        Self { began: OnceLock::new(), speed, sleepers }
    }

    /// Starts it, once.
    pub fn start(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.began.get().map_or(Duration::ZERO, |began| began.elapsed() * self.speed)
    }

    /// How many times as fast as the machine's it goes.
    pub const fn speed(&self) -> u32 {
        self.speed
    }

    /// Sleeps until a moment.
    pub async fn until(&self, moment: Duration) {
        let began = *self.began.get_or_init(Instant::now);
        let at = began + moment / self.speed;
        let woken = (at > Instant::now()).then(|| self.sleepers.add(at));
        if let Some(woken) = woken {
            woken.await.expect("the thread lives as long as the clock");
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.sleepers.lock().is_over = true;
        self.sleepers.changed.notify_one();
    }
}

impl Sleepers {
    fn add(&self, at: Instant) -> oneshot::Receiver<()> {
        let (sender, woken) = oneshot::channel();
        let mut state = self.lock();
        state.count += 1;
        let key = (at, state.count);
        state.by_time.insert(key, sender);
        if state.by_time.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.changed.notify_one();
        }
        woken
    }

    fn wake(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let now = Instant::now();
            let rest = state.by_time.split_off(&(now, u64::MAX));
            for sleeper in std::mem::replace(&mut state.by_time, rest).into_values() {
                // Whoever does not wait any more need not be woken.
                let _gone = sleeper.send(()).is_err();
            }
            state = match state.by_time.first_key_value() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(((at, _), _)) => {
                    let left = at.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
