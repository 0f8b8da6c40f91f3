//! What goes where: data to stdout, everything else to stderr, colour only where it is wanted.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::{Global, Progress, When};

/// Bold and red.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Yellow.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Green.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Dim.
pub const DIM: Style = Style::new().dimmed();
/// Bold.
pub const BOLD: Style = Style::new().bold();

/// The one place that decides where text goes.
#[derive(Debug, Clone)]
pub struct Ui {
    quiet: u8,
    /// Whether more is wanted.
    pub verbose: bool,
    /// Whether data is wanted as JSON.
    pub json: bool,
    progress: Progress,
    bar: ProgressBar,
}

impl Ui {
    /// Follows the global options.
    pub fn new(global: &Global) -> Self {
        match global.color {
            When::Auto => {}
            When::Always => anstream::ColorChoice::Always.write_global(),
            When::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self {
            quiet: global.quiet,
            verbose: global.verbose,
            json: global.json,
            progress: global.progress,
            bar: ProgressBar::hidden(),
        }
    }

    /// Writes a line of data. An end that nobody reads any more is not an error.
    pub fn data(&self, line: impl fmt::Display) -> io::Result<()> {
        self.data_while_read(line).map(drop)
    }

    /// Writes a line of data, and says whether anybody still reads.
    pub fn data_while_read(&self, line: impl fmt::Display) -> io::Result<ControlFlow<()>> {
        let write = || writeln!(anstream::stdout().lock(), "{line}");
        match self.bar.suspend(write) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            other => other.map(ControlFlow::Continue),
        }
    }

    /// Writes a line for people.
    pub fn say(&self, line: impl fmt::Display) {
        if self.quiet == 0 {
            self.stderr(line);
        }
    }

    /// Writes a line about something that went wrong but does not end the program.
    pub fn warn(&self, line: impl fmt::Display) {
        if self.quiet < 2 {
            self.stderr(format_args!("{WARNING}warning:{WARNING:#} {line}"));
        }
    }

    /// Writes a line about a failure that belongs to the work.
    pub fn failure(&self, line: impl fmt::Display) {
        if self.quiet < 2 {
            self.stderr(line);
        }
    }

    /// Writes the error that ends the program.
    pub fn error(&self, error: &crate::error::Error) {
        if self.quiet >= 2 {
            return;
        }
        self.stderr(format_args!("{ERROR}error:{ERROR:#} {error}"));
        if !error.hints().is_empty() {
            self.stderr("");
        }
        for hint in error.hints() {
            self.stderr(format_args!("{BOLD}hint:{BOLD:#} {hint}"));
        }
    }

    /// Whether lines about every event are wanted on stderr.
    pub fn tells_events(&self) -> bool {
        self.quiet == 0 && self.progress != Progress::None
    }

    /// Starts the footer, where one is wanted.
    pub fn start_footer(&mut self) {
        let wanted = match self.progress {
            Progress::Auto => io::stderr().is_terminal() && !self.verbose,
            Progress::Bar => true,
            Progress::Lines | Progress::None => false,
        };
        if wanted && self.quiet == 0 {
            let style =
                ProgressStyle::with_template("{msg}").expect("a template without a mistake");
            self.bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            self.bar.set_style(style);
        }
    }

    /// Replaces the footer's text.
    pub fn footer(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Whether a footer is shown.
    pub fn has_footer(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Removes the footer.
    pub fn end_footer(&self) {
        self.bar.finish_and_clear();
    }

    fn stderr(&self, line: impl fmt::Display) {
        // Nothing is left to tell it to when stderr is gone.
        self.bar.suspend(|| drop(writeln!(anstream::stderr().lock(), "{line}")));
    }
}

/// Text from outside, fit for a terminal: control characters are shown, not obeyed.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The first line of a text, at most `width` characters of it.
pub fn headline(text: &str, width: usize) -> String {
    let line = printable(text.lines().next().unwrap_or_default());
    if line.chars().count() <= width {
        return line;
    }
    let short: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", short.trim_end())
}
