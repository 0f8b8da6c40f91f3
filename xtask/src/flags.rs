//! The command line.

xflags::xflags! {
    /// The project's chores.
    cmd xtask {
        /// Check everything that can be checked without running it: format, clippy, docs, the
        /// arrows between the crates, the project's habits, licences and sources, spelling.
        cmd lint {}

        /// Run all tests, the examples in the docs, and each benchmark once with tiny numbers.
        cmd test {}

        /// What CI runs: `lint`, then `test`.
        cmd ci {}

        /// Measure each crate beside its limit: `backoff`, `lock`, `run`, ...
        cmd bench {
            /// Which one; all of them by default.
            optional name: String
            /// Tiny numbers, to see that it runs.
            optional --quick
            /// Print JSON lines instead of tables.
            optional --json
            /// Write the tables into `docs/benchmarks.md`.
            optional --update
        }

        /// Run the fuzz targets; needs a nightly toolchain.
        cmd fuzz {
            /// Which one; all of them by default.
            optional target: String
            /// How many seconds for each target (default: 60).
            optional --secs secs: u64
            /// How many inputs for each target, however long that takes.
            optional --runs runs: u64
        }

        /// Torture the locks, with kills, stops and removed folders, and show what was seen.
        cmd torture {
            /// How many seconds for each torture (default: 60).
            optional --secs secs: u64
            /// Only those whose name has this in it: `strict`, `leases`, `caught`, ...
            optional --kind kind: String
            /// Compare what others do with what we do, instead.
            optional --compare
        }

        /// Install Claude Code and Codex from the npm registry into `target/agents`, run them
        /// against a pretend provider in a network namespace, and show what comes of it.
        cmd agents {
            /// Which one, `claude` or `codex`; both by default.
            optional agent: String
            /// Print JSON lines instead of a table.
            optional --json
        }

        /// Show what a release would publish, and package it. Publishes nothing.
        cmd release {
            /// Package although there are uncommitted changes.
            optional --allow-dirty
            /// Do not build the packages.
            optional --no-verify
        }
    }
}
