//! What a release would publish. Nothing here publishes anything.

use std::process::ExitCode;

use cargo_metadata::{
    Package,
    semver::{Op, VersionReq},
};
use xshell::{Shell, cmd};

use crate::{flags, lint, steps::Steps, workspace::Workspace};

/// Checks versions and changelogs, packages what is new, and prints what is left to do.
pub(crate) fn run(
    sh: &Shell,
    workspace: &Workspace,
    options: &flags::Release,
) -> anyhow::Result<ExitCode> {
    let ordered = workspace.published_leaves_first()?;
    let tags = cmd!(sh, "git tag --list").quiet().read()?;
    let is_tagged = |package: &&Package| tags.lines().any(|line| line == tag(package));
    let (released, new): (Vec<&Package>, Vec<&Package>) = ordered.into_iter().partition(is_tagged);
    for package in released {
        let (tag, folder) = (tag(package), workspace.folder(package));
        if cmd!(sh, "git diff --quiet {tag} -- {folder}").quiet().run().is_err() {
            println!("note: {folder} has changed since `{tag}`: raise its version to release that");
        }
    }
    if new.is_empty() {
        println!("every version has its tag: there is nothing to release");
        return Ok(ExitCode::SUCCESS);
    }

    let mut steps = Steps::default();
    steps.run("versions", || lint::none(&wrong_requirements(&new, workspace)));
    steps.run("changelogs and metadata", || lint::none(&crate::tidy::check_packages(&new)));
    steps.run("packages", || package(sh, &new, options));
    let result = steps.finish();

    println!("\nto publish, in this order:");
    for package in &new {
        println!("  {} {}  (tag `{}`)", package.name, package.version, tag(package));
    }
    let unpinned = unpinned(&new, workspace);
    if !unpinned.is_empty() {
        println!("\nnote: the program should pin ours: {}", unpinned.join(", "));
    }
    println!("\nhow: docs/releasing.md");
    Ok(result)
}

fn tag(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}

/// Packages all at once: those that are not on crates.io yet find each other that way.
fn package(sh: &Shell, packages: &[&Package], options: &flags::Release) -> anyhow::Result<()> {
    let mut args = Vec::new();
    for package in packages {
        args.extend(["--package", package.name.as_str()]);
    }
    let dirty = options.allow_dirty.then_some("--allow-dirty");
    let unverified = options.no_verify.then_some("--no-verify");
    Ok(cmd!(sh, "cargo package --locked {args...} {dirty...} {unverified...}").run()?)
}

/// Requirements among our crates that what is in the workspace does not meet.
fn wrong_requirements(packages: &[&Package], workspace: &Workspace) -> Vec<String> {
    requirements(packages, workspace)
        .filter(|(_, req, ours)| !req.matches(&ours.version))
        .map(|(package, req, ours)| {
            let (name, other, version) = (&package.name, &ours.name, &ours.version);
            format!("{name} asks for {other} {req}, the workspace has {version}")
        })
        .collect()
}

/// Crates of ours that the program takes in more than one version.
fn unpinned(packages: &[&Package], workspace: &Workspace) -> Vec<String> {
    requirements(packages, workspace)
        .filter(|(package, req, _)| {
            package.name.as_str() == "agent-runner"
                && req.comparators.iter().all(|c| c.op != Op::Exact)
        })
        .map(|(_, _, ours)| format!("{} = \"={}\"", ours.name, ours.version))
        .collect()
}

/// Every arrow between our crates: who, which versions, of what.
fn requirements<'a>(
    packages: &'a [&'a Package],
    workspace: &'a Workspace,
) -> impl Iterator<Item = (&'a Package, &'a VersionReq, &'a Package)> {
    packages.iter().flat_map(|package| {
        package.dependencies.iter().filter_map(|dependency| {
            let ours = workspace.packages.iter().find(|p| p.name.as_str() == dependency.name)?;
            Some((*package, &dependency.req, ours))
        })
    })
}
