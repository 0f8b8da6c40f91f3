//! Plain lines: one task a line.

use std::io::BufRead;

use super::{error::Problem, field::Draft, input::Lines};

pub(super) fn drafts(input: impl BufRead) -> impl Iterator<Item = Result<Draft, Problem>> {
    let mut lines = Lines::new(input);
    std::iter::from_fn(move || {
        loop {
            let (place, line) = match lines.next()? {
                Ok(line) => line,
                Err(problem) => return Some(Err(problem)),
            };
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                return Some(Ok(Draft::of_prompt(place, line)));
            }
        }
    })
}
