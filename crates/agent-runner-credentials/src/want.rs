//! What a lease is wanted for, and how its use ended.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::{Answer, Rejection};

/// What somebody wants a key for.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use agent_runner_credentials::Want;
///
/// let want = Want::call()
///     .provider("anthropic")
///     .model("claude-opus-5-5")
///     .tokens(12_000, 800)
///     .session("attempt 7 of task build")
///     .patience(Duration::from_secs(8));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Want {
    /// One request, or a process that makes many of its own.
    pub kind: Kind,
    /// Whose key; any if `None`.
    pub provider: Option<String>,
    /// The model, whose limits are counted by themselves. A key with a model of its own is used
    /// with that.
    pub model: Option<String>,
    /// About how many input tokens will count, those from a cache left out.
    pub input_tokens: u64,
    /// About how many input tokens more will count on any key but the session's own, which has
    /// them in its cache.
    pub cached_tokens: u64,
    /// About how many output tokens will come; 0 leaves it to what others came to.
    pub output_tokens: u64,
    /// Stays on the key that served it, for its prompt cache, as long as that does.
    pub session: Option<Session>,
    /// How long a session waits for its own key before it moves to another, counted from the first
    /// of the refusals in a row that it met there.
    pub patience: Duration,
}

/// What a lease is used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One request, whose answer is [reported](crate::KeyRing::settle).
    #[default]
    Call,
    /// A process that makes requests of its own for minutes; only its end is seen.
    Process,
}

/// A conversation, whose requests share a prompt cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session(u64);

impl Session {
    /// The session of this name.
    pub fn new(name: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Want {
    /// One request.
    pub fn call() -> Self {
        Self { patience: Duration::from_secs(8), ..Self::default() }
    }

    /// A process that runs on the key.
    pub fn process() -> Self {
        Self { kind: Kind::Process, ..Self::call() }
    }

    /// Sets whose key it is to be.
    pub fn provider(self, provider: impl Into<String>) -> Self {
        Self { provider: Some(provider.into()), ..self }
    }

    /// Sets the model.
    pub fn model(self, model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..self }
    }

    /// Sets about how many tokens will count.
    pub fn tokens(self, input: u64, output: u64) -> Self {
        Self { input_tokens: input, output_tokens: output, ..self }
    }

    /// Sets about how many input tokens the session's own key has in its cache.
    pub fn cached(self, tokens: u64) -> Self {
        Self { cached_tokens: tokens, ..self }
    }

    /// Sets the session by its name.
    pub fn session(self, name: impl Hash) -> Self {
        Self { session: Some(Session::new(name)), ..self }
    }

    /// Sets how long a session waits for its own key.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// What a request came to, as its answer says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens that count toward a limit: those that were new, or written to a cache.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

impl Usage {
    /// A usage.
    pub const fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens }
    }
}

/// How the use of a lease ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum End<'a> {
    /// The server answered, or an event of its stream is an error.
    Answer(&'a Answer<'a>, Option<Usage>),
    /// All went well. For a stream whose head was reported already, and for processes.
    Success(Option<Usage>),
    /// It is known what the answer meant, such as from an agent's own words.
    Rejected(Rejection),
    /// The request was sent, and nothing that says anything about the key came back.
    Lost,
    /// Nothing was sent: all that was reserved is given back, as when a lease is dropped.
    Unsent,
}
