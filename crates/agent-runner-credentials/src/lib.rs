#![doc = include_str!("../README.md")]
#![expect(clippy::doc_markdown, reason = "OpenAI and OpenRouter are names")]

mod key;

mod credential;

mod load;

mod answer;

mod rejection;

mod classify;

mod ring;

mod time;

pub use answer::Answer;
pub use classify::{classify, parse_retry_after};
pub use credential::{Credential, is_key_variable, numbered_variables};
pub use key::{ApiKey, InvalidKey};
pub use load::{
    CommandError, CommandProblem, Environment, KeyFileError, KeySpec, LoadError, Loaded, Notice,
    Origin, SecretRef, Source, from_env, key_from_command, load, parse_key_file,
};
pub use rejection::Rejection;
pub use ring::{KeyId, KeyRing, KeySnapshot, KeyState, Lease, NoneReady, Snapshot};
pub use secrecy::{ExposeSecret, SecretString};
pub use time::{parse_http_date, parse_rfc3339};
