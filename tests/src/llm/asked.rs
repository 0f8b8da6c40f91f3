//! What a model is asked to do.

use serde_json::Value;

/// The name in the last `write file:NAME`, unless a tool has been heard of since. Tools are heard of
/// in items of these types, at the top of a conversation or in its messages.
pub(super) fn file(conversation: &Value, heard: &[&str]) -> Option<String> {
    let is_heard = |value: &Value| value["type"].as_str().is_some_and(|kind| heard.contains(&kind));
    for item in conversation.as_array()?.iter().rev() {
        if is_heard(item) || item["content"].as_array().is_some_and(|all| all.iter().any(is_heard))
        {
            return None;
        }
        if let Some(name) = name(&item.to_string()) {
            return Some(name);
        }
    }
    None
}

/// The name in the last `write file:NAME` of a text.
pub(super) fn name(text: &str) -> Option<String> {
    let (_, rest) = text.rsplit_once("write file:")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._-/".contains(c)));
    let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whether the model is offered a tool of this name.
pub(super) fn offers(request: &Value, name: &str) -> bool {
    request["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name))
}
