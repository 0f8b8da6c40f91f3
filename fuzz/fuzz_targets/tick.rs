//! Ticking off a checklist; the first byte decides what is done.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_runner_fuzz::tick(bytes));
