//! A folder of its own for each test, and the program in it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use insta::Settings;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Call, Output, json_lines};

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where cargo put the programs: `env!("CARGO_BIN_EXE_…")`, which only a test knows.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// `agent-runner`.
    pub runner: &'static str,
    /// `fake-agent`.
    pub agent: &'static str,
}

/// A temporary folder with a project and a home; both are gone when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
    programs: Programs,
}

impl Sandbox {
    /// An empty project.
    pub fn new(programs: Programs) -> Self {
        let folder =
            tempfile::Builder::new().prefix("agent-runner-test-").tempdir().expect("a temp folder");
        let sandbox = Self { folder, programs };
        for folder in [sandbox.root(), sandbox.home(), sandbox.bin()] {
            fs::create_dir(&folder).expect("a folder in the sandbox");
        }
        for (name, program) in [("agent-runner", programs.runner), ("fake-agent", programs.agent)] {
            symlink(program, sandbox.bin().join(name)).expect("a link in the sandbox");
        }
        sandbox
    }

    /// The project's folder, in which every command is run.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The folder that commands take for their user's home.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The folder of the programs, which is first on the PATH.
    pub fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// A path in the project.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file of the project, with its folders.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("the folder can be made");
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("could not write '{}': {error}", path.display()));
        path
    }

    /// Writes `tasks.txt` with so many lines: `task 1` and so on.
    pub fn write_tasks(&self, count: usize) -> PathBuf {
        let lines: Vec<_> = (1..=count).map(|number| format!("task {number}")).collect();
        self.write("tasks.txt", lines.join("\n"))
    }

    /// Reads a file of the project; what is not UTF-8 is replaced.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        let bytes = fs::read(&path);
        let bytes =
            bytes.unwrap_or_else(|error| panic!("could not read '{}': {error}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the project has this file or folder.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).exists()
    }

    /// Makes the project a git repository with one commit, on branch `main`, of all that is in it.
    pub fn repository(&self) {
        let init = "git init --quiet --initial-branch=main && git add -A && git commit --quiet --allow-empty -m begin";
        self.shell(init).exits(0);
    }

    /// Runs git in the project, and returns what it prints.
    pub fn git(&self, line: &str) -> String {
        self.shell(&format!("git {line}")).exits(0).stdout.trim_end().to_owned()
    }

    /// Makes a program of the sandbox out of a script for sh.
    pub fn script(&self, name: &str, text: &str) {
        let path = self.bin().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script in the sandbox");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// The command line of a fake agent, with the `--` that stands before it.
    pub fn fake(&self, verb: &str) -> Vec<String> {
        let verb = verb.split(' ').map(str::to_owned);
        ["--", self.programs.agent].into_iter().map(str::to_owned).chain(verb).collect()
    }

    /// A call of the program that is not made yet.
    pub fn call<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        // Through the link, so that it has its own name in its usage.
        Call::new(self.bin().join("agent-runner"), self).args(args)
    }

    /// A line for bash, which finds `agent-runner` and `fake-agent` on its PATH.
    pub fn shell(&self, line: &str) -> Output {
        self.shell_call(line).run()
    }

    /// A call of `bash`, before it is made.
    pub fn shell_call(&self, line: &str) -> Call {
        Call::new("bash", self).args(["-c", line])
    }

    /// Runs the program to its end.
    pub fn run<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.call(args).run()
    }

    /// A call of `run --json ARGS -- fake-agent VERB`, with waits too short to be noticed.
    pub fn call_fake<S: Into<String>>(
        &self,
        args: impl IntoIterator<Item = S>,
        verb: &str,
    ) -> Call {
        self.call(["run", "--json", "--retry-delay", "1ms"]).args(args).args(self.fake(verb))
    }

    /// Runs that to its end.
    pub fn run_fake<S: Into<String>>(
        &self,
        args: impl IntoIterator<Item = S>,
        verb: &str,
    ) -> Output {
        self.call_fake(args, verb).run()
    }

    /// What `status --json` prints.
    pub fn status(&self) -> Value {
        self.run(["status", "--json"]).exits(0).json()
    }

    /// How many tasks stand where; the states without any are left out.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let status = self.status();
        let counts = status["counts"].as_object().expect("`counts` is an object");
        let count = |(name, count): (&String, &Value)| {
            (name.clone(), count.as_u64().expect("a count is a number"))
        };
        counts.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    /// What `list --json` prints.
    pub fn list(&self) -> Vec<Value> {
        self.run(["list", "--json"]).exits(0).json_lines()
    }

    /// What `show --json ID` prints.
    pub fn show(&self, id: &str) -> Value {
        self.run(["show", "--json", id]).exits(0).json()
    }

    /// How each attempt at a task ended.
    pub fn outcomes(&self, id: &str) -> Vec<String> {
        let shown = self.show(id);
        let attempts = shown["attempt_log"].as_array().expect("`attempt_log` is a list");
        let outcome = |attempt: &Value| attempt["outcome"].as_str().unwrap_or("running").to_owned();
        attempts.iter().map(outcome).collect()
    }

    /// Reads a file of JSON lines in the project.
    pub fn json_lines(&self, name: &str) -> Vec<Value> {
        json_lines(&self.read(name))
    }

    /// Waits for a file of the project and reads it.
    pub fn wait_for(&self, name: &str) -> String {
        wait_until(&format!("file {name}"), || self.has(name));
        self.read(name)
    }

    /// Everything in the project with its size and time of change, to see that nothing was touched
    /// but what `SQLite` keeps beside an open store.
    pub fn listing(&self) -> Vec<String> {
        let mut entries = Vec::new();
        list(&self.root(), &mut entries);
        entries.sort();
        entries
    }

    /// All bytes of all files in the project, with their paths.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut paths = Vec::new();
        walk(&self.root(), &mut paths);
        let read = |path: PathBuf| fs::read(&path).ok().map(|bytes| (path, bytes));
        paths.into_iter().filter_map(read).collect()
    }

    /// Filters for `insta`: paths, times, names of runs and durations stand as words.
    pub fn snapshots(&self) -> Settings {
        let mut settings = Settings::clone_current();
        let folder = self.folder.path().canonicalize().expect("the folder is there");
        for (pattern, word) in [
            (folder.to_str().expect("temp folders are UTF-8"), "[SANDBOX]"),
            (self.programs.agent, "[AGENT]"),
            (r"\[SANDBOX\]/bin:\S+", "[PATH]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
            (r"\d{4}-\d{6}-[0-9a-f]{4}", "[RUN]"),
            (r"\b\d+\.\d+s\b", "[DURATION]"),
            (r"\bpid \d+", "pid [PID]"),
            // Only of a process that was slow enough to be looked at.
            (r", [\d.]+ [KM]iB of memory", ""),
            (r"\bw\d+\b", "w[N]"),
        ] {
            settings.add_filter(pattern, word);
        }
        settings
    }
}

/// Waits until `condition` holds; panics when it does not within the patience of a test.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "{what} did not come within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder can be read");
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && !path.is_symlink() {
            walk(&path, paths);
        }
        paths.push(path);
    }
}

fn list(root: &Path, entries: &mut Vec<String>) {
    let mut paths = vec![root.to_owned()];
    walk(root, &mut paths);
    for path in paths {
        if is_of_sqlite(&path) {
            continue;
        }
        if let Ok(meta) = fs::symlink_metadata(&path) {
            let changed = meta.modified().expect("files have a time");
            entries.push(format!("{} {} {changed:?}", path.display(), meta.len()));
        }
    }
}

/// SQLite makes and removes files beside a store that somebody only reads.
fn is_of_sqlite(path: &Path) -> bool {
    let is_empty = || fs::metadata(path).is_ok_and(|meta| meta.len() == 0);
    let name = path.to_string_lossy();
    name.ends_with(".db-shm")
        || name.ends_with("/.agent-runner")
        || name.ends_with(".db-wal") && is_empty()
}
