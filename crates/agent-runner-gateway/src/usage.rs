//! What an answer cost in tokens, by its own words.

use std::ops::AddAssign;

use serde::Serialize;
use serde_json::Value;

/// Tokens, as providers count them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Input that was read anew.
    pub input: u64,
    /// Input that was found in the prompt cache.
    pub cache_read: u64,
    /// Input that was written to the prompt cache.
    pub cache_write: u64,
    /// Output, thoughts included.
    pub output: u64,
}

impl Usage {
    /// All tokens.
    pub const fn total(&self) -> u64 {
        let input = self.input.saturating_add(self.cache_read).saturating_add(self.cache_write);
        input.saturating_add(self.output)
    }

    /// Takes over what a `usage` or `usageMetadata` says. Providers repeat and correct themselves in
    /// the course of a stream, so what comes last counts.
    pub(crate) fn update(&mut self, said: &Value) {
        let number = |path: &str| said.pointer(path).and_then(Value::as_u64);
        let first = |paths: &[&str]| paths.iter().find_map(|path| number(path));
        let cached = first(&[
            "/input_tokens_details/cached_tokens",
            "/prompt_tokens_details/cached_tokens",
            "/cachedContentTokenCount",
        ]);
        if let Some(tokens) = first(&["/cache_read_input_tokens"]).or(cached) {
            self.cache_read = tokens;
        }
        if let Some(tokens) = first(&["/cache_creation_input_tokens"]) {
            self.cache_write = tokens;
        }
        if let Some(tokens) = first(&["/input_tokens", "/prompt_tokens", "/promptTokenCount"]) {
            let tools = number("/toolUsePromptTokenCount").unwrap_or(0);
            // Anthropic's input is without what was cached, everybody else's is with it.
            self.input = tokens.saturating_add(tools).saturating_sub(cached.unwrap_or(0));
        }
        if let Some(tokens) =
            first(&["/output_tokens", "/completion_tokens", "/candidatesTokenCount"])
        {
            let thoughts = number("/thoughtsTokenCount").unwrap_or(0);
            self.output = tokens.saturating_add(thoughts);
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(said: &[Value], input: u64, cache_read: u64, cache_write: u64, output: u64) {
        let mut usage = Usage::default();
        for said in said {
            usage.update(said);
        }
        assert_eq!(usage, Usage { input, cache_read, cache_write, output });
    }

    #[test]
    fn each_provider_is_understood() {
        let start = json!({"input_tokens": 25, "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 2000, "output_tokens": 1, "service_tier": "standard"});
        check(&[start.clone(), json!({"output_tokens": 15})], 25, 2000, 100, 15);
        check(&[start, json!({"input_tokens": 30, "output_tokens": 40})], 30, 2000, 100, 40);
        let chat = json!({"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 4}});
        check(&[chat], 15, 4, 0, 10);
        let responses = json!({"input_tokens": 328, "input_tokens_details": {"cached_tokens": 300},
            "output_tokens": 52, "output_tokens_details": {"reasoning_tokens": 20}});
        check(&[responses], 28, 300, 0, 52);
        let gemini = json!({"promptTokenCount": 100, "cachedContentTokenCount": 60,
            "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 112});
        check(&[json!({"promptTokenCount": 100}), gemini], 40, 60, 0, 12);
    }

    #[test]
    fn what_makes_no_sense_is_nothing() {
        check(&[json!(null), json!("x"), json!({"input_tokens": "many"}), json!([1])], 0, 0, 0, 0);
        check(
            &[json!({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}})],
            0,
            9,
            0,
            0,
        );
        let huge = Usage { input: u64::MAX, ..Usage::default() };
        let mut sum = huge;
        sum += huge;
        assert_eq!(sum.total(), u64::MAX);
    }
}
