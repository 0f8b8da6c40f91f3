//! The words of a command with placeholders.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| agent_runner_fuzz::command_template(text));
