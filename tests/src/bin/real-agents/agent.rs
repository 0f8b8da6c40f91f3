//! The agents, and what they need.

/// An agent.
pub(crate) struct Agent {
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    /// What the provider's address ends in.
    pub(crate) path: &'static str,
    pub(crate) model: Option<&'static str>,
    /// The command, where it has to be spelled out to add words to it.
    pub(crate) command: &'static [&'static str],
    pub(crate) has_budget: bool,
}

pub(crate) const AGENTS: [Agent; 2] = [
    Agent {
        name: "claude",
        provider: "anthropic",
        path: "",
        model: None,
        command: &["claude", "-p", "--output-format", "stream-json", "--verbose"],
        has_budget: true,
    },
    Agent {
        name: "codex",
        provider: "openai",
        path: "/v1",
        // The default model writes programs that call tools; this one calls them.
        model: Some("gpt-5"),
        command: &[],
        has_budget: false,
    },
];
