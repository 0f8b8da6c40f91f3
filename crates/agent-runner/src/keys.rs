//! Which credentials a project has, and how their providers are reached.

use agent_runner_credentials::{ApiKey, Environment, KeyRing, Loaded, SharedRing, Source, reload};
use agent_runner_gateway::{Network, NetworkError};

use crate::{
    error::{Error, Result, chain_of},
    exit_code::Exit,
    project::Project,
    ui::Ui,
};

/// Loads them: the configuration's file, or else the environment.
pub fn load(project: &Project) -> Result<Loaded> {
    agent_runner_credentials::load(&sources(project), &Environment::current()).map_err(|error| {
        let hint = match &project.config.keys {
            Some(_) => "mend it, or name another file by `keys` of the configuration",
            None => "mend it, or unset it; `agent-runner help environment` says what is read",
        };
        Error::new(Exit::Invalid, error).hint(hint)
    })
}

/// A ring of them. A key that is refused is read again at its source, if that may have another one
/// by now, which is told to `learn`.
pub fn ring(
    project: &Project,
    loaded: Loaded,
    ui: &Ui,
    learn: impl Fn(&ApiKey) + Send + Sync + 'static,
) -> SharedRing {
    let ring = KeyRing::new(loaded.credentials).with_renewable(&loaded.renewable);
    let ring = SharedRing::new(ring);
    let (sources, ui) = (sources(project), ui.clone());
    ring.renew_by(move |old| {
        let label = &old.label;
        match reload(&sources, &Environment::current(), old) {
            Ok(Some(key)) if key.expose() != old.key.expose() => {
                learn(&key);
                ui.say(format_args!(
                    "key '{label}' was refused; its source has another one now, which is used"
                ));
                Some(key)
            }
            Ok(same) => same,
            Err(error) => {
                let why = chain_of(&error);
                ui.warn(format_args!(
                    "key '{label}' was refused and could not be read again: {why}"
                ));
                None
            }
        }
    });
    ring
}

fn sources(project: &Project) -> Vec<Source> {
    match &project.config.keys {
        Some(path) => vec![Source::file(path)],
        None => Source::known_variables(),
    }
}

/// How the environment says that providers are reached.
pub fn network() -> Result<Network> {
    Network::from_env().map_err(unreached)
}

/// What to do about it.
pub fn unreached(error: NetworkError) -> Error {
    Error::new(Exit::Invalid, error).hint(
        "mend the variable, or unset it; `agent-runner help environment` lists those that count",
    )
}
