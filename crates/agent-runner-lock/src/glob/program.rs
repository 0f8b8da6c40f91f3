//! A pattern as a machine that reads a path, and the search for a path that two of them accept.
//!
//! After Ken Thompson, "Regular Expression Search Algorithm": a program of as many steps as the
//! pattern has parts, which may be at many of its steps at once. So nothing has to be tried out and
//! taken back, and no pattern is slow.

use super::{chars::CharSet, syntax::Part};

/// A machine that reads a path.
#[derive(Debug, Clone)]
pub(super) struct Program(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    /// Reads a character of the set, and goes on with the next step.
    Read(CharSet),
    /// Goes on with each of these.
    Fork(Vec<usize>),
    /// The path may end here.
    End,
}

impl Program {
    /// The machine that accepts what one of the patterns matches, and what is in that.
    pub(super) fn new(alternatives: &[Vec<Part>]) -> Self {
        let mut program = Self(vec![Step::Fork(vec![])]);
        let mut starts = vec![];
        for parts in alternatives {
            starts.push(program.0.len());
            program.push_all(parts);
            program.optional(|program| {
                program.push_slash();
                program.push_run(&CharSet::ALL);
            });
            program.0.push(Step::End);
        }
        program.0[0] = Step::Fork(starts);
        program
    }

    /// The machine that accepts one path.
    pub(super) fn of_path(path: &str) -> Self {
        let read = path.chars().map(|character| Step::Read(CharSet::one(character)));
        Self(read.chain([Step::End]).collect())
    }

    fn push_all(&mut self, parts: &[Part]) {
        let mut parts = parts.iter();
        while let Some(part) = parts.next() {
            match part {
                Part::One(set) => self.0.push(Step::Read(set.clone())),
                Part::Run => self.push_run(&CharSet::NO_SLASH),
                Part::Slash => self.push_slash(),
                // With the slash after it, if there is one, since there may be no folder at all.
                Part::Folders => match parts.next() {
                    None => self.push_run(&CharSet::ALL),
                    Some(_) => self.optional(|program| {
                        program.push_run(&CharSet::ALL);
                        program.push_slash();
                    }),
                },
            }
        }
    }

    fn push_slash(&mut self) {
        self.0.push(Step::Read(CharSet::one('/')));
    }

    /// Any number of characters of a set.
    fn push_run(&mut self, set: &CharSet) {
        let start = self.0.len();
        self.optional(|program| {
            program.0.push(Step::Read(set.clone()));
            program.0.push(Step::Fork(vec![start]));
        });
    }

    /// What may also be left out.
    fn optional(&mut self, push: impl FnOnce(&mut Self)) {
        let fork = self.0.len();
        self.0.push(Step::Fork(vec![]));
        push(self);
        self.0[fork] = Step::Fork(vec![fork + 1, self.0.len()]);
    }

    /// Whether there is a path that both machines accept.
    ///
    /// A third one sees to it that it is a path: see [`Place`].
    pub(super) fn meets(&self, other: &Self) -> bool {
        // For each pair of steps, a bit for each place.
        let mut seen = vec![0_u8; self.0.len() * other.0.len()];
        let mut open = Vec::with_capacity(64);
        open.push((0, 0, Place::Start));
        while let Some((here, there, place)) = open.pop() {
            let seen = &mut seen[here * other.0.len() + there];
            if *seen & 1 << place as u8 != 0 {
                continue;
            }
            *seen |= 1 << place as u8;
            match (&self.0[here], &other.0[there]) {
                (Step::Fork(to), _) => open.extend(to.iter().map(|&to| (to, there, place))),
                (_, Step::Fork(to)) => open.extend(to.iter().map(|&to| (here, to, place))),
                (Step::Read(a), Step::Read(b)) => {
                    let next = a.common(b).flat_map(|range| place.after(range));
                    open.extend(next.flatten().map(|place| (here + 1, there + 1, place)));
                }
                (Step::End, Step::End) if place == Place::Name => return true,
                (Step::End, _) | (_, Step::End) => {}
            }
        }
        false
    }
}

/// Where in a path we are. Names are not empty, and neither `.` nor `..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a name.
    Start,
    /// After one dot.
    Dot,
    /// After two dots.
    Dots,
    /// In a name, or after it.
    Name,
}

impl Place {
    /// Where we can be after a character of a range: a slash, a dot, or any other.
    fn after(self, (low, high): (char, char)) -> [Option<Self>; 3] {
        let has = |sign| (low..=high).contains(&sign);
        let slash = (has('/') && self == Self::Name).then_some(Self::Start);
        let dot = has('.').then_some(match self {
            Self::Start => Self::Dot,
            Self::Dot => Self::Dots,
            Self::Dots | Self::Name => Self::Name,
        });
        // The two are neighbours.
        let other = (low < '.' || high > '/').then_some(Self::Name);
        [slash, dot, other]
    }
}
