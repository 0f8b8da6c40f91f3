//! What a runner inside an agent should not pass on.

/// Variables by which an agent tells the programs that it runs that they run inside it.
///
/// A runner that was itself started by an agent passes them on, and some CLIs then refuse to
/// start or attach themselves to the outer session. Settings and credentials are not among them.
/// Nothing is removed unless you ask for it:
///
/// ```
/// use agent_runner_exec::{Command, PARENT_AGENT_VARIABLES};
///
/// let command = Command::new("claude").envs_remove(PARENT_AGENT_VARIABLES);
/// ```
pub const PARENT_AGENT_VARIABLES: &[&str] = &[
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID",
    "CURSOR_AGENT",
    "CURSOR_TRACE_ID",
    "GEMINI_CLI",
    "OPENCODE",
];
