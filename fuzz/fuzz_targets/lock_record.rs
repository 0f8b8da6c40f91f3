//! The record of a lock file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_runner_fuzz::lock_record(bytes));
