//! `agent-runner.toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| agent_runner_fuzz::configuration(text));
