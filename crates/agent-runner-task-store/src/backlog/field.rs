//! The fields of a task as people write them, and the pairs of name and value that every format
//! is read into first.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::{BacklogErrorKind, Place, Problem};

/// A field of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    Id,
    Title,
    Prompt,
    Command,
    Priority,
    DependsOn,
    Locks,
    Touches,
    Tags,
    MaxAttempts,
    Timeout,
    IdleTimeout,
    Memory,
    Verify,
    ExpectDiff,
    NotBefore,
    Payload,
}

impl Field {
    pub(super) const ALL: [Self; 17] = [
        Self::Id,
        Self::Title,
        Self::Prompt,
        Self::Command,
        Self::Priority,
        Self::DependsOn,
        Self::Locks,
        Self::Touches,
        Self::Tags,
        Self::MaxAttempts,
        Self::Timeout,
        Self::IdleTimeout,
        Self::Memory,
        Self::Verify,
        Self::ExpectDiff,
        Self::NotBefore,
        Self::Payload,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Title => "title",
            Self::Prompt => "prompt",
            Self::Command => "command",
            Self::Priority => "priority",
            Self::DependsOn => "depends_on",
            Self::Locks => "locks",
            Self::Touches => "touches",
            Self::Tags => "tags",
            Self::MaxAttempts => "max_attempts",
            Self::Timeout => "timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Memory => "memory",
            Self::Verify => "verify",
            Self::ExpectDiff => "expect_diff",
            Self::NotBefore => "not_before",
            Self::Payload => "payload",
        }
    }

    /// The field of that name, or of one of the two other names that are accepted.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "description" => Some(Self::Prompt),
            "attempts" => Some(Self::MaxAttempts),
            _ => Self::ALL.into_iter().find(|field| field.as_str() == name),
        }
    }

    /// The field that somebody who wrote `name` probably meant.
    pub(super) fn resembling(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase().replace([' ', '-'], "_");
        synonym(&name).or_else(|| {
            Self::ALL
                .into_iter()
                .map(|field| (strsim::osa_distance(&name, field.as_str()), field))
                .filter(|&(distance, field)| distance <= field.as_str().len().max(3) / 3)
                .min_by_key(|&(distance, _)| distance)
                .map(|(_, field)| field)
        })
    }

    /// Whether it holds a list of words.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::DependsOn | Self::Locks | Self::Touches | Self::Tags)
    }
}

/// Names that other tools use.
fn synonym(name: &str) -> Option<Field> {
    Some(match name {
        "key" | "number" | "task_id" => Field::Id,
        "name" | "summary" | "subject" => Field::Title,
        "task" | "text" | "body" | "content" | "instructions" | "message" => Field::Prompt,
        "cmd" | "run" | "script" | "shell" => Field::Command,
        "after" | "needs" | "deps" | "requires" | "blocked_by" | "dependencies" => Field::DependsOn,
        "resources" | "mutex" => Field::Locks,
        "edits" | "files" | "globs" | "paths" | "writes" => Field::Touches,
        "labels" | "label" => Field::Tags,
        "retries" | "max_retries" | "tries" => Field::MaxAttempts,
        "memory_limit" | "max_memory" | "mem" => Field::Memory,
        "check" | "test" | "validate" => Field::Verify,
        "diff" | "expect_change" | "expect_changes" => Field::ExpectDiff,
        "start" | "start_at" | "run_at" | "scheduled_at" => Field::NotBefore,
        "data" | "meta" | "metadata" | "extra" | "input" => Field::Payload,
        _ => return None,
    })
}

/// A name as it stands in a backlog.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Name {
    Known(Field),
    Unknown(String),
}

impl Name {
    pub(super) fn new(name: &str) -> Self {
        Field::named(name).map_or_else(|| Self::Unknown(name.to_owned()), Self::Known)
    }

    pub(super) fn known(self) -> Result<Field, Problem> {
        match self {
            Self::Known(field) => Ok(field),
            Self::Unknown(field) => {
                let hint = match Field::resembling(&field) {
                    Some(meant) => format!("did you mean `{}`?", meant.as_str()),
                    None => format!("the fields are {}", Field::ALL.map(Field::as_str).join(", ")),
                };
                Err(Problem::new(BacklogErrorKind::UnknownField { field }).hint(hint))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name::new(name))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

/// One field of one task.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A task before its fields were looked at.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) place: Place,
    pub(super) entries: Vec<Entry>,
    /// Whether it is ticked off already.
    pub(super) done: bool,
}

impl Draft {
    pub(super) fn new(place: Place, entries: Vec<Entry>) -> Self {
        Self { place, entries, done: false }
    }

    /// A task that is nothing but its prompt.
    pub(super) fn of_prompt(place: Place, prompt: impl Into<String>) -> Self {
        let value = Value::String(prompt.into());
        Self::new(place, vec![Entry { name: Name::Known(Field::Prompt), value, place }])
    }
}

/// What stands where a task should be, with its names and values as the format gives them.
#[derive(Debug)]
pub(super) enum Item<K, V> {
    Fields(Vec<(K, V)>),
    /// Text alone is a prompt.
    Prompt(String),
    Other(&'static str),
}

impl<K, V> Item<K, V> {
    /// Makes a draft, with `entry` to look at each field.
    pub(super) fn into_draft(
        self,
        place: Place,
        mut entry: impl FnMut(K, V) -> Result<Entry, Problem>,
    ) -> Result<Draft, Problem> {
        match self {
            Self::Prompt(prompt) => Ok(Draft::of_prompt(place, prompt)),
            Self::Fields(fields) => {
                let entries = fields.into_iter().map(|(name, value)| entry(name, value));
                Ok(Draft::new(place, entries.collect::<Result<_, _>>()?))
            }
            Self::Other(found) => Err(not_a_task(found).at(place)),
        }
    }
}

pub(super) fn not_a_task(found: &'static str) -> Problem {
    Problem::new(BacklogErrorKind::Unexpected { expected: "a task", found })
        .hint("a task is an object with fields, or its prompt as text")
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Item<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor(PhantomData))
    }
}

struct ItemVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for ItemVisitor<K, V> {
    type Value = Item<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<K, V>, A::Error> {
        let mut fields = Vec::with_capacity(4);
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Item::Fields(fields))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Item<K, V>, E> {
        Ok(Item::Prompt(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item<K, V>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item::Other("a list"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Item<K, V>, E> {
        Ok(Item::Other("true or false"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Item<K, V>, E> {
        Ok(Item::Other("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Item<K, V>, E> {
        Ok(Item::Other("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Item<K, V>, E> {
        Ok(Item::Other("a number"))
    }

    fn visit_unit<E: Error>(self) -> Result<Item<K, V>, E> {
        Ok(Item::Other("nothing"))
    }
}
