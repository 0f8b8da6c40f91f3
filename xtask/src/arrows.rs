//! Who may depend on whom, and on what from outside.

use cargo_metadata::{DependencyKind, Package};

use crate::workspace::{Workspace, is_published};

/// The crates of ours that a crate may use. One that is not named here is a leaf: it uses none.
const ARROWS: &[(&str, Allowed)] = &[
    ("agent-runner-exec", Allowed::These(&["agent-runner-signals"])),
    ("agent-runner-gateway", Allowed::These(&["agent-runner-credentials"])),
    ("agent-runner", Allowed::All),
    ("agent-runner-tests", Allowed::All),
];

/// Where tokio may be a dependency that cannot be switched off.
const NEED_TOKIO: &[&str] = &[
    "agent-runner-exec",
    "agent-runner-gateway",
    "agent-runner-pool",
    "agent-runner-task-store",
    "agent-runner",
];

/// What libraries leave to programs, and the crates that may use it all the same.
const FOR_PROGRAMS: &[(&str, &[&str])] = &[
    ("anyhow", &["agent-runner"]),
    ("clap", &["agent-runner"]),
    ("reqwest", &["agent-runner", "agent-runner-gateway"]),
];

#[derive(Debug, Clone, Copy)]
enum Allowed {
    All,
    These(&'static [&'static str]),
}

/// Describes every arrow that should not be there.
pub(crate) fn check(workspace: &Workspace) -> Vec<String> {
    let crates: Vec<Crate<'_>> =
        workspace.packages.iter().map(|p| Crate::new(p, workspace.folder(p))).collect();
    check_crates(&crates)
}

/// A crate, reduced to what the rules look at.
#[derive(Debug)]
struct Crate<'a> {
    name: &'a str,
    folder: &'a str,
    published: bool,
    dependencies: Vec<Dependency<'a>>,
}

#[derive(Debug)]
struct Dependency<'a> {
    name: &'a str,
    kind: DependencyKind,
    optional: bool,
}

impl<'a> Crate<'a> {
    fn new(package: &'a Package, folder: &'a str) -> Self {
        let dependencies = package
            .dependencies
            .iter()
            .map(|d| Dependency { name: &d.name, kind: d.kind, optional: d.optional })
            .collect();
        Self { name: &package.name, folder, published: is_published(package), dependencies }
    }

    fn may_use(&self, other: &str) -> bool {
        match ARROWS.iter().find(|(name, _)| *name == self.name) {
            Some((_, Allowed::All)) => true,
            Some((_, Allowed::These(names))) => names.contains(&other),
            None => false,
        }
    }
}

fn check_crates(crates: &[Crate<'_>]) -> Vec<String> {
    let mut problems = Vec::new();
    for krate in crates {
        problems.extend(misplaced(krate));
        for dependency in &krate.dependencies {
            let ours = crates.iter().any(|other| other.name == dependency.name);
            problems.extend(if ours {
                forbidden_arrow(krate, dependency)
            } else if krate.published && dependency.kind != DependencyKind::Development {
                forbidden_outside(krate, dependency)
            } else {
                None
            });
        }
    }
    problems
}

fn misplaced(krate: &Crate<'_>) -> Option<String> {
    let Crate { name, folder, .. } = krate;
    let expected = if krate.published { format!("crates/{name}") } else { (*name).to_owned() };
    let is_tests = *name == "agent-runner-tests" && *folder == "tests";
    (*folder != expected && !is_tests)
        .then(|| format!("{name} is in `{folder}`, it belongs in `{expected}`"))
}

fn forbidden_arrow(krate: &Crate<'_>, dependency: &Dependency<'_>) -> Option<String> {
    (!krate.may_use(dependency.name)).then(|| {
        format!(
            "{} must not use {} ({} dependency): leaves meet through std types and closures in \
             the binary; a new arrow is argued for and listed in xtask/src/arrows.rs",
            krate.name, dependency.name, dependency.kind
        )
    })
}

fn forbidden_outside(krate: &Crate<'_>, dependency: &Dependency<'_>) -> Option<String> {
    let (name, other) = (krate.name, dependency.name);
    if other == "tokio" && !dependency.optional && !NEED_TOKIO.contains(&name) {
        return Some(format!("{name} forces tokio on its users: make it an optional feature"));
    }
    let (_, allowed) = FOR_PROGRAMS.iter().find(|(program, _)| *program == other)?;
    (!allowed.contains(&name)).then(|| format!("{name} is a library and must not use {other}"))
}

#[cfg(test)]
mod tests {
    use DependencyKind::{Development, Normal};

    use super::*;

    fn krate<'a>(name: &'a str, folder: &'a str, uses: &[(&'a str, DependencyKind)]) -> Crate<'a> {
        let dependencies =
            uses.iter().map(|&(name, kind)| Dependency { name, kind, optional: false }).collect();
        Crate { name, folder, published: folder.starts_with("crates/"), dependencies }
    }

    fn check(crates: &[Crate<'_>], expected: &[&str]) {
        let problems = check_crates(crates);
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem:?} does not say {expected:?}");
        }
    }

    #[test]
    fn the_house_as_drawn_passes() {
        check(
            &[
                krate("agent-runner-lock", "crates/agent-runner-lock", &[("fd-lock", Normal)]),
                krate("agent-runner-pool", "crates/agent-runner-pool", &[("tokio", Normal)]),
                krate(
                    "agent-runner",
                    "crates/agent-runner",
                    &[
                        ("agent-runner-lock", Normal),
                        ("agent-runner-pool", Normal),
                        ("clap", Normal),
                    ],
                ),
                krate(
                    "agent-runner-tests",
                    "tests",
                    &[("agent-runner", Normal), ("anyhow", Normal)],
                ),
                krate("xtask", "xtask", &[("anyhow", Normal)]),
            ],
            &[],
        );
    }

    #[test]
    fn a_leaf_that_uses_another_is_caught() {
        let lock = || krate("agent-runner-lock", "crates/agent-runner-lock", &[]);
        for kind in [Normal, Development] {
            let uses = [("agent-runner-lock", kind)];
            let pool = krate("agent-runner-pool", "crates/agent-runner-pool", &uses);
            check(&[lock(), pool], &["agent-runner-pool must not use agent-runner-lock"]);
        }
        let xtask = krate("xtask", "xtask", &[("agent-runner-lock", Normal)]);
        check(&[lock(), xtask], &["xtask must not use agent-runner-lock"]);
    }

    #[test]
    fn a_crate_that_is_new_is_a_leaf() {
        let lock = krate("agent-runner-lock", "crates/agent-runner-lock", &[]);
        let uses = [("agent-runner-lock", Normal)];
        let new = krate("agent-runner-new", "crates/agent-runner-new", &uses);
        check(&[lock, new], &["agent-runner-new must not use agent-runner-lock"]);
    }

    #[test]
    fn what_programs_use_is_kept_out_of_libraries() {
        let uses = [("clap", Normal), ("tokio", Normal), ("anyhow", Development)];
        let lock = krate("agent-runner-lock", "crates/agent-runner-lock", &uses);
        check(&[lock], &["must not use clap", "forces tokio"]);
    }

    #[test]
    fn folder_and_name_are_the_same() {
        let lock = krate("agent-runner-lock", "crates/lock", &[]);
        check(&[lock], &["belongs in `crates/agent-runner-lock`"]);
    }
}
