//! What the provider does, by the name of the key.

use std::time::{Duration, Instant};

/// What becomes of the requests that are made with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// They are answered.
    Ok,
    /// They are answered, and use up a million tokens each.
    Expensive,
    /// Each is told to slow down.
    Throttled,
    /// Three are answered in two seconds, the others are told to slow down until those are over.
    Bursty,
    /// Every second one finds the provider overloaded.
    Flapping,
    /// All find it overloaded.
    Overloaded,
    /// All find it broken.
    Broken,
    /// The account may use no more until a date.
    Quota,
    /// The plan's window is used up.
    Usage,
    /// The account has to pay.
    Credit,
    /// The key is refused.
    Revoked,
    /// The model does not exist.
    Nomodel,
    /// The prompt is too long.
    Toolong,
    /// The model refuses.
    Refusal,
    /// There is no answer at all.
    Hang,
    /// The answer begins and does not go on.
    Stall,
    /// The answer is cut in the middle.
    Cut,
    /// The answer begins, and then the provider is overloaded.
    Midway,
    /// The answer is not what the API says.
    Garbage,
    /// The answer has an event without an end.
    Endless,
}

/// The width of a window of [`Behaviour::Bursty`].
const WINDOW: Duration = Duration::from_secs(2);
/// How many requests are answered in it.
const BURST: u32 = 3;

/// What is remembered of a key.
#[derive(Debug, Default)]
pub(super) struct Memory {
    requests: u32,
    window: Option<(Instant, u32)>,
}

impl Behaviour {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 20] = [
        ("ok", Self::Ok),
        ("expensive", Self::Expensive),
        ("throttled", Self::Throttled),
        ("bursty", Self::Bursty),
        ("flapping", Self::Flapping),
        ("overloaded", Self::Overloaded),
        ("broken", Self::Broken),
        ("quota", Self::Quota),
        ("usage", Self::Usage),
        ("credit", Self::Credit),
        ("revoked", Self::Revoked),
        ("nomodel", Self::Nomodel),
        ("toolong", Self::Toolong),
        ("refusal", Self::Refusal),
        ("hang", Self::Hang),
        ("stall", Self::Stall),
        ("cut", Self::Cut),
        ("midway", Self::Midway),
        ("garbage", Self::Garbage),
        ("endless", Self::Endless),
    ];

    /// What a key is called after. One that is called after nothing is refused.
    pub fn of_key(key: &str) -> Self {
        let word = key.split_once("fake-").and_then(|(_, rest)| rest.split('-').next());
        let found = Self::ALL.into_iter().find(|(name, _)| Some(*name) == word);
        found.map_or(Self::Revoked, |(_, behaviour)| behaviour)
    }

    /// What it comes to for the next request, and how long that one is told to wait.
    pub(super) fn next(self, memory: &mut Memory, now: Instant) -> (Self, Duration) {
        memory.requests += 1;
        match self {
            Self::Flapping if memory.requests % 2 == 1 => (Self::Overloaded, Duration::ZERO),
            Self::Flapping => (Self::Ok, Duration::ZERO),
            Self::Bursty => memory.next_of_burst(now),
            always => (always, WINDOW),
        }
    }
}

impl Memory {
    fn next_of_burst(&mut self, now: Instant) -> (Behaviour, Duration) {
        let (start, count) = match self.window {
            Some((start, count)) if now - start < WINDOW => (start, count + 1),
            _ => (now, 1),
        };
        self.window = Some((start, count));
        let wait = WINDOW.saturating_sub(now - start);
        (if count > BURST { Behaviour::Throttled } else { Behaviour::Ok }, wait)
    }
}
