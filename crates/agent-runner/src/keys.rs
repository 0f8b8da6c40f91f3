//! Which credentials a project has, and how their providers are reached.

use agent_runner_credentials::{Environment, Loaded, Source};
use agent_runner_gateway::{Network, NetworkError};

use crate::{
    error::{Error, Result},
    exit_code::Exit,
    project::Project,
};

/// Loads them: the configuration's file, or else the environment.
pub fn load(project: &Project) -> Result<Loaded> {
    let sources = match &project.config.keys {
        Some(path) => vec![Source::file(path)],
        None => Source::known_variables(),
    };
    agent_runner_credentials::load(&sources, &Environment::current()).map_err(|error| {
        Error::new(Exit::Invalid, error)
            .hint("mend it, or unset it; `agent-runner keys list` shows what is found")
    })
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
