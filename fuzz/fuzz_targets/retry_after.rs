//! The times in a server's headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let now = std::time::SystemTime::UNIX_EPOCH;
    let _ = agent_runner_credentials::parse_retry_after(&text, now);
    let _ = agent_runner_credentials::parse_http_date(&text);
    let _ = agent_runner_credentials::parse_rfc3339(&text);
});
