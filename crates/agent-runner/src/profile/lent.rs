//! How an agent is told of a credential that was lent to it, if its environment does not tell it.

use serde::Deserialize;

/// The words that are put into a command when a credential of a provider is lent.
///
/// In `words`, `{{base_url}}` stands for the credential's base URL, and in `model`, which are left
/// out where the credential names none, `{{model}}` for its model. The key itself is in no word: an
/// agent finds it in its environment.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LentWords {
    provider: String,
    /// What stands for a base URL where the credential has none.
    base_url: String,
    words: Vec<String>,
    #[serde(default)]
    model: Vec<String>,
}

impl LentWords {
    /// The words for what an agent finds in its environment; none if nothing was lent.
    pub fn of(&self, environment: &[(String, String)]) -> Result<Vec<String>, String> {
        let value = |suffix: &str| {
            let name = format!("{}_{suffix}", self.provider.to_uppercase());
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        if value("API_KEY").is_none() {
            return Ok(Vec::new());
        }
        let base_url = value("BASE_URL").unwrap_or(&self.base_url);
        if base_url.contains(['@', '?', '"', '\\']) {
            return Err(
                "its base URL holds what may be secret, and arguments can be seen by others".into(),
            );
        }
        let filled = |words: &[String], name: &str, value: &str| -> Vec<String> {
            words.iter().map(|word| word.replace(name, value)).collect()
        };
        let mut words = filled(&self.words, "{{base_url}}", base_url);
        if let Some(model) = value("MODEL").filter(|model| !model.contains(['"', '\\'])) {
            words.extend(filled(&self.model, "{{model}}", model));
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(environment: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let lent = LentWords {
            provider: "openai".into(),
            base_url: "https://default".into(),
            words: vec!["-c".into(), "url=\"{{base_url}}\"".into()],
            model: vec!["-m".into(), "{{model}}".into()],
        };
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        lent.of(&environment.iter().map(pair).collect::<Vec<_>>())
    }

    #[test]
    fn an_agent_is_told_what_was_lent() {
        let key = ("OPENAI_API_KEY", "sk-secret");
        assert_eq!(words(&[("ANTHROPIC_API_KEY", "k")]), Ok(vec![]));
        assert_eq!(words(&[key]).unwrap(), ["-c", "url=\"https://default\""]);
        let all = words(&[key, ("OPENAI_BASE_URL", "http://x/v1"), ("OPENAI_MODEL", "m")]);
        assert_eq!(all.unwrap(), ["-c", "url=\"http://x/v1\"", "-m", "m"]);
    }

    #[test]
    fn no_secret_becomes_a_word() {
        let key = ("OPENAI_API_KEY", "sk-secret");
        assert!(!words(&[key]).unwrap().concat().contains("sk-secret"));
        for url in ["http://me:pass@x/v1", "http://x/v1?token=t"] {
            assert!(words(&[key, ("OPENAI_BASE_URL", url)]).is_err(), "{url}");
        }
    }
}
