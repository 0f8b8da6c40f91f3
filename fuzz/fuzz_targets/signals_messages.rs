//! What `agent-runner messages` prints: a byte that cuts it into pieces, and the rest.
#![no_main]
use agent_runner_signals::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_runner_fuzz::signals(Format::Messages, bytes));
