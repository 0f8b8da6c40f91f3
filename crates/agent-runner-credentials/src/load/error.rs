//! What can go wrong on the way to a key.

use std::{fmt, io, path::PathBuf};

use super::CommandError;
use crate::InvalidKey;

/// Why keys could not be loaded. No variant has a secret in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// What should be a key cannot be one.
    #[error("could not use the key of {origin}")]
    InvalidKey {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        #[source]
        source: InvalidKey,
    },
    /// What should be a base URL cannot be one.
    #[error("could not use the base URL of {origin}: {problem}")]
    InvalidBaseUrl {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What should be a configuration folder cannot be one.
    #[error("could not use the configuration folder of {origin}: {problem}")]
    InvalidFolder {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A variable's value is not Unicode.
    #[error("variable '{variable}' is not Unicode")]
    NotUnicode {
        /// The variable.
        variable: String,
    },
    /// A file names a variable that is not set.
    #[error("{origin} names variable '{variable}', which is not set")]
    MissingVariable {
        /// Where it is named.
        origin: Origin,
        /// The variable.
        variable: String,
    },
    /// Two keys have the same label.
    #[error("two keys have the label '{label}'")]
    DuplicateLabel {
        /// The label.
        label: String,
    },
    /// A file could not be read.
    #[error("could not read key file '{}'", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is not as it should be.
    #[error("could not understand key file '{}'", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: KeyFileError,
    },
    /// A command did not tell a key.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A variable.
    Variable(String),
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "variable '{name}'"),
            Self::File { path, line } => write!(f, "'{}:{line}'", path.display()),
        }
    }
}

/// What is wrong with a key file, and where. It repeats names of fields, never their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct KeyFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}
