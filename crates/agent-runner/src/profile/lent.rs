//! How an agent is told of a credential that was lent to it, if the usual variables do not tell it.

use std::collections::BTreeMap;

use agent_runner_gateway::default_base_url;
use serde::Deserialize;
use serde_json::Value;

/// What an agent is told when a credential of a provider is lent to it.
///
/// In `words` and `env`, `{{base_url}}` stands for the credential's base URL, and `{{model}}` for
/// its model; words have the usual base URL of the provider where the credential names none. The
/// key itself is in none of them: an agent finds it in its environment.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lent {
    /// Words that are put into the command.
    words: Vec<String>,
    /// The same, where the credential names a model.
    model: Vec<String>,
    /// Variables: a text, or an object that becomes JSON. Objects of the same name are one, and what
    /// needs what the credential does not name is left out.
    env: BTreeMap<String, Value>,
}

/// What an agent is told of all that was lent to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Words for its command.
    pub words: Vec<String>,
    /// Variables.
    pub env: Vec<(String, String)>,
}

/// What was lent of one provider.
#[derive(Clone, Copy)]
struct Credential<'a> {
    base_url: Option<&'a str>,
    model: Option<&'a str>,
}

impl Told {
    /// What an agent is told, by what it finds in its environment. An object in a variable of the
    /// user's own, as `inherited` finds it, is added to.
    pub fn new(
        lent: &BTreeMap<String, Lent>,
        environment: &[(String, String)],
        inherited: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut told = Self::default();
        let mut objects = BTreeMap::<&str, Value>::new();
        for (provider, lent) in lent {
            let Some(credential) = Credential::find(provider, environment) else { continue };
            told.words.extend(credential.or_default(provider).words(lent)?);
            for (name, value) in &lent.env {
                match credential.fill(value) {
                    Some(Value::String(text)) => told.env.push((name.clone(), text)),
                    Some(object) => {
                        let own =
                            || inherited(name).and_then(|text| serde_json::from_str(&text).ok());
                        merge(
                            objects.entry(name).or_insert_with(|| own().unwrap_or_default()),
                            object,
                        );
                    }
                    None => (),
                }
            }
        }
        told.env.extend(objects.into_iter().map(|(name, it)| (name.to_owned(), it.to_string())));
        Ok(told)
    }
}

impl<'a> Credential<'a> {
    /// Finds what was lent of a provider; nothing if no key was.
    fn find(provider: &str, environment: &'a [(String, String)]) -> Option<Self> {
        let value = |suffix: &str| {
            let name = format!("{}_{suffix}", provider.to_uppercase());
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        value("API_KEY")?;
        Some(Self { base_url: value("BASE_URL"), model: value("MODEL") })
    }

    /// With the base URL that everybody knows where it names none.
    fn or_default(self, provider: &str) -> Self {
        Self { base_url: self.base_url.or_else(|| default_base_url(provider)), ..self }
    }

    /// The words, which others can see.
    fn words(&self, lent: &Lent) -> Result<Vec<String>, String> {
        let is_open = |text: &str| !text.contains(['@', '?', '"', '\\']);
        if !lent.words.is_empty() && !self.base_url.is_none_or(is_open) {
            return Err(
                "its base URL holds what may be secret, and arguments can be seen by others".into(),
            );
        }
        let model = self.model.filter(|model| is_open(model));
        let model_words = lent.model.iter().filter(|_| model.is_some());
        Ok(lent.words.iter().chain(model_words).filter_map(|word| self.fill_text(word)).collect())
    }

    /// A value with all that it names, if that is known.
    fn fill(&self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) => self.fill_text(text)?.into(),
            Value::Object(fields) => {
                let filled = fields.iter().map(|(name, it)| Some((name.clone(), self.fill(it)?)));
                filled.flatten().collect::<serde_json::Map<_, _>>().into()
            }
            other => other.clone(),
        })
    }

    fn fill_text(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for (name, value) in [("{{base_url}}", self.base_url), ("{{model}}", self.model)] {
            if text.contains(name) {
                text = text.replace(name, value?.trim_end_matches('/'));
            }
        }
        Some(text)
    }
}

/// Puts `more` into `into`: field by field where both are objects, in its place otherwise.
fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(
        lent: &str,
        environment: &[(&str, &str)],
        inherited: Option<&str>,
    ) -> Result<Told, String> {
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let environment: Vec<_> = environment.iter().map(pair).collect();
        Told::new(&toml::from_str(lent).unwrap(), &environment, |_| inherited.map(str::to_owned))
    }

    fn words(environment: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let lent = "[openai]\nwords = ['-c', 'url=\"{{base_url}}\"']\nmodel = ['-m', '{{model}}']";
        told(lent, environment, None).map(|told| told.words)
    }

    #[test]
    fn an_agent_is_told_what_was_lent() {
        let key = ("OPENAI_API_KEY", "sk-secret");
        assert_eq!(words(&[("ANTHROPIC_API_KEY", "k")]), Ok(vec![]));
        assert_eq!(words(&[key]).unwrap(), ["-c", "url=\"https://api.openai.com/v1\""]);
        let all = words(&[key, ("OPENAI_BASE_URL", "http://x/v1/"), ("OPENAI_MODEL", "m")]);
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

    const JSON: &str = r#"
        [a.env.CONFIG]
        model = "a/{{model}}"
        provider.a = { url = "{{base_url}}/v1", key = "{env:A_API_KEY}" }
        [b.env]
        URL = "{{base_url}}"
        CONFIG.provider.b.url = "{{base_url}}"
    "#;

    #[test]
    fn settings_of_several_providers_are_one_object() {
        let config = |told: &Told| {
            let (_, text) = told.env.iter().find(|(name, _)| name == "CONFIG").expect("one");
            serde_json::from_str::<Value>(text).unwrap()
        };
        let a = [("A_API_KEY", "sk-secret"), ("A_BASE_URL", "http://a\"b")];
        let b = [("B_API_KEY", "k"), ("B_BASE_URL", "http://b"), ("B_MODEL", "m")];
        let alone = told(JSON, &a, None).unwrap();
        let provider = json!({ "a": { "url": "http://a\"b/v1", "key": "{env:A_API_KEY}" } });
        assert_eq!(config(&alone), json!({ "provider": provider }), "no model, no key");
        assert_eq!(alone.env.len(), 1);
        let both = told(JSON, &[&a[..], &b].concat(), Some(r#"{"theme":"x"}"#)).unwrap();
        assert_eq!(config(&both)["provider"]["a"], provider["a"]);
        assert_eq!(config(&both)["provider"]["b"]["url"], "http://b");
        assert_eq!(config(&both)["theme"], "x", "what is the user's own stays");
        assert_eq!(both.env[0], ("URL".into(), "http://b".into()));
        let model = told(JSON, &[a[0], a[1], ("A_MODEL", "m-1")], Some("no json")).unwrap();
        assert_eq!(config(&model)["model"], "a/m-1");
        assert_eq!(told(JSON, &[("C_API_KEY", "k")], None), Ok(Told::default()));
        let nowhere = told(JSON, &[("B_API_KEY", "k")], None).unwrap();
        assert_eq!(config(&nowhere), json!({ "provider": { "b": {} } }), "no URL is named");
        assert_eq!(nowhere.env.len(), 1);
    }
}
