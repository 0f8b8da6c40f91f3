//! The workspace, as `cargo metadata` describes it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand, Package, Target, camino::Utf8PathBuf};

/// Our crates and where they are.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: Utf8PathBuf,
    /// Where cargo builds.
    pub(crate) target: Utf8PathBuf,
    /// Our crates, by name.
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .exec()
            .context("could not read the workspace's metadata")?;
        Ok(Self::from(metadata))
    }

    /// Where chores install programs that they need.
    pub(crate) fn tools(&self) -> Utf8PathBuf {
        self.target.join("tools")
    }

    /// The crates that go to crates.io.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| is_published(package))
    }

    /// The same, each after those that it depends on.
    pub(crate) fn published_leaves_first(&self) -> anyhow::Result<Vec<&Package>> {
        let mut waiting: Vec<&Package> = self.published().collect();
        let mut ordered = Vec::new();
        while !waiting.is_empty() {
            let names: BTreeSet<&str> = waiting.iter().map(|p| p.name.as_str()).collect();
            let (blocked, ready): (Vec<_>, Vec<_>) = waiting.iter().partition(|package| {
                package.dependencies.iter().any(|d| names.contains(d.name.as_str()))
            });
            anyhow::ensure!(!ready.is_empty(), "these crates depend on each other: {names:?}");
            ordered.extend(ready);
            waiting = blocked;
        }
        Ok(ordered)
    }

    /// A crate's folder from the root, such as `crates/agent-runner-lock`.
    pub(crate) fn folder<'a>(&self, package: &'a Package) -> &'a str {
        let folder = package.manifest_path.parent().expect("a manifest is in a folder");
        folder.strip_prefix(&self.root).unwrap_or(folder).as_str()
    }
}

impl From<Metadata> for Workspace {
    fn from(metadata: Metadata) -> Self {
        let mut packages = metadata.packages;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Self { root: metadata.workspace_root, target: metadata.target_directory, packages }
    }
}

/// Whether a crate goes to crates.io.
pub(crate) fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// Whether a crate has a library.
pub(crate) fn has_library(package: &Package) -> bool {
    package.targets.iter().any(Target::is_lib)
}
