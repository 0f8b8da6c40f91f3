//! `init`: a configuration and a sample backlog for a project.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use crate::{
    cli::Init,
    config::FILE_NAME,
    error::{OrExit, Result},
    exit_code::Exit,
    project::Project,
    ui::Ui,
};

const TASKS: &str = "\
# What the agents should do

Each unticked box is a task; indented lines below it belong to its prompt. A box is ticked when its
task is done.

- [ ] Add a sentence about what this project does to README.md
- [ ] Find a function without a test and write one
";

/// Writes the files that are not there yet.
pub fn init(ui: &Ui, project: &Project, args: &Init) -> Result<Exit> {
    let root = &project.root;
    let files =
        [(root.join(FILE_NAME), config_for(root)), (root.join("tasks.md"), TASKS.to_owned())];
    for (path, text) in files {
        let written = write_new(&path, &text, args.force)
            .or_invalid(|| format!("could not write '{}'", path.display()))?;
        let what = if written { "wrote" } else { "kept" };
        ui.say(format_args!("{what} {}", path.display()));
    }
    ui.say("\nnext: edit tasks.md, then `agent-runner run -n` to see the plan and `agent-runner run` to start");
    Ok(Exit::Success)
}

fn write_new(path: &Path, text: &str, force: bool) -> io::Result<bool> {
    if force {
        return fs::write(path, text).map(|()| true);
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The configuration, with what the project's own files say about its tests and agents.
fn config_for(root: &Path) -> String {
    let verify = [
        ("Cargo.toml", "cargo test --quiet"),
        ("package.json", "npm test --silent"),
        ("pyproject.toml", "python -m pytest -q"),
        ("go.mod", "go test ./..."),
        ("Makefile", "make test"),
    ]
    .into_iter()
    .find(|(file, _)| root.join(file).exists())
    .map_or_else(
        || "# verify = \"make test\"".to_owned(),
        |(_, test)| format!("verify = \"{test}\""),
    );
    format!(
        "\
# Defaults for `agent-runner run` in this folder; flags win over them.

backlog = \"tasks.md\"

# The agent: a program and its arguments. `{{{{prompt}}}}` and the other fields of a task are filled in
# one argument at a time (`agent-runner help templates`).
command = [\"claude\", \"-p\", \"{{{{prompt}}}}\", \"--permission-mode\", \"acceptEdits\"]

# A task is done only when this succeeds too.
{verify}

jobs = 4
attempts = 3
timeout = \"30m\"
idle_timeout = \"10m\"

# Each agent in a git worktree of its own; what is done is merged into the branch that is checked
# out, one task after the other, and checked again there. A success that changed nothing is none.
# isolate = \"worktree\"
# merge = true
# expect_diff = true
"
    )
}
