//! The project's habits, as far as a program can see them.

use std::fs;

use cargo_metadata::{Package, camino::Utf8Path};
use xshell::{Shell, cmd};

use crate::workspace::{Workspace, has_library};

/// Describes everything that is untidy.
pub(crate) fn check(sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let packages: Vec<&Package> = workspace.published().collect();
    let mut problems = check_packages(&packages);
    // Also the files that are not committed yet, so that the check comes before the commit.
    let files = cmd!(sh, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    for file in files.lines() {
        let Ok(bytes) = fs::read(workspace.root.join(file)) else { continue };
        if let Ok(text) = std::str::from_utf8(&bytes) {
            problems.extend(check_file(file, text));
        }
    }
    Ok(problems)
}

/// Describes what these crates lack before they can be published.
pub(crate) fn check_packages(packages: &[&Package]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in packages {
        check_package(package, &mut problems);
    }
    problems
}

fn check_package(package: &Package, problems: &mut Vec<String>) {
    let name = package.name.as_str();
    let folder = package.manifest_path.parent().expect("a manifest is in a folder");
    let mut require = |fulfilled: bool, what: &str| {
        if !fulfilled {
            problems.push(format!("{name}: {what}"));
        }
    };

    require(package.description.is_some(), "no `description` in Cargo.toml");
    require(!package.keywords.is_empty(), "no `keywords` in Cargo.toml");
    require(package.license.is_some(), "no `license` in Cargo.toml");
    require(package.rust_version.is_some(), "no `rust-version` in Cargo.toml");
    require(folder.join("README.md").exists(), "no README.md");
    if has_library(package) {
        let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        require(
            library.contains(r#"include_str!("../README.md")"#),
            "src/lib.rs does not include README.md, so that its examples are not compiled",
        );
    }
    let changelog = fs::read_to_string(folder.join("CHANGELOG.md")).unwrap_or_default();
    let version = package.version.to_string();
    require(
        has_version(&changelog, &version),
        &format!("CHANGELOG.md has no `## {version} - DATE`"),
    );
}

/// Whether a changelog has a section of that version, with its date.
fn has_version(changelog: &str, version: &str) -> bool {
    changelog.lines().filter_map(|line| line.strip_prefix("## ")).any(|heading| {
        let mut words = heading.split_whitespace();
        words.next() == Some(version) && words.next() == Some("-") && words.next().is_some()
    })
}

/// This file: it has to name what it looks for.
const THIS_FILE: &str = "xtask/src/tidy.rs";

/// Left behind by people in a hurry.
const LEFTOVERS: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];

/// Folders of somebody's machine. A reader has none of them.
const MACHINE_PATHS: &[&str] = &["../shared", "/work/", "/root/"];

fn check_file(path: &str, text: &str) -> Vec<String> {
    if path == THIS_FILE {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if Utf8Path::new(path).extension() == Some("rs") {
        if !text.starts_with("//!") && !text.starts_with("#![doc = include_str!") {
            problems.push(format!("{path}:1: does not start with `//!`"));
        }
        problems.extend(find(path, text, LEFTOVERS, |_| true));
    }
    // `example/work/` is part of another path.
    let starts_path = |before: &str| {
        !before.ends_with(|c: char| {
            c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~' | '}')
        })
    };
    problems.extend(find(path, text, MACHINE_PATHS, starts_path));
    problems
}

fn find(path: &str, text: &str, words: &[&str], counts: impl Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for word in words {
            if line.match_indices(word).any(|(at, _)| counts(&line[..at])) {
                problems.push(format!("{path}:{number}: `{word}` should not be here"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_needs_the_version_and_its_date() {
        let changelog =
            "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-11-23\n\n## 0.1.10 - soon\n";
        assert!(has_version(changelog, "0.2.0"));
        assert!(has_version(changelog, "0.1.10"));
        assert!(!has_version(changelog, "0.1.1"), "0.1.1 is only the beginning of 0.1.10");
        assert!(!has_version(changelog, "0.3.0"));
        assert!(!has_version("## 0.3.0\n", "0.3.0"), "there is no date");
    }

    #[test]
    fn leftovers_are_found_with_their_line() {
        let text = "//! Docs.\n\nfn f() {\n    todo!()\n}\n";
        assert_eq!(check_file("a.rs", text), ["a.rs:4: `todo!(` should not be here"]);
        assert_eq!(check_file("a.md", text), <[String; 0]>::default(), "prose may name it");
    }

    #[test]
    fn a_source_file_says_what_it_is() {
        assert_eq!(check_file("a.rs", "fn f() {}\n"), ["a.rs:1: does not start with `//!`"]);
        assert_eq!(check_file("lib.rs", "#![doc = include_str!(\"../README.md\")]\n").len(), 0);
    }

    #[test]
    fn machine_paths_are_found_and_parts_of_other_paths_are_not() {
        for bad in ["see /work/x", "`/root/x`", "\"../shared/x\"", "/work/"] {
            assert_eq!(check_file("a.md", bad).len(), 1, "{bad}");
        }
        for fine in ["https://example.org/work/x", "target/root/x", "$HOME/work/", "~/work/"] {
            assert_eq!(check_file("a.md", fine).len(), 0, "{fine}");
        }
    }
}
