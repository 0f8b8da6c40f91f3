//! Patterns of paths, and whether they overlap.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| agent_runner_fuzz::path_patterns(text));
