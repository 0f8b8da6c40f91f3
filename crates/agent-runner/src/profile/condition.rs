//! What the settings of an agent have to say.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

/// That a file of settings, as JSON, has these fields among others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The file, below the folder that a variable names, or else below the home folder.
    file: PathBuf,
    /// That variable.
    below: String,
    /// The fields.
    says: Value,
}

impl Condition {
    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        let folder = [self.below.as_str(), "HOME", "USERPROFILE"].into_iter().find_map(env::var_os);
        folder.is_some_and(|folder| self.holds_in(Path::new(&folder)))
    }

    fn holds_in(&self, folder: &Path) -> bool {
        let text = fs::read_to_string(folder.join(&self.file)).unwrap_or_default();
        serde_json::from_str(&text).is_ok_and(|settings| has(&settings, &self.says))
    }
}

/// Says what to write where.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`~/{}` says `{}`", self.file.display(), self.says)
    }
}

fn has(settings: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(fields) => fields.iter().all(|(name, wanted)| has(&settings[name], wanted)),
        wanted => settings == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_it_or_they_do_not() {
        let condition: Condition = toml::from_str(
            "file = \"a/s.json\"\nbelow = \"NO_SUCH_HOME\"\nsays.security.auth.kind = \"key\"",
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert!(!condition.holds_in(folder.path()), "there are none");
        fs::create_dir(folder.path().join("a")).unwrap();
        for (text, holds) in [
            (r#"{"theme":1,"security":{"x":2,"auth":{"kind":"key"}}}"#, true),
            (r#"{"security":{"auth":{"kind":"login"}}}"#, false),
            (r#"{"security":true}"#, false),
            ("no JSON", false),
        ] {
            fs::write(folder.path().join("a/s.json"), text).unwrap();
            assert_eq!(condition.holds_in(folder.path()), holds, "{text}");
        }
        let told = condition.to_string();
        assert_eq!(told, r#"`~/a/s.json` says `{"security":{"auth":{"kind":"key"}}}`"#);
    }
}
