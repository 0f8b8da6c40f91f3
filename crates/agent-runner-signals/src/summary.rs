//! What is left of an output when it has been read.

use std::time::{Duration, SystemTime};

use crate::{Format, Now, RateLimit, Usage, reset, text};

/// What an agent's output said, in all. It does not grow with the output.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Whose output it is.
    pub format: Format,
    /// What resumes the session.
    pub session_id: Option<String>,
    /// The model that was used last.
    pub model: Option<String>,
    /// The CLI's version.
    pub cli_version: Option<String>,
    /// The tokens that were used.
    pub usage: Usage,
    /// What it cost, in US dollars, as the CLI counts it.
    pub cost_usd: Option<f64>,
    /// How many messages the agent wrote.
    pub messages: u64,
    /// How often it used a tool. A success without any may have done nothing.
    pub tool_uses: u64,
    /// How many requests failed and were made again.
    pub retries: u64,
    /// The limit that was told last.
    pub rate_limit: Option<RateLimit>,
    /// How the agent said that its work ended.
    pub ending: Option<Ending>,
    /// What the CLI had trouble with and has not got over since, while `ending` is `None`.
    pub trouble: Option<Trouble>,
    /// The last line on stderr, or on stdout where that is plain text. For people only.
    pub last_line: Option<String>,
}

/// How an agent said that its work ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// It is content.
    Succeeded,
    /// It is not, and this is why.
    Failed(Trouble),
}

/// What a CLI itself said about a failure: never the words of a model or a tool.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Trouble {
    /// The provider's HTTP status.
    pub status: Option<u16>,
    /// The codes of the CLI and the provider, in lower case, such as `rate_limit`.
    pub words: Vec<String>,
    /// What people are told. A long text is cut.
    pub text: String,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
}

impl Summary {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            session_id: None,
            model: None,
            cli_version: None,
            usage: Usage::default(),
            cost_usd: None,
            messages: 0,
            tool_uses: 0,
            retries: 0,
            rate_limit: None,
            ending: None,
            trouble: None,
            last_line: None,
        }
    }
}

impl Trouble {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text::short(text), ..Self::default() }
    }

    pub(crate) fn with_status(self, status: Option<u16>) -> Self {
        Self { status: status.or(self.status), ..self }
    }

    pub(crate) fn with_words<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let words = words.into_iter().map(|word| text::short(word).to_lowercase());
        self.words.extend(words.take(16));
        self
    }

    pub(crate) fn with_wait(self, wait: Option<Duration>) -> Self {
        Self { retry_after: wait.or(self.retry_after), ..self }
    }

    /// How long to wait, as the provider asks.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.retry_after.or_else(|| reset::retry_after(&text::fold(&self.text)))
    }

    /// When the limit ends, as the text says.
    pub(crate) fn reset_at(&self, now: &Now) -> Option<SystemTime> {
        reset::reset_at(&text::fold(&self.text), now)
    }
}
