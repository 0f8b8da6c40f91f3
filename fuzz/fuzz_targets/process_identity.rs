//! The text that names a process.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| agent_runner_fuzz::process_identity(text));
