//! What a release would publish. Nothing here publishes anything.

use std::process::ExitCode;

use cargo_metadata::{DependencyKind, Package, semver::VersionReq};
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
    let new: Vec<&Package> =
        ordered.into_iter().filter(|package| !tags.lines().any(|t| t == tag(package))).collect();
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
    for package in new {
        println!("  {} {}  (tag `{}`)", package.name, package.version, tag(package));
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

/// Requirements among our crates that the present versions do not meet.
fn wrong_requirements(packages: &[&Package], workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for package in packages {
        for dependency in
            package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development)
        {
            let Some(ours) = workspace.packages.iter().find(|p| p.name.as_str() == dependency.name)
            else {
                continue;
            };
            if dependency.req == VersionReq::STAR || !dependency.req.matches(&ours.version) {
                problems.push(format!(
                    "{} asks for {} {}, the workspace has {}",
                    package.name, ours.name, dependency.req, ours.version
                ));
            }
        }
    }
    problems
}
