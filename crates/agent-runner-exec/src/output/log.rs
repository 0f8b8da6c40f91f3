//! A log file that does not grow without end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{LogError, LogOptions, SpawnError};

/// How far to look for the end of a line where the log is cut.
const LINE: u64 = 4096;
/// The least room between two moves of the end, so that a tiny limit is not slow.
const LEAST_SLACK: u64 = 64 << 10;

/// The least that is cut: more than the line that says so, so that bytes only move to the front.
const LEAST_CUT: u64 = 64;

/// A file with the head and the last part of what is written to it.
///
/// ```text
///                    [ head | .............. end ]        longer than the limit: write on, and
///                    [ head | mark | end ]                now and then move the end to the front
/// ```
///
/// So the newest output is always in the file, also if we are killed, and each byte is moved once
/// at most for each byte written.
pub(crate) struct Log {
    /// `None` as long as there is nothing to write.
    file: Option<File>,
    path: PathBuf,
    limit: u64,
    tail: u64,
    /// Where the next byte goes.
    end: u64,
    gap: Option<Gap>,
    error: Option<LogError>,
}

/// What is missing.
struct Gap {
    /// Where the line that says so stands.
    at: u64,
    /// Where the kept end begins.
    resume: u64,
    left_out: u64,
}

impl Log {
    /// Creates or empties the file; or removes it, if it is to come with the first byte.
    pub(crate) fn create(options: LogOptions) -> Result<Self, SpawnError> {
        let LogOptions { path, limit_bytes: limit, tail_bytes, late, .. } = options;
        match if late { remove(&path).map(|()| None) } else { open(&path).map(Some) } {
            Ok(file) => {
                let tail = tail_bytes.min(limit);
                Ok(Self { file, path, limit, tail, end: 0, gap: None, error: None })
            }
            Err(source) => Err(SpawnError::Log { path, source }),
        }
    }

    /// Appends. After an error nothing more is written: a log ends rather than has holes.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            let result = self.try_write(bytes);
            self.note(result);
        }
    }

    /// Cuts the file to its limit; says how many bytes are missing, and what went wrong.
    pub(crate) fn finish(mut self) -> (u64, Option<LogError>) {
        if self.end > self.kept_limit() + LEAST_CUT && self.error.is_none() {
            let result = self.cut();
            self.note(result);
        }
        (self.gap.map_or(0, |gap| gap.left_out), self.error)
    }

    fn file(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(open(&self.path)?)),
        }
    }

    fn try_write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let slack = self.tail.max(LEAST_SLACK);
        while !bytes.is_empty() {
            let room = (self.kept_limit().saturating_add(slack)).saturating_sub(self.end);
            if room == 0 {
                self.cut()?;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(saturate(room)));
            self.file()?.write_all(now)?;
            self.end += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// How long the file should be in the end.
    fn kept_limit(&self) -> u64 {
        self.limit + self.gap.as_ref().map_or(0, |gap| gap.resume - gap.at)
    }

    /// Leaves out the middle, up to the last `tail` bytes.
    fn cut(&mut self) -> io::Result<()> {
        let from = self.line_start(self.end - self.tail.min(self.end), self.end)?;
        let mut gap = if let Some(gap) = self.gap.take() {
            gap
        } else {
            let at = self.head_end()?;
            Gap { at, resume: at, left_out: 0 }
        };
        gap.left_out += from - gap.resume;
        let mark = mark_line(gap.left_out);
        gap.resume = gap.at + mark.len() as u64;
        let kept = self.end - from;
        self.move_down(from, gap.resume, kept)?;
        self.file()?.seek(SeekFrom::Start(gap.at))?;
        self.file()?.write_all(&mark)?;
        self.end = gap.resume + kept;
        let end = self.end;
        self.file()?.set_len(end)?;
        self.file()?.seek(SeekFrom::Start(end))?;
        self.gap = Some(gap);
        Ok(())
    }

    fn move_down(&mut self, mut from: u64, mut to: u64, mut len: u64) -> io::Result<()> {
        let mut buffer = vec![0; saturate(len.min(64 << 10))];
        while len > 0 {
            let piece = saturate(len).min(buffer.len());
            self.file()?.seek(SeekFrom::Start(from))?;
            self.file()?.read_exact(&mut buffer[..piece])?;
            self.file()?.seek(SeekFrom::Start(to))?;
            self.file()?.write_all(&buffer[..piece])?;
            (from, to, len) = (from + piece as u64, to + piece as u64, len - piece as u64);
        }
        Ok(())
    }

    /// The beginning of the first line from `from` on, or `from` if that is far.
    fn line_start(&mut self, from: u64, end: u64) -> io::Result<u64> {
        let text = self.read(from, (end - from).min(LINE))?;
        let newline = text.iter().position(|&byte| byte == b'\n');
        Ok(newline.map_or(from, |at| from + at as u64 + 1))
    }

    /// The end of the last whole line of the head, or of the head if that is far before.
    fn head_end(&mut self) -> io::Result<u64> {
        let end = (self.limit - self.tail).min(self.end);
        let from = end.saturating_sub(LINE);
        let text = self.read(from, end - from)?;
        let newline = text.iter().rposition(|&byte| byte == b'\n');
        Ok(newline.map_or(end, |at| from + at as u64 + 1))
    }

    fn read(&mut self, from: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut text = vec![0; saturate(len)];
        self.file()?.seek(SeekFrom::Start(from))?;
        self.file()?.read_exact(&mut text)?;
        Ok(text)
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(source) = result {
            self.error = Some(LogError { path: self.path.clone(), source: Arc::new(source) });
        }
    }
}

