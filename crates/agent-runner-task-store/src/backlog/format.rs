//! The formats, and how one is recognised.

use std::{
    fmt,
    io::{self, BufRead, Cursor, Read},
    path::Path,
    str::FromStr,
};

use super::{field::Field, input};

/// A format of a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A list of tasks, or an object that has the list in `tasks`: `.json`.
    Json,
    /// JSON Lines, one task a line: `.jsonl`, `.ndjson`.
    Jsonl,
    /// The same as JSON, in YAML: `.yaml`, `.yml`.
    Yaml,
    /// `[[tasks]]` or `[[task]]`: `.toml`.
    Toml,
    /// A table with a header row: `.csv`, `.tsv`.
    Csv,
    /// A checklist: `.md`, `.markdown`.
    Markdown,
    /// Plain lines: `.txt`.
    Lines,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Json, Self::Jsonl, Self::Yaml, Self::Toml, Self::Csv, Self::Markdown, Self::Lines];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
            Self::Lines => "lines",
        }
    }

    /// The format that a file's extension names.
    pub fn from_path(path: impl AsRef<Path>) -> Option<Self> {
        Self::from_extension(path.as_ref().extension()?.to_str()?)
    }

    /// The format that an extension without its dot names, in any case.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "yaml" | "yml" => Self::Yaml,
            "toml" => Self::Toml,
            "csv" | "tsv" => Self::Csv,
            "md" | "markdown" => Self::Markdown,
            "txt" => Self::Lines,
            _ => return None,
        })
    }

    /// Guesses the format from how a text begins, for a stream that has no name.
    ///
    /// The first rule that fits decides:
    ///
    /// 1. `[[task` → TOML; `{` → JSON Lines when the first line is a whole object without
    ///    `tasks`, else JSON; `[` → JSON.
    /// 2. A line that is a checklist item, `- [ ]` or `- [x]` → Markdown.
    /// 3. A first line of at least two columns that are all names of fields → CSV.
    /// 4. A first line `---`, `tasks:` or `- field:` → YAML.
    /// 5. Anything else → plain lines.
    ///
    /// Empty lines and, but for rule 2, lines that begin with `#` are passed over.
    pub fn sniff(start: &[u8]) -> Self {
        let text = String::from_utf8_lossy(input::without_bom(start));
        let mut lines = text.lines().map(str::trim);
        let first = lines.clone().find(|line| !line.is_empty() && !line.starts_with('#'));
        let first = first.unwrap_or_default();
        if first.starts_with("[[task") {
            Self::Toml
        } else if first.starts_with('{') {
            if is_task_object(first) { Self::Jsonl } else { Self::Json }
        } else if first.starts_with('[') {
            Self::Json
        } else if lines.any(is_checklist_item) {
            Self::Markdown
        } else if is_header(first) {
            Self::Csv
        } else if is_yaml(first) {
            Self::Yaml
        } else {
            Self::Lines
        }
    }

    /// Guesses the format of a stream, and returns the stream as if nothing had been read.
    ///
    /// Up to 64 KiB are read before the guess.
    pub fn detect<R: BufRead>(mut input: R) -> io::Result<(Self, impl BufRead + use<R>)> {
        let mut start = Vec::new();
        input.by_ref().take(64 << 10).read_to_end(&mut start)?;
        Ok((Self::sniff(&start), Cursor::new(start).chain(input)))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Json => "JSON",
            Self::Jsonl => "JSON Lines",
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
            Self::Csv => "CSV",
            Self::Markdown => "Markdown",
            Self::Lines => "lines",
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Takes the names of [`Format::as_str`], and extensions.
    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == name);
        named.or_else(|| Self::from_extension(name)).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A name that no format has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format '{0}'; there are {all}", all = Format::ALL.map(Format::as_str).join(", "))]
pub struct UnknownFormat(String);

fn is_task_object(line: &str) -> bool {
    match serde_json::from_str(line) {
        Ok(serde_json::Value::Object(fields)) => !fields.contains_key("tasks"),
        _ => false,
    }
}

fn is_checklist_item(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let bullet = words.next().unwrap_or_default();
    let is_number = bullet.strip_suffix(['.', ')']).is_some_and(|it| it.parse::<u32>().is_ok());
    (matches!(bullet, "-" | "*" | "+") || is_number)
        && match words.next() {
            Some("[") => words.next().is_some_and(|word| word == "]"),
            Some(word) => matches!(word, "[x]" | "[X]"),
            None => false,
        }
}

fn is_header(line: &str) -> bool {
    let mut columns = 0;
    line.split([',', ';', '\t']).all(|name| {
        columns += 1;
        Field::named(name.trim().trim_matches('"')).is_some()
    }) && columns >= 2
}

fn is_yaml(line: &str) -> bool {
    let is_field = |text: &str| {
        text.split_once(':').is_some_and(|(name, _)| Field::named(name.trim()).is_some())
    };
    line == "---" || line == "tasks:" || line.strip_prefix("- ").is_some_and(is_field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_recognised_by_its_start() {
        for (text, format) in [
            ("", Format::Lines),
            ("fix the login\n", Format::Lines),
            ("# a comment\nfix the login, then the logout\n", Format::Lines),
            ("[{\"prompt\": \"a\"}]", Format::Json),
            ("\u{feff}\r\n[\r\n", Format::Json),
            ("{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n", Format::Jsonl),
            ("{\"prompt\": \"a\"}", Format::Jsonl),
            ("{\"tasks\": []}", Format::Json),
            ("{\n  \"tasks\": []}", Format::Json),
            ("# mine\n\n[[tasks]]\nprompt = 'a'\n", Format::Toml),
            ("[[task]]\n", Format::Toml),
            ("id,prompt\n1,a\n", Format::Csv),
            ("\"id\";\"prompt\"\n", Format::Csv),
            ("prompt\na\n", Format::Lines),
            ("# Today\n\n- [ ] a\n", Format::Markdown),
            ("Some words.\n\n1. [x] a\n", Format::Markdown),
            ("* [X] a\n", Format::Markdown),
            ("- a\n- b\n", Format::Lines),
            ("- prompt: a\n", Format::Yaml),
            ("# mine\ntasks:\n  - prompt: a\n", Format::Yaml),
            ("---\n- a\n", Format::Yaml),
        ] {
            assert_eq!(Format::sniff(text.as_bytes()), format, "{text:?}");
            let (found, mut input) = Format::detect(text.as_bytes()).expect("memory can be read");
            let mut whole = String::new();
            input.read_to_string(&mut whole).expect("memory can be read");
            assert_eq!((found, whole.as_str()), (format, text));
        }
    }

    #[test]
    fn names_and_extensions_are_the_same_formats() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!(Format::from_path("a/B.MD"), Some(Format::Markdown));
        assert_eq!(Format::from_path("tasks.yml"), Some(Format::Yaml));
        assert_eq!(Format::from_path("tasks"), None);
        assert_eq!(
            "xml".parse::<Format>().expect_err("there is none").to_string(),
            "unknown format 'xml'; there are json, jsonl, yaml, toml, csv, markdown, lines",
        );
    }
}
