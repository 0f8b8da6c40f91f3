//! What an agent writes about its own end.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_runner_fuzz::agent_result(bytes));
