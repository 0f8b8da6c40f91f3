//! A key that does not show itself.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// An API key.
///
/// It prints as `[REDACTED]`, is not [`Display`](fmt::Display) nor serializable, and is wiped from
/// memory when it is dropped. [`expose`](Self::expose) is the only way to its text.
///
/// ```compile_fail
/// let key = agent_runner_credentials::ApiKey::new("sk-test").unwrap();
/// println!("{key}");
/// ```
///
/// ```compile_fail
/// let key = agent_runner_credentials::ApiKey::new("sk-test").unwrap();
/// serde_json::to_string(&key);
/// ```
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Checks a key. White space at its ends, such as a newline after `cat`, is taken off.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidKey::Blank);
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(InvalidKey::BadCharacter);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The path of a folder, which can have any character.
    pub(crate) fn of_folder(path: &str) -> Self {
        Self(SecretString::from(path))
    }

    /// The key's text, to put it into a request or a child's environment.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The key's text, still wrapped.
    pub const fn secret(&self) -> &SecretString {
        &self.0
    }

    /// Returns the key's last four characters, such as `…a1b2`, for a person who has to tell keys
    /// apart; only `…` for one that is too short to give any away.
    pub fn masked(&self) -> String {
        const SHOWN: usize = 4;
        const LONG_ENOUGH: usize = 20;
        let text = self.expose();
        let shown = if text.len() >= LONG_ENOUGH { SHOWN } else { 0 };
        format!("…{}", text.get(text.len() - shown..).unwrap_or_default())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([REDACTED])")
    }
}

/// Why a text cannot be a key. It never has the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// There is nothing, or nothing but white space.
    #[error("the key is blank")]
    Blank,
    /// It has white space inside, or a character that no header can carry.
    #[error("the key has white space or an unprintable character inside")]
    BadCharacter,
}
