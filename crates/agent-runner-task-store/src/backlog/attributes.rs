//! Attributes at the end of a checklist item's first line: `{#id .tag priority=5 title="a title"}`.

use serde_json::Value;

use super::{
    cell,
    error::Place,
    field::{Entry, Field, Name},
};

/// The fields of an item: its text as the prompt, and what its attributes say.
pub(super) fn entries(text: &str, place: Place) -> Vec<Entry> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (first, attributes) = split(first);
    let mut prompt = first.to_owned();
    if !rest.is_empty() {
        prompt.push('\n');
        prompt.push_str(rest);
    }
    let mut entries = Vec::with_capacity(1 + attributes.len());
    let mut tags: Option<Vec<Value>> = None;
    for attribute in attributes {
        let (name, value) = match attribute {
            Attribute::Id(id) => (Name::Known(Field::Id), id.into()),
            Attribute::Tag(tag) => {
                tags.get_or_insert_default().push(tag.into());
                continue;
            }
            Attribute::Pair(key, text) => match Name::new(key) {
                Name::Known(field) => (Name::Known(field), cell::read(field, &text)),
                unknown @ Name::Unknown(_) => (unknown, Value::Null),
            },
        };
        entries.push(Entry { name, value, place });
    }
    if let Some(tags) = tags {
        entries.push(Entry { name: Name::Known(Field::Tags), value: tags.into(), place });
    }
    let is_given = entries.iter().any(|entry| entry.name == Name::Known(Field::Prompt));
    if !prompt.trim().is_empty() {
        // The text beside a prompt of its own is the title.
        let field = if is_given { Field::Title } else { Field::Prompt };
        entries.push(Entry { name: Name::Known(field), value: prompt.into(), place });
    }
    entries
}

/// One word between the braces.
#[derive(Debug, PartialEq)]
enum Attribute<'a> {
    Id(String),
    Tag(String),
    Pair(&'a str, String),
}

impl Attribute<'_> {
    /// Whether it can only be meant for us, unlike the `x=1` of `solve {x=1}`.
    fn is_ours(&self) -> bool {
        match self {
            Self::Id(_) | Self::Tag(_) => true,
            Self::Pair(key, _) => Field::named(key).or_else(|| Field::resembling(key)).is_some(),
        }
    }
}

/// Cuts the attributes off the end of a line. Braces that do not read as attributes are text.
fn split(line: &str) -> (&str, Vec<Attribute<'_>>) {
    if let Some(inside) = line.strip_suffix('}') {
        for (open, _) in inside.match_indices('{') {
            let before = &inside[..open];
            if !before.is_empty() && !before.ends_with(char::is_whitespace) {
                continue;
            }
            if let Some(found) = parse(&inside[open + 1..])
                && found.iter().any(Attribute::is_ours)
            {
                return (before.trim_end(), found);
            }
        }
    }
    (line, Vec::new())
}

fn parse(mut rest: &str) -> Option<Vec<Attribute<'_>>> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(found);
        }
        let attribute;
        (attribute, rest) = one(rest)?;
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return None;
        }
        found.push(attribute);
    }
}

fn one(text: &str) -> Option<(Attribute<'_>, &str)> {
    if let Some(id) = text.strip_prefix('#') {
        return value(id).map(|(id, rest)| (Attribute::Id(id), rest));
    }
    if let Some(tag) = text.strip_prefix('.') {
        return value(tag).map(|(tag, rest)| (Attribute::Tag(tag), rest));
    }
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && !"_-".contains(char))?;
    let (key, rest) = text.split_at(end);
    let (value, rest) = value(rest.strip_prefix('=')?)?;
    (!key.is_empty()).then_some((Attribute::Pair(key, value), rest))
}

/// A bare word, or a string with the escapes of JSON.
fn value(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let end = text.find(is_special).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    }
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = strings.next()?.ok()?;
    Some((value, &text[strings.byte_offset()..]))
}

fn is_special(char: char) -> bool {
    char.is_whitespace() || matches!(char, '"' | '{' | '}')
}

/// Writes what [`entries`] reads: `name` is `#`, `.` or a key with its `=`.
pub(super) fn write(name: &str, value: &str) -> String {
    if value.is_empty() || value.contains(is_special) || value.contains(char::is_control) {
        format!("{name}{}", Value::from(value))
    } else {
        format!("{name}{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, text: &str, attributes: &[&str]) {
        let (found, words) = split(line);
        let words = words.iter().map(|word| match word {
            Attribute::Id(id) => format!("#{id}"),
            Attribute::Tag(tag) => format!(".{tag}"),
            Attribute::Pair(key, value) => format!("{key}={value}"),
        });
        assert_eq!(found, text, "{line}");
        assert_eq!(words.collect::<Vec<_>>(), attributes, "{line}");
    }

    #[test]
    fn braces_are_attributes_only_when_they_read_as_such() {
        check("fix it", "fix it", &[]);
        check("fix it {#a}", "fix it", &["#a"]);
        check("fix it {#a .web .db}", "fix it", &["#a", ".web", ".db"]);
        check("fix {x} {#a}", "fix {x}", &["#a"]);
        check("fix { it {#a}", "fix { it", &["#a"]);
        check("fix it {priority=5 verify=\"a b}\"}", "fix it", &["priority=5", "verify=a b}"]);
        check("fix it {priorty=5}", "fix it", &["priorty=5"]);
        check("{#a}", "", &["#a"]);
        for text in [
            "solve {x=1}",
            "use ${#array}",
            "use {{prompt}}",
            "an empty {}",
            "a set {a, b}",
            "an open {#a",
            "a {#a} in the middle",
            "a string {title=\"a}",
            "glued {#a\"b\"}",
        ] {
            check(text, text, &[]);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for value in ["a", "a b", "", "}", "\"", "\\", "a\nb", "ä#.="] {
            let word = write("title=", value);
            assert_eq!(parse(&word), Some(vec![Attribute::Pair("title", value.into())]), "{word}");
        }
    }
}
