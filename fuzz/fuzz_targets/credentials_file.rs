//! The TOML file of keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = agent_runner_credentials::parse_key_file(text);
    }
});
