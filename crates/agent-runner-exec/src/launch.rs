//! From a command to a process.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    process,
};

use tokio::runtime::Handle;

use crate::{
    Cgroups, Command, ProcessIdentity, SpawnError, Stdin,
    mark::{MARK_VARIABLE, Mark},
    output::Output,
    program,
    sys::{self, Feed, Group, Pipes, Registration, Spawned},
    tree::Tree,
};

/// A process, and all that it takes to look after it.
pub(crate) struct Launched {
    pub(crate) identity: ProcessIdentity,
    pub(crate) tree: Tree,
    pub(crate) pipes: Pipes,
    pub(crate) feed: Option<Feed>,
    pub(crate) output: Output,
}

pub(crate) fn launch(mut command: Command) -> Result<Launched, SpawnError> {
    // Better a panic here than beside a child that nobody watches.
    let _runtime = Handle::current();
    if command.memory_limit.is_some() && !sys::KNOWS_MEMORY {
        return Err(SpawnError::MemoryLimit);
    }
    let program = program::locate(&command.program, search_path(&command))?;
    let output = Output::new(command.log.take(), &command.secrets, command.listener.take())?;
    let stdin = match std::mem::take(&mut command.stdin) {
        Stdin::Null => None,
        Stdin::Bytes(bytes) => Some(bytes),
    };
    let mark = command.mark.take().unwrap_or_else(Mark::next);
    let mut registration = Registration::new(mark.clone());
    let built = build(&command, &program, &mark);
    let place = command.cgroups.as_ref().map(|Cgroups(place)| place);
    let group = place.and_then(|place| Group::create(place, &mark, command.memory_limit));
    let Spawned { leader, pipes, feed } = sys::spawn(built, command.merge_output, stdin)
        .map_err(|source| explain(source, &command, &program))?;
    registration.spawned(leader.id());
    if let Some(group) = &group {
        group.take_in(leader.pid());
    }
    let identity = sys::identity(&leader, mark);
    Ok(Launched { identity, tree: Tree::new(leader, registration, group), pipes, feed, output })
}

fn build(command: &Command, program: &Path, mark: &Mark) -> process::Command {
    let mut built = process::Command::new(program);
    built.args(&command.args);
    if command.clear_environment {
        built.env_clear();
    }
    for (key, value) in &command.environment {
        match value {
            Some(value) => built.env(key, value),
            None => built.env_remove(key),
        };
    }
    built.env(MARK_VARIABLE, mark.to_value());
    if let Some(dir) = &command.current_dir {
        built.current_dir(dir);
    }
    built
}

/// The child's `PATH`.
fn search_path(command: &Command) -> Option<OsString> {
    let set = command.environment.iter().rev().find(|(key, _)| key == "PATH");
    match set {
        Some((_, value)) => value.clone(),
        None if command.clear_environment => None,
        None => env::var_os("PATH"),
    }
}

/// The system says "no such file" for a missing directory and a missing interpreter as well.
fn explain(source: io::Error, command: &Command, program: &Path) -> SpawnError {
    if let Some(dir) = &command.current_dir {
        let entered = fs::metadata(dir.join("."));
        if let Err(source) = entered {
            return SpawnError::WorkingDirectory { path: dir.clone(), source };
        }
    }
    if let Err(error) = program::check(&command.program, program) {
        return error;
    }
    let path = program.to_owned();
    let is_about_a_file =
        matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
    if is_about_a_file && is_script(program) {
        SpawnError::Interpreter { path, source }
    } else {
        SpawnError::Start { path, source }
    }
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"#!"
}
