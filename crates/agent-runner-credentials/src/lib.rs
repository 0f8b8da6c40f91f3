#![doc = include_str!("../README.md")]
#![expect(clippy::doc_markdown, reason = "OpenAI and OpenRouter are names")]

mod key;

mod credential;

mod load;

mod answer;

mod rejection;

mod limits;

mod classify;

mod want;

mod ring;

mod state_file;

#[cfg(feature = "tokio")]
mod shared;

#[cfg(feature = "simulate")]
pub mod simulate;

mod time;

pub use answer::Answer;
pub use classify::{classify, parse_retry_after};
pub use credential::{Credential, Form, is_key_variable, numbered_variables};
pub use key::{ApiKey, InvalidKey};
pub use load::{
    CommandError, CommandProblem, Environment, KeyFileError, KeySpec, LoadError, Loaded, Notice,
    Origin, SecretRef, Source, from_env, key_from_command, load, parse_key_file, reload,
};
pub use rejection::{Rejection, Scope, Verdict};
pub use ring::{
    GroupSnapshot, KeyId, KeyRing, KeySnapshot, KeyState, Lease, LimitSnapshot, NoneReady,
    OverloadSnapshot, Snapshot, Ticket,
};
pub use secrecy::{ExposeSecret, SecretString};
#[cfg(feature = "tokio")]
pub use shared::{Lent, SharedRing};
pub use state_file::{StateFile, StateFileError, Synced};
pub use time::{parse_http_date, parse_rfc3339, rfc3339};
pub use want::{End, Kind, Session, Usage, Want};
