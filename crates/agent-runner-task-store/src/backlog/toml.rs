//! TOML: tasks as `[[tasks]]` or `[[task]]`.

use std::{io::Read, ops::Range};

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{
    Format,
    error::{BacklogErrorKind, Place, Problem},
    field::{Draft, Entry, Name, not_a_task},
    input::{self, Index},
    top::{self, Key},
};

pub(super) fn drafts(
    input: impl Read,
) -> Result<impl Iterator<Item = Result<Draft, Problem>> + Send, Problem> {
    let text = input::text(input)?;
    let index = Index::new(&text);
    let place = |span: Range<usize>| index.at(span.start);
    let table = DeTable::parse(&text).map_err(|error| {
        let detail = error.message().to_owned();
        Problem::new(BacklogErrorKind::Syntax { format: Format::Toml, detail })
            .at(error.span().map(place).unwrap_or_default())
    })?;
    let mut found = None;
    for (name, value) in table.into_inner() {
        let at = place(name.span());
        match top::key(name.get_ref()) {
            Key::Tasks if found.is_some() => return Err(top::repeated().at(at)),
            Key::Tasks => match value.into_inner() {
                DeValue::Array(list) => found = Some(list),
                other => {
                    return Err(top::not_a_list(noun(&other)).at(at).hint("write `[[tasks]]`"));
                }
            },
            Key::Schema => {}
            Key::Unknown => return Err(top::unknown(name.into_inner().into_owned()).at(at)),
        }
    }
    let drafts = found.into_iter().flatten().map(|task| draft(task, &place));
    Ok(drafts.collect::<Vec<_>>().into_iter())
}

fn draft(
    task: Spanned<DeValue<'_>>,
    place: &impl Fn(Range<usize>) -> Place,
) -> Result<Draft, Problem> {
    let at = place(task.span());
    let fields = match task.into_inner() {
        DeValue::Table(fields) => fields,
        DeValue::String(prompt) => return Ok(Draft::of_prompt(at, prompt)),
        other => return Err(not_a_task(noun(&other)).at(at)),
    };
    let entries = fields.into_iter().map(|(name, raw)| {
        let place = place(name.span());
        let value = value(raw.into_inner()).ok_or_else(|| {
            let detail = "a number is out of range".to_owned();
            Problem::new(BacklogErrorKind::Syntax { format: Format::Toml, detail }).at(place)
        })?;
        Ok(Entry { name: Name::new(name.get_ref()), value, place })
    });
    Ok(Draft::new(at, entries.collect::<Result<_, Problem>>()?))
}

/// A value as JSON, where a time is text; `None` for a number that JSON does not have.
fn value(value: DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => Value::Number(integer(&number)?),
        DeValue::Float(number) => {
            Value::Number(Number::from_f64(number.as_str().parse::<f64>().ok()?)?)
        }
        DeValue::Boolean(yes) => Value::Bool(yes),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(list) => {
            let values = list.into_iter().map(|value| self::value(value.into_inner()));
            Value::Array(values.collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            let fields = table.into_iter().map(|(name, value)| {
                Some((name.into_inner().into_owned(), self::value(value.into_inner())?))
            });
            Value::Object(fields.collect::<Option<Map<_, _>>>()?)
        }
    })
}

fn integer(number: &DeInteger<'_>) -> Option<Number> {
    let (text, radix) = (number.as_str(), number.radix());
    let negative = || i64::from_str_radix(text, radix).ok().map(Number::from);
    u64::from_str_radix(text, radix).ok().map(Number::from).or_else(negative)
}

fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