/// The line in the place of what is missing. Always as long, so that it can be written over.
fn mark_line(left_out: u64) -> Vec<u8> {
    format!("\n[agent-runner: {left_out:>16} bytes left out]\n").into_bytes()
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            options.open(path)
        }
        result => result,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn saturate(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// Writes `pieces` to a log; returns its text, the bytes left out, and the largest size seen.
    fn written(limit: u64, tail: u64, pieces: &[Vec<u8>]) -> (Vec<u8>, u64, u64) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("deep/er/log");
        let options = LogOptions { limit_bytes: limit, tail_bytes: tail, ..LogOptions::new(&path) };
        let mut log = Log::create(options).unwrap();
        let mut largest = 0;
        for piece in pieces {
            log.write(piece);
            largest = largest.max(fs::metadata(&path).unwrap().len());
        }
        let (left_out, error) = log.finish();
        assert!(error.is_none(), "{error:?}");
        (fs::read(path).unwrap(), left_out, largest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn head_and_end_are_kept_and_the_rest_is_counted(
            limit in 0_u64..300_000,
            tail in 0_u64..200_000,
            lens in prop::collection::vec((0_usize..120_000, any::<bool>()), 0..12),
        ) {
            let pieces: Vec<Vec<u8>> = (lens.into_iter().zip(b'a'..))
                .map(|((len, lines), letter)| {
                    (0..len).map(|i| if lines && i % 80 == 79 { b'\n' } else { letter }).collect()
                })
                .collect();
            let all = pieces.concat();
            let (text, left_out, largest) = written(limit, tail, &pieces);
            let mark = mark_line(left_out);
            prop_assert!(largest <= limit + tail.max(LEAST_SLACK) + 64);
            prop_assert!(text.len() as u64 <= limit + LEAST_CUT + mark.len() as u64);
            if left_out == 0 {
                prop_assert!(text == all);
            } else {
                let at = text.windows(mark.len()).position(|w| w == mark);
                let at = at.expect("a line says how much is missing");
                let (head, end) = (&text[..at], &text[at + mark.len()..]);
                prop_assert!(all.starts_with(head));
                prop_assert!(all.ends_with(end));
                prop_assert_eq!(head.len() as u64 + left_out + end.len() as u64, all.len() as u64);
                prop_assert!(head.len() as u64 + LINE >= limit - tail.min(limit));
                prop_assert!(end.len() as u64 + LINE >= tail.min(limit));
            }
        }
    }

    #[test]
    fn the_cut_is_between_lines() {
        let lines: Vec<_> = (0..40_000).map(|i| format!("line {i}\n").into_bytes()).collect();
        let (text, left_out, _) = written(10_000, 4_000, &lines);
        let text = String::from_utf8(text).unwrap();
        let mark = String::from_utf8(mark_line(left_out)).unwrap();
        let (head, end) = text.split_once(&mark).unwrap();
        assert!(head.starts_with("line 0\n") && head.ends_with('\n'), "{head}");
        assert!(end.starts_with("line ") && end.ends_with("line 39999\n"), "{end}");
    }

    #[test]
    fn a_late_log_comes_with_the_first_byte() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("deep/er/log");
        let late = || LogOptions { late: true, ..LogOptions::new(&path) };
        let mut log = Log::create(late()).unwrap();
        assert!(!path.exists());
        log.write(b"text");
        assert_eq!(fs::read(&path).unwrap(), b"text");
        assert!(log.finish().1.is_none());
        assert!(Log::create(late()).unwrap().finish().1.is_none());
        assert!(!path.exists(), "what an earlier one wrote is gone");
    }

    #[test]
    fn an_empty_log_exists() {
        assert_eq!(written(100, 10, &[]), (Vec::new(), 0, 0));
    }
}
