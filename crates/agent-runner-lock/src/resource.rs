//! What can be claimed besides tasks: things with a name, and parts of a folder.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Glob, GlobError, KeyError, claims::has_room_for, name::check};

const SHARED: &str = "shared:";
const NAME: &str = "name:";
const PATHS: &str = "paths:";

/// Something that a worker needs for itself, or along with others who only use it: a thing with a
/// name, or all files of a pattern.
///
/// As text it is `db`, `shared:db`, `paths:src/auth/**` or `shared:paths:docs`; a name that begins
/// like one of those gets `name:` before it. As JSON it is `{"name":"db","mode":"shared"}` or
/// `{"paths":"src/auth/**","mode":"exclusive"}`; without a mode it is exclusive.
///
/// # Examples
///
/// ```
/// use agent_runner_lock::Resource;
///
/// let mine = Resource::paths("src/auth/**")?;
/// assert!(mine.conflicts_with(&Resource::paths("src/*/login.rs")?.shared()));
/// assert!(!Resource::name("db")?.shared().conflicts_with(&"shared:db".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Resource {
    what: What,
    mode: Mode,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum What {
    Name(String),
    Paths(Glob),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Exclusive,
    Shared,
}

impl Resource {
    /// A thing with a name, for its holder alone: a database, a port, the right to deploy.
    ///
    /// # Errors
    ///
    /// The name has 1 to 255 bytes and no control character.
    pub fn name(name: impl Into<String>) -> Result<Self, KeyError> {
        let name = name.into();
        check(&name)?;
        Ok(Self { what: What::Name(name), mode: Mode::Exclusive })
    }

    /// The files of a pattern, for their holder alone.
    ///
    /// # Errors
    ///
    /// When the text is not a pattern; see [`Glob`].
    pub fn paths(pattern: impl Into<String>) -> Result<Self, GlobError> {
        Glob::new(pattern).map(Self::from)
    }

    /// The same, held along with all others who share it.
    pub fn shared(self) -> Self {
        Self { mode: Mode::Shared, ..self }
    }

    /// Whether others can hold it too, if they share it as well.
    pub fn is_shared(&self) -> bool {
        self.mode == Mode::Shared
    }

    /// The name, unless it is paths.
    pub fn as_name(&self) -> Option<&str> {
        match &self.what {
            What::Name(name) => Some(name),
            What::Paths(_) => None,
        }
    }

    /// The paths, unless it is a name.
    pub fn as_paths(&self) -> Option<&Glob> {
        match &self.what {
            What::Name(_) => None,
            What::Paths(glob) => Some(glob),
        }
    }

    /// Whether one holder can have all of these at once: the record of a claim has room for some 17 KiB
    /// of names and patterns.
    pub fn fit_together(resources: &[Self]) -> bool {
        has_room_for(resources)
    }

    /// Whether two holders cannot have both at once: they overlap, and not both are shared.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        if self.is_shared() && other.is_shared() {
            return false;
        }
        match (&self.what, &other.what) {
            (What::Name(mine), What::Name(theirs)) => mine == theirs,
            (What::Paths(mine), What::Paths(theirs)) => mine.overlaps(theirs),
            _ => false,
        }
    }
}

/// Whether two holders cannot have all of both at once.
pub(crate) fn conflict(mine: &[Resource], theirs: &[Resource]) -> bool {
    mine.iter().any(|one| theirs.iter().any(|other| one.conflicts_with(other)))
}

/// Resources in one line.
pub(crate) fn joined(resources: &[Resource]) -> String {
    let texts: Vec<_> = resources.iter().map(Resource::to_string).collect();
    texts.join(", ")
}

