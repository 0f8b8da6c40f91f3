//! The fuzz targets in `fuzz/`, each for a while, or for so many inputs.

use std::process::ExitCode;

use anyhow::Context as _;
use cargo_metadata::MetadataCommand;
use xshell::{Shell, cmd};

use crate::{flags, steps::Steps, tools::FUZZ, workspace::Workspace};

/// Runs the targets asked for, starting from `fuzz/seeds/<target>`.
pub(crate) fn run(
    sh: &Shell,
    workspace: &Workspace,
    options: &flags::Fuzz,
) -> anyhow::Result<ExitCode> {
    let targets = select(targets(workspace)?, options.target.as_deref())?;
    cmd!(sh, "cargo +nightly --version")
        .quiet()
        .ignore_stdout()
        .run()
        .context("fuzzing needs a nightly toolchain: `rustup toolchain install nightly`")?;
    install(sh, workspace)?;

    let end = match options.runs {
        Some(runs) => format!("-runs={runs}"),
        None => format!("-max_total_time={}", options.secs.unwrap_or(60)),
    };
    let mut steps = Steps::default();
    for target in &targets {
        steps.run(target, || {
            // libFuzzer writes what it finds into the first folder; seeds are only read.
            let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
            sh.create_dir(&corpus)?;
            let seeds = sh.path_exists(&seeds).then_some(seeds);
            Ok(cmd!(sh, "cargo +nightly fuzz run {target} {corpus} {seeds...} -- {end}").run()?)
        });
    }
    Ok(steps.finish())
}

fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let manifest = workspace.root.join("fuzz/Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(&manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("could not read {manifest}"))?;
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    let binaries = targets.filter(|target| target.is_bin());
    Ok(binaries.map(|target| target.name.clone()).collect())
}

fn select(targets: Vec<String>, name: Option<&str>) -> anyhow::Result<Vec<String>> {
    let Some(name) = name else { return Ok(targets) };
    let found = targets.iter().any(|target| target == name);
    anyhow::ensure!(found, "there is no target `{name}`; there are {}", targets.join(", "));
    Ok(vec![name.to_owned()])
}

/// Builds `cargo-fuzz` into `target/tools`, once.
fn install(sh: &Shell, workspace: &Workspace) -> anyhow::Result<()> {
    if !FUZZ.is_installed(sh) {
        let tools = workspace.tools();
        cmd!(sh, "cargo install --locked cargo-fuzz --root {tools}").run()?;
    }
    Ok(())
}
