//! YAML: a list of tasks, or an object with the list in `tasks`.

use std::io::Read;

use serde_json::Value;
use serde_saphyr::{Location, Options, Spanned, options::DuplicateKeyPolicy};

use super::{
    Format,
    error::{BacklogErrorKind, Place, Problem},
    field::{Draft, Entry, Item, Name},
    input,
    top::Top,
};

type Task = Spanned<Item<Spanned<Name>, Spanned<Value>>>;

pub(super) fn drafts(
    input: impl Read,
) -> Result<impl Iterator<Item = Result<Draft, Problem>> + Send, Problem> {
    let text = input::text(input)?;
    let top = serde_saphyr::from_str_with_options::<Top<Task>>(&text, options())
        .map_err(|error| problem(&error))?;
    Ok(top.into_list()?.into_iter().map(draft))
}

fn draft(task: Task) -> Result<Draft, Problem> {
    task.value.into_draft(place(task.referenced), |name, value| {
        Ok(Entry { place: place(name.referenced), name: name.value, value: value.value })
    })
}

/// Room for a million tasks, and none for a bomb: what aliases add is limited as it is by default.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 50_000_000,
            max_nodes: 25_000_000,
            max_total_scalar_bytes: input::MAX_TEXT,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        // Our own message names the field.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // An id such as `007` stays as it is written.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn problem(error: &serde_saphyr::Error) -> Problem {
    use serde_saphyr::Error as E;
    let error = error.without_snippet();
    let place = error.location().map(place).unwrap_or_default();
    let cause = if let E::AliasError { error, .. } = error { error } else { error };
    let mut detail = match cause {
        E::MultipleDocuments { .. } => "there is more than one document in it".to_owned(),
        cause => cause.to_string(),
    };
    if let Some(end) = detail.find(" at line ") {
        detail.truncate(end);
    }
    let kind = match cause {
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => BacklogErrorKind::Refused { detail },
        _ => BacklogErrorKind::Syntax { format: Format::Yaml, detail },
    };
    Problem::new(kind).at(place)
}

fn place(location: Location) -> Place {
    let number = |number| usize::try_from(number).unwrap_or(0);
    Place { line: number(location.line()), column: number(location.column()) }
}
