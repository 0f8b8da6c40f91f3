//! A backlog in Markdown.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    agent_runner_fuzz::read_backlog(agent_runner_task_store::backlog::Format::Markdown, bytes);
});
