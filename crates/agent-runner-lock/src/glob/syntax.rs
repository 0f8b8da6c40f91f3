//! From the text of a pattern to its parts.
//!
//! Braces are written out first, so that what is left is simple: names between slashes.

use std::{iter::Peekable, str::Chars};

use super::{Glob, chars::CharSet};

/// What a text is wrong about.
type Problem = &'static str;

const TOO_LONG: Problem = "is too long, or is when its braces are written out";

/// A part of a pattern without braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// One character of a set.
    One(CharSet),
    /// Any number of characters of a name: `*`.
    Run,
    /// `/`
    Slash,
    /// `**`, alone between slashes or ends.
    Folders,
}

/// Whether a character can mean something else than itself somewhere in a pattern.
pub(super) fn has_meaning(character: char) -> bool {
    matches!(character, '*' | '?' | '[' | ']' | '{' | '}' | '!' | '^' | '-' | ',' | '\\')
}

/// Reads a pattern: the patterns without braces that it stands for.
pub(super) fn read(text: &str) -> Result<Vec<Vec<Part>>, Problem> {
    if text.len() > Glob::MAX_LEN {
        return Err(TOO_LONG);
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if text.starts_with('!') {
        return Err("cannot take paths out; write `\\!` for a name that begins with `!`");
    }
    let mut signs = Signs(text.chars().peekable());
    let alternatives = signs.sequence(0)?;
    for alternative in &alternatives {
        alternative.split(|part| *part == Part::Slash).try_for_each(check)?;
    }
    Ok(alternatives)
}

/// Checks what is between two slashes.
fn check(name: &[Part]) -> Result<(), Problem> {
    let dot = Part::One(CharSet::one('.'));
    if name.is_empty() {
        Err("must name a relative path, with one slash between two names")
    } else if name.len() > 1 && name.contains(&Part::Folders) {
        Err("has `**` beside something else than a slash; use `**/*` or `*`")
    } else if name.len() <= 2 && name.iter().all(|part| *part == dot) {
        Err("must not have `.` or `..` in it")
    } else {
        Ok(())
    }
}

/// The rest of a pattern's text.
struct Signs<'a>(Peekable<Chars<'a>>);

impl Signs<'_> {
    /// Reads up to the end, or to the end of an alternative in braces of that depth.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Vec<Part>>, Problem> {
        let mut read = vec![vec![]];
        while let Some(sign) = self.0.next_if(|sign| depth == 0 || !matches!(sign, ',' | '}')) {
            let part = match sign {
                '{' => {
                    read = product(&read, &self.alternatives(depth + 1)?)?;
                    continue;
                }
                '}' => return Err("closes a brace that was not opened"),
                ']' => return Err("closes a bracket that was not opened"),
                '[' => Part::One(self.list()?),
                '*' if self.0.next_if_eq(&'*').is_some() => Part::Folders,
                '*' => Part::Run,
                '?' => Part::One(CharSet::NO_SLASH),
                '/' => Part::Slash,
                '\\' => Part::One(CharSet::one(self.escaped()?)),
                plain => Part::One(CharSet::one(plain)),
            };
            for sequence in &mut read {
                sequence.push(part.clone());
            }
            check_size(&read)?;
        }
        Ok(read)
    }

    /// Reads what is in braces, and the closing one.
    fn alternatives(&mut self, depth: usize) -> Result<Vec<Vec<Part>>, Problem> {
        let mut all = vec![];
        loop {
            all.extend(self.sequence(depth)?);
            check_size(&all)?;
            match self.0.next() {
                Some(',') => {}
                Some(_) => return Ok(all),
                None => return Err("does not close a brace"),
            }
        }
    }

    /// Reads what is in brackets, and the closing one.
    fn list(&mut self) -> Result<CharSet, Problem> {
        let negated = self.0.next_if(|sign| matches!(sign, '!' | '^')).is_some();
        let mut ranges = vec![];
        loop {
            // A closing bracket that comes first is one of the list.
            if !ranges.is_empty() && self.0.next_if_eq(&']').is_some() {
                break;
            }
            let low = self.listed()?;
            let mut ahead = self.0.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|s| s != ']');
            let high = if is_range {
                self.0.next();
                self.listed()?
            } else {
                low
            };
            if low > high {
                return Err("has a range in brackets that ends before it begins");
            }
            ranges.push((low, high));
        }
        if !negated {
            return Ok(CharSet::of(ranges));
        }
        ranges.push(('/', '/'));
        Ok(CharSet::all_but(ranges))
    }

    fn listed(&mut self) -> Result<char, Problem> {
        match self.0.next() {
            None => Err("does not close a bracket"),
            Some('/') => Err("has a slash in brackets"),
            Some('[') if matches!(self.0.peek(), Some(':' | '.' | '=')) => {
                Err("has a class in brackets, such as `[:alpha:]`, that is not known here")
            }
            Some('\\') => self.escaped(),
            Some(plain) => Ok(plain),
        }
    }

    fn escaped(&mut self) -> Result<char, Problem> {
        let escaped = self.0.next().filter(|sign| has_meaning(*sign));
        escaped.ok_or("has a backslash before a sign without a meaning; folders end with `/`")
    }
}

/// Each of the first followed by each of the second.
fn product(first: &[Vec<Part>], second: &[Vec<Part>]) -> Result<Vec<Vec<Part>>, Problem> {
    let len = |all: &[Vec<Part>]| all.iter().map(Vec::len).sum::<usize>();
    let parts = len(first) * second.len() + len(second) * first.len();
    if parts + first.len() * second.len() > Glob::MAX_LEN + 1 {
        return Err(TOO_LONG);
    }
    let pairs = first.iter().flat_map(|a| second.iter().map(move |b| [&a[..], b].concat()));
    Ok(pairs.collect())
}

/// Checks that what was written out stays within bounds, with a separator before all but one.
fn check_size(all: &[Vec<Part>]) -> Result<(), Problem> {
    let size: usize = all.iter().map(|sequence| sequence.len() + 1).sum();
    if size > Glob::MAX_LEN + 1 { Err(TOO_LONG) } else { Ok(()) }
}
