//! From a task's id to its branch, and back.
//!
//! Two ids never share a branch, whatever they are made of, and no task's refs get in the way of
//! another's. Where the file system folds names, they differ in more than case.

use crate::Error;

/// Longer names are cut into several folders, because a file's name has at most 255 bytes.
const PART: usize = 180;

/// The names of all refs that are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) prefix: String,
    /// Whether the file system takes `A` and `a` for the same.
    pub(crate) folds: bool,
}

impl Names {
    /// The full name of a task's branch.
    pub(crate) fn branch(&self, task: &str) -> String {
        format!("{}{}", self.branches(), encode(task, self.folds))
    }

    /// What all branches begin with.
    pub(crate) fn branches(&self) -> String {
        format!("refs/heads/{}/", self.prefix)
    }

    /// What the refs of a task's attempts begin with.
    pub(crate) fn attempts(&self, task: &str) -> String {
        format!("{}{}/", self.all_attempts(), encode(task, self.folds))
    }

    /// The ref of an attempt.
    pub(crate) fn attempt(&self, task: &str, number: u32) -> String {
        format!("{}{number}", self.attempts(task))
    }

    /// The ref of what was merged, as it was before it was moved onto the target.
    pub(crate) fn landed(&self, task: &str) -> String {
        format!("{}landed", self.attempts(task))
    }

    /// What all refs of attempts begin with.
    pub(crate) fn all_attempts(&self) -> String {
        format!("refs/{}/", self.prefix)
    }

    /// The task that a branch belongs to.
    pub(crate) fn task(&self, branch: &str) -> Option<String> {
        self.decoded(branch.strip_prefix(&self.branches())?)
    }

    /// The task that the ref of an attempt belongs to.
    pub(crate) fn task_of_attempt(&self, name: &str) -> Option<String> {
        let (name, _attempt) = name.strip_prefix(&self.all_attempts())?.rsplit_once('/')?;
        self.decoded(name)
    }

    fn decoded(&self, name: &str) -> Option<String> {
        let task = decode(name)?;
        (encode(&task, self.folds) == name).then_some(task)
    }
}

/// Refuses what cannot be a task's id.
pub(crate) fn check(task: &str) -> Result<(), Error> {
    const MAX: usize = 1000;
    if task.is_empty() || task.len() > MAX {
        return Err(Error::TaskId { len: task.len(), max: MAX });
    }
    Ok(())
}

fn encode(task: &str, folds: bool) -> String {
    let (mut name, mut part) = (String::new(), 0);
    let mut before = ' ';
    for (at, char) in task.char_indices() {
        let rest = &task[at + char.len_utf8()..];
        let mut unit = String::new();
        if is_safe(char, folds) || (char == '.' && dot_is_safe(before, rest)) {
            unit.push(char);
        } else {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
                unit.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        // No part may begin with a dot.
        if part + unit.len() > PART && char != '.' {
            name += "+/";
            part = 0;
        }
        part += unit.len();
        name += &unit;
        before = char;
    }
    name
}

fn is_safe(char: char, folds: bool) -> bool {
    match char {
        'a'..='z' | '0'..='9' | '-' | '_' => true,
        'A'..='Z' => !folds,
        _ => !folds && !char.is_ascii() && char.is_alphanumeric(),
    }
}

/// Git forbids two dots in a row, dots at either end, and `.lock` at the end.
fn dot_is_safe(before: char, rest: &str) -> bool {
    before.is_ascii_alphanumeric()
        && rest.starts_with(|next: char| next.is_ascii_alphanumeric())
        && !rest.eq_ignore_ascii_case("lock")
}

fn decode(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(bytes).ok(),
            [b'+', b'/', rest @ ..] => rest,
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        }
    }
}

#[cfg(test)]
mod tests;
