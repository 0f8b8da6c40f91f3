//! What is asked, from the command line and the environment.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::Failure;
use crate::cli::Messages;

/// The version of the API.
const VERSION: &str = "2023-06-01";
const BASE_URL: &str = "https://api.anthropic.com";

/// A request, ready to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Request {
    /// Makes one, if there is all that it takes.
    pub(super) fn new(
        args: &Messages,
        prompt: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let env = |name| env(name).filter(|value| !value.trim().is_empty());
        let model = args.model.clone().or_else(|| env("ANTHROPIC_MODEL")).ok_or_else(|| {
            Failure::new("invalid_request_error", "no model: give --model, or set ANTHROPIC_MODEL")
        })?;
        if prompt.trim().is_empty() {
            return Err(Failure::new("invalid_request_error", "the prompt is empty"));
        }
        let mut body = json!({
            "model": model, "max_tokens": args.max_tokens, "stream": true,
            "messages": [{ "role": "user", "content": prompt }],
        });
        if let Some(system) = &args.system {
            body["system"] = json!(system);
        }
        let base = env("ANTHROPIC_BASE_URL").unwrap_or_else(|| BASE_URL.to_owned());
        let url = format!("{}/v1/messages", base.trim().trim_end_matches('/'));
        Ok(Self { url, headers: headers(env)?, body })
    }
}

fn headers(env: impl Fn(&'static str) -> Option<String>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static(VERSION));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = HeaderName::from_static("x-api-key");
    for (variable, header, scheme) in
        [("ANTHROPIC_API_KEY", key, ""), ("ANTHROPIC_AUTH_TOKEN", AUTHORIZATION, "Bearer ")]
    {
        let Some(secret) = env(variable) else { continue };
        let value = HeaderValue::try_from(format!("{scheme}{}", secret.trim()));
        let mut value = value.map_err(|_| unauthenticated(&format!("{variable} is no key")))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    if headers.len() == 2 {
        let what = "neither ANTHROPIC_API_KEY nor ANTHROPIC_AUTH_TOKEN is set";
        return Err(unauthenticated(what));
    }
    Ok(headers)
}

fn unauthenticated(message: &str) -> Failure {
    Failure::new("authentication_error", message)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn request(args: &[&str], env: &[(&str, &str)]) -> Result<Request, String> {
        let words = ["agent-runner", "messages"].iter().chain(args);
        let Some(Command::Messages(args)) = Cli::parse_from(words).command else { panic!("no") };
        let find = |name: &str| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Request::new(&args, "hello", &find)
            .map_err(|failure| failure.0["error"]["message"].to_string())
    }

    #[test]
    fn what_is_lent_is_used() {
        let env = [
            ("ANTHROPIC_API_KEY", "sk-1"),
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:1/"),
            ("ANTHROPIC_MODEL", "m-1"),
        ];
        let asked = request(&["--system", "be brief"], &env).unwrap();
        assert_eq!(asked.url, "http://127.0.0.1:1/v1/messages");
        assert_eq!(asked.headers["x-api-key"], "sk-1");
        assert!(!format!("{asked:?}").contains("sk-1"), "a key is never shown");
        let fields = ["model", "system", "stream"].map(|name| asked.body[name].to_string());
        assert_eq!(fields, ["\"m-1\"", "\"be brief\"", "true"]);
        assert_eq!(asked.body.get("tools"), None);
        assert_eq!(request(&["--model", "m-2"], &env).unwrap().body["model"], "m-2");
    }

    #[test]
    fn a_token_is_a_bearers() {
        let env = [("ANTHROPIC_AUTH_TOKEN", " tok \n"), ("ANTHROPIC_MODEL", "m")];
        let asked = request(&[], &env).unwrap();
        assert_eq!(asked.headers[AUTHORIZATION], "Bearer tok");
        assert!(asked.url.starts_with("https://api.anthropic.com/"));
    }

    #[test]
    fn what_is_missing_is_told() {
        for (env, missing) in [
            (vec![("ANTHROPIC_API_KEY", "k")], "no model"),
            (vec![("ANTHROPIC_MODEL", "m")], "neither"),
            (vec![("ANTHROPIC_MODEL", "m"), ("ANTHROPIC_API_KEY", " ")], "neither"),
            (vec![("ANTHROPIC_MODEL", "m"), ("ANTHROPIC_API_KEY", "a\nb")], "is no key"),
        ] {
            let told = request(&[], &env).unwrap_err();
            assert!(told.contains(missing), "{told}");
        }
    }
}
