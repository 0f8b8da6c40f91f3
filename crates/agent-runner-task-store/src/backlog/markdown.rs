//! Markdown checklists: reading them, and ticking off what is done.

use std::{io::Read, ops::Range};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    attributes,
    error::{Place, Problem},
    field::Draft,
    input,
    input::Index,
    record::Assembler,
};
use crate::NewTask;

pub(super) fn drafts(
    input: impl Read,
) -> Result<impl Iterator<Item = Result<Draft, Problem>> + Send, Problem> {
    let text = input::text(input)?;
    let index = Index::new(&text);
    Ok(boxes(&text).into_iter().filter_map(move |found| found.draft(&text, &index)).map(Ok))
}

/// Ticks off what is done in a Markdown checklist: `[ ]` becomes `[x]`, and no other byte changes.
///
/// `done` is asked about each open task, which is as [`read`](super::read) gives it (without its
/// source): compare the `id`, or the `key` of one that has no id. `None` means that there is
/// nothing to change.
///
/// # Examples
///
/// ```
/// use agent_runner_task_store::backlog;
///
/// let text = "# Today\n\n- [ ] Fix the login {#login}\n- [ ] Update the docs\n";
/// let ticked = backlog::tick(text, |task| task.id.as_ref().is_some_and(|id| id.as_str() == "login"));
/// assert_eq!(
///     ticked.as_deref(),
///     Some("# Today\n\n- [x] Fix the login {#login}\n- [ ] Update the docs\n"),
/// );
/// ```
pub fn tick(text: &str, mut done: impl FnMut(&NewTask) -> bool) -> Option<String> {
    let mut assembler = Assembler::new(None);
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let body = &text[bom..];
    let index = Index::new(body);
    let mut ticked: Option<String> = None;
    for found in boxes(body) {
        let Some(draft) = found.draft(body, &index) else { continue };
        // Tasks that are ticked off count too: they decide the keys of those after them.
        if let Ok(task) = assembler.task(draft)
            && !found.done
            && done(&task)
        {
            let inside = bom + found.mark + 1;
            ticked.get_or_insert_with(|| text.to_owned()).replace_range(inside..=inside, "x");
        }
    }
    ticked
}

/// A task of a checklist: an item with a box that is inside no other such item.
struct Found {
    /// Where its `[` stands.
    mark: usize,
    done: bool,
    /// What is written after the box, indented as it is.
    text: Range<usize>,
    /// How far its text is indented.
    indent: usize,
}

impl Found {
    /// `None` for a box with nothing after it.
    fn draft(&self, text: &str, index: &Index) -> Option<Draft> {
        let place = Place::line(index.at(self.mark).line);
        let text = dedent(&text[self.text.clone()], self.indent);
        (!text.is_empty()).then(|| {
            let entries = attributes::entries(&text, place);
            Draft { place, entries, done: self.done }
        })
    }
}

fn boxes(text: &str) -> Vec<Found> {
    let mut items: Vec<Range<usize>> = Vec::new();
    let mut task_depth = None;
    let mut found = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TASKLISTS).into_offset_iter() {
        match event {
            Event::Start(Tag::Item) => items.push(range),
            Event::End(TagEnd::Item) => {
                if task_depth == Some(items.len()) {
                    task_depth = None;
                }
                items.pop();
            }
            Event::TaskListMarker(done) if task_depth.is_none() => {
                if let Some(item) = items.last()
                    && let Some(task) = task(text, item, range, done)
                {
                    found.push(task);
                    task_depth = Some(items.len());
                }
            }
            _ => {}
        }
    }
    found
}

fn task(text: &str, item: &Range<usize>, marker: Range<usize>, done: bool) -> Option<Found> {
    let mark = marker.start + text.get(marker)?.find('[')?;
    // The parser also takes characters that nobody means by an empty box.
    if !matches!(text.as_bytes().get(mark + 1)?, b' ' | b'\t' | b'x' | b'X') {
        return None;
    }
    let line = text[..mark].rfind('\n').map_or(0, |end| end + 1);
    let after = mark + "[ ]".len();
    let indent = width(&text[line..mark]);
    Some(Found { mark, done, text: after..item.end.max(after), indent })
}

/// How many columns the prefix of a line takes.
fn width(prefix: &str) -> usize {
    prefix.chars().fold(0, |width, char| if char == '\t' { (width / 4 + 1) * 4 } else { width + 1 })
}

/// The text of an item as it would stand alone: without the indentation (or the `>` of a
/// quotation) that made its lines part of the item.
fn dedent(text: &str, indent: usize) -> String {
    let mut lines = text.trim().lines();
    let mut result = lines.next().unwrap_or_default().trim_end().to_owned();
    for line in lines {
        result.push('\n');
        result.push_str(without_indent(line, indent).trim_end());
    }
    result
}

fn without_indent(line: &str, indent: usize) -> &str {
    let mut rest = line;
    while let Some(char) = rest.chars().next().filter(|char| matches!(char, ' ' | '\t' | '>')) {
        if width(&line[..line.len() - rest.len() + char.len_utf8()]) > indent {
            break;
        }
        rest = &rest[char.len_utf8()..];
    }
    rest
}
