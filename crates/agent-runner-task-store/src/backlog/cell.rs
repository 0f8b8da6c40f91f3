//! Values where there is only text: cells of a table and attributes of a checklist.

use serde_json::Value;

use super::field::Field;

/// What the text of a field means. Rules that people see are in the docs of the module.
pub(super) fn read(field: Field, text: &str) -> Value {
    match field {
        Field::Title | Field::Prompt => text.into(),
        Field::Id | Field::Memory | Field::NotBefore => text.trim().into(),
        Field::Command | Field::Verify => match serde_json::from_str(text) {
            Ok(value @ (Value::String(_) | Value::Array(_))) => value,
            _ => text.into(),
        },
        Field::DependsOn | Field::Locks | Field::Touches | Field::Tags => words(text),
        Field::Priority | Field::MaxAttempts | Field::Timeout | Field::IdleTimeout => {
            let text = text.trim();
            text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
        }
        Field::ExpectDiff => {
            let text = text.trim();
            text.parse::<bool>().map_or_else(|_| text.into(), Value::from)
        }
        Field::Payload => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

/// What [`read`] takes for `value`.
pub(super) fn write(field: Field, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if field.is_list() => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";")
        }
        other => other.to_string(),
    };
    // A blank cell is a field left out.
    let says_it = !text.trim().is_empty() && read(field, &text) == *value;
    if says_it { text } else { value.to_string() }
}

/// `a;b c;d`, or `a b` where there is no semicolon, or a list as JSON.
fn words(text: &str) -> Value {
    if text.trim_start().starts_with('[')
        && let Ok(list @ Value::Array(_)) = serde_json::from_str(text)
    {
        return list;
    }
    let words: Vec<&str> = if text.contains(';') {
        text.split(';').map(str::trim).filter(|word| !word.is_empty()).collect()
    } else {
        text.split_whitespace().collect()
    };
    words.into()
}
