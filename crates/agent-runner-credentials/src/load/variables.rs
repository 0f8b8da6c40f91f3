//! Numbered variables.

use super::{Environment, LoadError, Loaded, Notice, Origin, check_base_url};
use crate::{ApiKey, Credential, credential::split_number};

pub(super) fn load(
    prefix: &str,
    environment: &Environment,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    let family = Family { prefix, environment };
    let single = format!("{prefix}_API_KEY");
    let numbers = family.numbers();
    if numbers.is_empty() {
        // An empty variable is the shell's way to have none.
        return match family.value(&single)? {
            None | Some("") => Ok(()),
            Some(key) => loaded.add(family.credential(&single, key, "")?),
        };
    }
    for number in &numbers {
        let variable = format!("{single}_{number}");
        let key = family.value(&variable)?.unwrap_or_default();
        loaded.add(family.credential(&variable, key, number)?)?;
    }
    if let Some(key) = family.value(&single)?.map(str::trim).filter(|key| !key.is_empty())
        && !loaded.credentials.iter().any(|known| known.key.expose() == key)
    {
        loaded.notices.push(Notice::SingleIgnored { variable: single });
    }
    Ok(())
}

/// The numbers of the variables whose stem is one of these, as they are written, in the order of
/// counting.
pub(super) fn numbers_of(
    environment: &Environment,
    is_one: impl Fn(&str) -> Option<()>,
) -> Vec<&str> {
    let numbered = environment.names().filter_map(split_number);
    let ours = numbered.filter(|(stem, _)| is_one(stem).is_some());
    let mut numbers: Vec<_> = ours.map(|(_, number)| number).collect();
    numbers.sort_by_key(|number| {
        let digits = number.trim_start_matches('0');
        (digits.len(), digits, number.len())
    });
    numbers
}

/// The variables of one prefix.
struct Family<'a> {
    prefix: &'a str,
    environment: &'a Environment,
}

impl<'a> Family<'a> {
    /// The numbers of the keys, as they are written, in the order of counting.
    fn numbers(&self) -> Vec<&'a str> {
        numbers_of(self.environment, |stem| {
            let own = stem.strip_prefix(self.prefix)?.strip_prefix('_')?;
            (own == "API_KEY").then_some(())
        })
    }

    fn credential(&self, label: &str, key: &str, number: &str) -> Result<Credential, LoadError> {
        let origin = || Origin::Variable(label.to_owned());
        let key = ApiKey::new(key)
            .map_err(|source| LoadError::InvalidKey { origin: origin(), source })?;
        let mut credential = Credential::new(label, self.prefix.to_lowercase(), key);
        credential.model = self.setting("MODEL", number)?.map(|(_, model)| model);
        if let Some((variable, url)) = self.setting("BASE_URL", number)? {
            check_base_url(&url).map_err(|problem| LoadError::InvalidBaseUrl {
                origin: Origin::Variable(variable),
                problem,
            })?;
            credential.base_url = Some(url);
        }
        Ok(credential)
    }

    /// A setting of this number or, where there is none, the family's, with its variable.
    fn setting(&self, name: &str, number: &str) -> Result<Option<(String, String)>, LoadError> {
        let shared = format!("{}_{name}", self.prefix);
        for variable in [format!("{shared}_{number}"), shared] {
            let value = self.value(&variable)?.map(str::trim).filter(|value| !value.is_empty());
            if let Some(value) = value {
                return Ok(Some((variable, value.to_owned())));
            }
        }
        Ok(None)
    }

    fn value(&self, variable: &str) -> Result<Option<&'a str>, LoadError> {
        let not_unicode = |_| LoadError::NotUnicode { variable: variable.to_owned() };
        self.environment.get(variable).map_err(not_unicode)
    }
}
