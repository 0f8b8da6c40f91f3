//! Tokens: who may ask, and in whose name.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicU64},
};

use agent_runner_credentials::Rejection;
use rand::Rng as _;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use crate::{Budget, Line, Spent, Unreachable, ledger::Ledger};

/// How all tokens begin, so that people and scanners for secrets know them.
const PREFIX: &str = "sk-ar-";
/// Bytes of the part that is looked up, and of the part that is compared.
const NAME: usize = 8;
const SECRET: usize = 24;

/// Who asks: an attempt at a task, or anybody who was given a token.
#[derive(Debug, Default, Clone, PartialEq)]
#[non_exhaustive]
pub struct Caller {
    /// The task.
    pub task: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// What it may spend, with what was spent before.
    pub budget: Budget,
    /// What was spent before, such as by earlier attempts at the same task.
    pub spent: Spent,
    /// Whether all its requests are one conversation, that should stay on one key.
    pub is_session: bool,
}

impl Caller {
    /// An attempt at a task: one conversation.
    pub fn attempt(task: impl Into<String>, attempt: u32) -> Self {
        Self { task: task.into(), attempt, is_session: true, ..Self::default() }
    }

    /// Somebody else, such as a person's own tools.
    pub fn named(name: impl Into<String>) -> Self {
        Self { task: name.into(), ..Self::default() }
    }

    /// Sets what it may spend, and what was spent of that before.
    pub fn budget(self, budget: Budget, spent: Spent) -> Self {
        Self { budget, spent, ..self }
    }
}

/// One token and what belongs to it.
pub(crate) struct Door {
    pub(crate) caller: Caller,
    name: u64,
    token: Vec<u8>,
    closed: watch::Sender<bool>,
    /// Tokens of the last answer's input that a prompt cache has.
    pub(crate) cached: AtomicU64,
    ledger: Mutex<Ledger>,
    refused: Mutex<Option<Refused>>,
}

impl Door {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was not got, or that it was got after all.
    pub(crate) fn note(&self, refused: Option<Refused>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// A number that no other caller of this gateway has.
    pub(crate) const fn number(&self) -> u64 {
        self.name
    }

    /// Ends when the token is taken back.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.subscribe();
        async move { drop(closed.wait_for(|closed| *closed).await) }
    }
}

/// All tokens that are lent.
#[derive(Default)]
pub(crate) struct Doors {
    open: RwLock<HashMap<u64, Arc<Door>>>,
}

impl Doors {
    /// Makes a token at random.
    pub(crate) fn open(&self, caller: Caller) -> (Arc<Door>, String) {
        let mut bytes = [0; NAME + SECRET];
        rand::rng().fill_bytes(&mut bytes);
        let mut text = String::from(PREFIX);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("a string takes everything");
        }
        (self.open_as(caller, &text), text)
    }

    /// Makes a token of this text. There can be one that has not the form of ours.
    pub(crate) fn open_as(&self, caller: Caller, text: &str) -> Arc<Door> {
        let door = Arc::new(Door {
            ledger: Mutex::new(Ledger::from(caller.spent)),
            caller,
            name: name(text),
            token: text.as_bytes().to_vec(),
            closed: watch::Sender::new(false),
            cached: AtomicU64::new(0),
            refused: Mutex::default(),
        });
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(door.name, Arc::clone(&door));
        door
    }

    /// Takes a token back, and ends what goes on in its name.
    pub(crate) fn close(&self, door: &Door) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&door.name);
        door.closed.send_replace(true);
    }

    /// Finds whose token it is. It is compared in a time that does not tell how much was right.
    pub(crate) fn find(&self, token: &str) -> Option<Arc<Door>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let door = open.get(&name(token))?;
        bool::from(door.token[..].ct_eq(token.as_bytes())).then(|| Arc::clone(door))
    }

    /// All that are open.
    pub(crate) fn all(&self) -> Vec<Arc<Door>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.values().map(Arc::clone).collect()
    }
}

/// The part of a token that is no secret, by which it is looked up.
fn name(token: &str) -> u64 {
    let digits = token.strip_prefix(PREFIX).and_then(|digits| digits.get(..2 * NAME));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// A token that is lent. It is taken back when this is dropped, and what still goes on in its name
/// ends then.
#[must_use = "the token is taken back when this is dropped"]
pub struct Access {
    pub(crate) doors: Arc<Doors>,
    pub(crate) door: Arc<Door>,
    pub(crate) token: String,
    pub(crate) run_budget: Budget,
    pub(crate) run: Arc<Mutex<Ledger>>,
}

/// What a caller asked for and did not get, through no fault of its own: no key was ready for it,
/// or its provider could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Whose key it was to be.
    pub provider: String,
    /// The model, if the request named one.
    pub model: Option<String>,
    /// Why the provider could not be reached, if that was it.
    pub unreachable: Option<Unreachable>,
    /// Why the key was refused that is ready first.
    pub reason: Option<Rejection>,
}

/// Why a caller gets no more answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// It has spent its own budget.
    Caller,
    /// All callers together have spent the gateway's.
    Gateway,
}

impl Access {
    /// The token, to be used in place of a key.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What was used so far, by key and model.
    pub fn usage(&self) -> Vec<Line> {
        self.door.ledger().lines().cloned().collect()
    }

    /// What was spent so far, and before.
    pub fn spent(&self) -> Spent {
        self.door.ledger().spent()
    }

    /// What was not got when it was asked last; nothing after an answer.
    pub fn refused(&self) -> Option<Refused> {
        self.door.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a budget is spent, so that every further request is refused.
    pub fn stopped(&self) -> Option<Stopped> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).spent();
        if self.run_budget.is_spent(&run) {
            return Some(Stopped::Gateway);
        }
        self.door.caller.budget.is_spent(&self.spent()).then_some(Stopped::Caller)
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.doors.close(&self.door);
    }
}

/// Shows who it is for, never the token.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("caller", &self.door.caller).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens_and_only_until_it_is_taken_back() {
        let doors = Doors::default();
        let (door, token) = doors.open(Caller::attempt("a", 1));
        let (_other, _) = doors.open(Caller::attempt("b", 1));
        assert_eq!(doors.find(&token).unwrap().caller.task, "a");
        for at in PREFIX.len()..token.len() {
            let digit = if token.as_bytes()[at] == b'0' { "1" } else { "0" };
            let mut wrong = token.clone();
            wrong.replace_range(at..=at, digit);
            assert!(doors.find(&wrong).is_none(), "{at}");
        }
        for wrong in ["", "sk-ar-", &token[1..], &token[..token.len() - 1], &format!("{token}0")] {
            assert!(doors.find(wrong).is_none(), "{wrong}");
        }
        assert!(doors.find(&token.to_uppercase()).is_none());
        doors.close(&door);
        assert!(doors.find(&token).is_none());
        assert!(*door.closed.borrow());
    }

    #[test]
    fn a_token_can_be_given() {
        let doors = Doors::default();
        let door = doors.open_as(Caller::named("me"), "a word of my own");
        assert!(doors.find("a word of my own").is_some());
        assert!(doors.find("a word of my owm").is_none());
        doors.close(&door);
        assert!(doors.find("a word of my own").is_none());
    }
}
