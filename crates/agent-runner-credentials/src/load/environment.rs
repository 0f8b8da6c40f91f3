//! Variables, passed in.

use std::{collections::BTreeMap, env, ffi::OsString, fmt};

use secrecy::{ExposeSecret, SecretString};

/// The variables to look for keys in: this process's, or any others.
///
/// It shows names, never values. Names that are not Unicode are left out.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Option<SecretString>>);

impl Environment {
    /// The variables of this process.
    pub fn current() -> Self {
        env::vars_os().collect()
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A variable's value: `None` if it is not set, an error if it is not Unicode.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, NotUnicode> {
        match self.0.get(name) {
            None => Ok(None),
            Some(None) => Err(NotUnicode),
            Some(Some(value)) => Ok(Some(value.expose_secret())),
        }
    }
}

/// A value that is not text.
pub(super) struct NotUnicode;

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().filter_map(|(name, value)| {
            let value = value.into().into_string().ok().map(SecretString::from);
            Some((name.into().into_string().ok()?, value))
        });
        Self(variables.collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
