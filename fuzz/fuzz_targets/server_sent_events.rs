//! An answer of the Messages API: a byte that cuts it into pieces, and the rest.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_runner_fuzz::server_sent_events(bytes));
