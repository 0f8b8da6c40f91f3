//! What a server's answer says about a key: two bytes of status, headers, an empty line, a body.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_runner_fuzz::classify_answer(bytes));