impl From<Glob> for Resource {
    fn from(glob: Glob) -> Self {
        Self { what: What::Paths(glob), mode: Mode::Exclusive }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_shared() {
            f.write_str(SHARED)?;
        }
        match &self.what {
            What::Paths(glob) => write!(f, "{PATHS}{glob}"),
            What::Name(name) => {
                let needs_prefix = [SHARED, NAME, PATHS].iter().any(|it| name.starts_with(it));
                write!(f, "{}{name}", if needs_prefix { NAME } else { "" })
            }
        }
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let (text, mode) = match text.strip_prefix(SHARED) {
            Some(rest) => (rest, Mode::Shared),
            None => (text, Mode::Exclusive),
        };
        let resource = match text.strip_prefix(PATHS) {
            Some(pattern) => Self::paths(pattern)?,
            None => Self::name(text.strip_prefix(NAME).unwrap_or(text))?,
        };
        Ok(Self { mode, ..resource })
    }
}

/// Why a text names no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// It cannot be a name.
    #[error(transparent)]
    Name(#[from] KeyError),
    /// It cannot be a pattern of paths.
    #[error(transparent)]
    Paths(#[from] GlobError),
    /// It is neither a name nor a pattern, or both.
    #[error("a resource has either a `name` or `paths`")]
    Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Glob>,
    #[serde(default)]
    mode: Mode,
}

impl TryFrom<Json> for Resource {
    type Error = ResourceError;

    fn try_from(json: Json) -> Result<Self, ResourceError> {
        let resource = match (json.name, json.paths) {
            (Some(name), None) => Self::name(name)?,
            (None, Some(glob)) => Self::from(glob),
            _ => return Err(ResourceError::Kind),
        };
        Ok(Self { mode: json.mode, ..resource })
    }
}

impl From<Resource> for Json {
    fn from(Resource { what, mode }: Resource) -> Self {
        let (name, paths) = match what {
            What::Name(name) => (Some(name), None),
            What::Paths(glob) => (None, Some(glob)),
        };
        Self { name, paths, mode }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_json() {
        for (text, json) in [
            ("db", r#"{"name":"db","mode":"exclusive"}"#),
            ("shared:db", r#"{"name":"db","mode":"shared"}"#),
            ("name:shared:db", r#"{"name":"shared:db","mode":"exclusive"}"#),
            ("paths:src/auth/**", r#"{"paths":"src/auth/**","mode":"exclusive"}"#),
            ("shared:paths:docs", r#"{"paths":"docs","mode":"shared"}"#),
        ] {
            let resource: Resource = text.parse().unwrap();
            assert_eq!(resource.to_string(), text);
            assert_eq!(serde_json::to_string(&resource).unwrap(), json);
            assert_eq!(serde_json::from_str::<Resource>(json).unwrap(), resource);
        }
        let short: Resource = serde_json::from_str(r#"{"name":"db"}"#).unwrap();
        assert_eq!(short, Resource::name("db").unwrap());
        for wrong in [r#"{"name":"db","paths":"a"}"#, "{}", r#"{"paths":"/a"}"#, r#"{"name":""}"#] {
            assert!(serde_json::from_str::<Resource>(wrong).is_err(), "{wrong}");
        }
        assert!(matches!("paths:..".parse::<Resource>(), Err(ResourceError::Paths(_))));
        assert!(matches!("shared:".parse::<Resource>(), Err(ResourceError::Name(_))));
    }

    #[test]
    fn only_sharers_get_along() {
        let conflicts = |a: &str, b: &str| {
            let (a, b): (Resource, Resource) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.conflicts_with(&b), b.conflicts_with(&a));
            a.conflicts_with(&b)
        };
        assert!(conflicts("db", "db") && conflicts("db", "shared:db"));
        assert!(!conflicts("shared:db", "shared:db") && !conflicts("db", "cache"));
        assert!(conflicts("paths:src", "shared:paths:src/a.rs"));
        assert!(!conflicts("paths:src", "src") && !conflicts("paths:src", "paths:docs"));
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(name in "((shared|name|paths|x):){0,3}[^\\p{Cc}]{1,20}", shared: bool) {
            let resource = Resource::name(name).unwrap();
            let resource = if shared { resource.shared() } else { resource };
            prop_assert_eq!(resource.to_string().parse::<Resource>().unwrap(), resource);
        }
    }
}
