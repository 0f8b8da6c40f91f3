//! The top of a structured backlog: a list of tasks, or an object that has the list in `tasks`.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{
    error::{BacklogErrorKind, Problem},
    field::Field,
};

/// The two names under which the list may stand; the second reads better as `[[task]]` in TOML.
const LISTS: [&str; 2] = ["tasks", "task"];

/// Tells an editor what may stand in the file, and says nothing about the tasks.
const SCHEMA: &str = "$schema";

/// What a name at the top stands for.
pub(super) enum Key {
    Tasks,
    Schema,
    Unknown,
}

pub(super) fn key(name: &str) -> Key {
    match name {
        SCHEMA => Key::Schema,
        name if LISTS.contains(&name) => Key::Tasks,
        _ => Key::Unknown,
    }
}

pub(super) fn unknown(field: String) -> Problem {
    let hint = if Field::named(&field).is_some() {
        "a backlog is a list of tasks, or has that list in `tasks`"
    } else {
        "the tasks stand in `tasks`"
    };
    Problem::new(BacklogErrorKind::UnknownField { field }).hint(hint)
}

pub(super) fn repeated() -> Problem {
    Problem::new(BacklogErrorKind::RepeatedField { field: "tasks" })
}

pub(super) fn not_a_list(found: &'static str) -> Problem {
    Problem::new(BacklogErrorKind::Unexpected { expected: "a list of tasks", found })
}

/// What serde finds at the top. `V` is what the format reads one task into.
#[derive(Debug)]
pub(super) enum Top<V> {
    List(Vec<V>),
    Object(Result<Vec<V>, Problem>),
    Other(&'static str),
}

impl<V> Top<V> {
    pub(super) fn into_list(self) -> Result<Vec<V>, Problem> {
        match self {
            Self::List(list) => Ok(list),
            Self::Object(list) => list,
            Self::Other(found) => Err(not_a_list(found)),
        }
    }

    /// The list of an object: there are no objects in objects.
    fn into_inner_list(self) -> Result<Vec<V>, Problem> {
        match self {
            Self::Object(_) => Err(not_a_list("an object")),
            list => list.into_list(),
        }
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Top<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopVisitor(PhantomData))
    }
}

struct TopVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for TopVisitor<V> {
    type Value = Top<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Top<V>, A::Error> {
        let mut list = Vec::new();
        while let Some(task) = seq.next_element()? {
            list.push(task);
        }
        Ok(Top::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<V>, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            let problem = match key(&name) {
                Key::Tasks if found.is_none() => {
                    found = Some(map.next_value::<Top<V>>()?.into_inner_list());
                    continue;
                }
                Key::Schema => None,
                Key::Tasks => Some(repeated()),
                Key::Unknown => Some(unknown(name)),
            };
            map.next_value::<IgnoredAny>()?;
            if let Some(problem) = problem {
                found = Some(Err(problem));
            }
        }
        Ok(Top::Object(found.unwrap_or_else(|| Ok(Vec::new()))))
    }

    fn visit_unit<E: Error>(self) -> Result<Top<V>, E> {
        Ok(Top::List(Vec::new()))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Top<V>, E> {
        Ok(Top::Other("text"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Top<V>, E> {
        Ok(Top::Other("true or false"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Top<V>, E> {
        Ok(Top::Other("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Top<V>, E> {
        Ok(Top::Other("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Top<V>, E> {
        Ok(Top::Other("a number"))
    }
}
