//! The file that the words of an answer are written to, which is there when they are all there.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use agent_runner_task_store::TaskId;

use crate::{
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::file_name,
};

/// A file in the making, beside its place and called `.part`. Dropped without
/// [`keep`](Self::keep) it leaves nothing.
#[derive(Debug)]
pub(super) struct AnswerFile {
    path: PathBuf,
    part: PathBuf,
    file: Option<File>,
}

impl AnswerFile {
    /// A path that ends in `/` is a folder, in which the file is called after the task.
    pub(super) fn new(path: &Path, task: Option<&TaskId>) -> Self {
        let is_folder = path.to_string_lossy().ends_with('/') || path.is_dir();
        let name = || format!("{}.md", task.map_or_else(|| "answer".to_owned(), file_name));
        let path = if is_folder { path.join(name()) } else { path.to_owned() };
        let mut part = path.clone().into_os_string();
        part.push(".part");
        Self { path, part: part.into(), file: None }
    }

    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        self.open()?.write_all(text.as_bytes()).map_err(|error| self.failed(error))
    }

    /// Puts it in its place.
    pub(super) fn keep(mut self) -> Result<()> {
        self.open()?;
        fs::rename(&self.part, &self.path).map_err(|error| self.failed(error))
    }

    /// The file, made when there is something to write.
    fn open(&mut self) -> Result<&mut File> {
        if self.file.is_none() {
            let folder = self.path.parent().unwrap_or(Path::new(""));
            fs::create_dir_all(folder).map_err(|error| self.failed(error))?;
            self.file = Some(File::create(&self.part).map_err(|error| self.failed(error))?);
        }
        Ok(self.file.as_mut().expect("it is there"))
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let what = || format!("could not write the answer to '{}'", self.path.display());
        Err::<(), _>(error).or_exit(Exit::Unexpected, what).expect_err("it is an error")
    }
}

impl Drop for AnswerFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // It is in its place already, or is of no use to anybody.
            drop(fs::remove_file(&self.part));
        }
    }
}
