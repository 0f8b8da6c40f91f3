//! Benchmarks: each crate's own work beside its limit, measured in the same run.
//!
//! A benchmark is a `[[bench]]` target without a harness that prints one JSON object a line:
//! `{"bench":"lock","case":"…","ours":5.1,"limit":4.2,"unit":"us","ratio":1.2,"goal":"<= 1.4"}`.

mod page;
mod table;

use std::process::ExitCode;

use anyhow::Context as _;
use cargo_metadata::{Artifact, Message, Package, Target, camino::Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::{flags, steps::heading, workspace::Workspace};

/// Tells a benchmark to use tiny numbers.
pub(crate) const QUICK: &str = "AGENT_RUNNER_BENCH_QUICK";

/// What one case printed.
pub(crate) type Case = serde_json::Map<String, serde_json::Value>;

/// Builds and runs the benchmarks asked for, and shows what they measured.
pub(crate) fn run(
    sh: &Shell,
    workspace: &Workspace,
    options: &flags::Bench,
) -> anyhow::Result<ExitCode> {
    let benches = select(all(workspace), options.name.as_deref())?;
    let _quick = options.quick.then(|| sh.push_env(QUICK, "1"));
    let mut failed = false;
    for bench in build(sh, &benches, Profile::Bench)? {
        heading(&bench.name);
        let cases = match bench.run(sh) {
            Ok(cases) => cases,
            Err(error) => {
                eprintln!("error: {error:#}");
                failed = true;
                continue;
            }
        };
        if options.json {
            for case in &cases {
                println!("{}", serde_json::Value::from(case.clone()));
            }
        } else {
            print!("{}", table::plain(&cases));
        }
        if options.update {
            page::update(sh, workspace, &bench.name, &cases)?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A benchmark in the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    name: String,
    package: String,
    target: String,
    folder: Utf8PathBuf,
}

/// All benchmarks of the workspace.
pub(crate) fn all(workspace: &Workspace) -> Vec<Bench> {
    let of = |package: &Package| {
        let folder = package.manifest_path.parent().expect("a manifest is in a folder").to_owned();
        let benches = package.targets.iter().filter(|target| target.is_bench());
        let bench = |target: &Target| Bench::new(&package.name, &target.name, folder.clone());
        benches.map(bench).collect::<Vec<_>>()
    };
    workspace.packages.iter().flat_map(of).collect()
}

impl Bench {
    /// `limits` of `agent-runner-lock` is called `lock`; any other keeps its own name.
    fn new(package: &str, target: &str, folder: Utf8PathBuf) -> Self {
        let name = match (package, target) {
            ("agent-runner-task-store", "limits") => "store",
            (_, "limits") => package.strip_prefix("agent-runner-").unwrap_or(package),
            _ => target,
        };
        Self {
            name: name.to_owned(),
            package: package.to_owned(),
            target: target.to_owned(),
            folder,
        }
    }

    fn is_built_by(&self, artifact: &Artifact) -> bool {
        artifact.target.is_bench()
            && artifact.target.name == self.target
            && artifact.manifest_path.parent() == Some(&self.folder)
    }
}

fn select(benches: Vec<Bench>, name: Option<&str>) -> anyhow::Result<Vec<Bench>> {
    let Some(name) = name else { return Ok(benches) };
    let names = benches.iter().map(|bench| bench.name.as_str()).collect::<Vec<_>>().join(", ");
    let selected: Vec<_> = benches.into_iter().filter(|bench| bench.name == name).collect();
    anyhow::ensure!(!selected.is_empty(), "there is no benchmark `{name}`; there are {names}");
    Ok(selected)
}

/// How to build a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Optimised, to measure.
    Bench,
    /// As the tests are built, to see that it runs.
    Test,
}

/// A benchmark that can be run.
#[derive(Debug)]
pub(crate) struct Built {
    /// Its name on our command line.
    pub(crate) name: String,
    executable: Utf8PathBuf,
    folder: Utf8PathBuf,
}

/// Builds benchmarks, all at once.
pub(crate) fn build(sh: &Shell, benches: &[Bench], profile: Profile) -> anyhow::Result<Vec<Built>> {
    if benches.is_empty() {
        return Ok(Vec::new());
    }
    let targets = benches.iter().flat_map(|bench| ["--bench", &bench.target]);
    let packages = benches.iter().flat_map(|bench| ["--package", &bench.package]);
    let command = match profile {
        Profile::Bench => cmd!(sh, "cargo bench --no-run --all-features {packages...}"),
        // With the whole workspace, so that nothing is built twice.
        Profile::Test => cmd!(sh, "cargo test --no-run --workspace --all-features"),
    };
    let messages = command.args(targets).arg("--message-format=json-render-diagnostics").read()?;
    let mut built = Vec::new();
    for message in Message::parse_stream(messages.as_bytes()) {
        let Message::CompilerArtifact(artifact) = message? else { continue };
        let bench = benches.iter().find(|bench| bench.is_built_by(&artifact));
        if let (Some(Bench { name, folder, .. }), Some(executable)) = (bench, artifact.executable) {
            built.push(Built { name: name.clone(), executable, folder: folder.clone() });
        }
    }
    built.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

impl Built {
    /// Runs it and reads what it measured.
    pub(crate) fn run(&self, sh: &Shell) -> anyhow::Result<Vec<Case>> {
        let _folder = sh.push_dir(&self.folder);
        let executable = &self.executable;
        let lines = cmd!(sh, "{executable} --bench").quiet().read()?;
        lines
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_have_short_names() {
        let name = |package, target| Bench::new(package, target, Utf8PathBuf::new()).name;
        assert_eq!(name("agent-runner-lock", "limits"), "lock");
        assert_eq!(name("agent-runner-task-store", "limits"), "store");
        assert_eq!(name("agent-runner-tests", "run"), "run");
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_exist() {
        let benches = vec![Bench::new("agent-runner-lock", "limits", Utf8PathBuf::new())];
        assert_eq!(select(benches.clone(), Some("lock")).expect("it exists").len(), 1);
        let error = select(benches, Some("tyres")).expect_err("there is no such benchmark");
        assert_eq!(error.to_string(), "there is no benchmark `tyres`; there are lock");
    }
}
