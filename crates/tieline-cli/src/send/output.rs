//! Where the response goes: stdout, as it comes; or a file, which is there only when the response is complete.

use std::fs::{self, Permissions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::exit::{self, Failure};

/// The output of a send.
pub(crate) struct Output {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    place: Place,
}

/// What the writer writes to.
enum Place {
    /// Stdout, and the file's name if it is one.
    Stdout(Option<PathBuf>),
    /// A device, a pipe: written to directly.
    Stream(PathBuf),
    /// A file that gets its name at the end.
    File { temporary: TempPath, path: PathBuf, file: fs::File },
}

impl Output {
    /// The output that was asked for; `None` is stdout. A FIFO's opening waits for its reader.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) async fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) if path != Path::new("-") => Self::named(path).await.map_err(|error| unwritable(path, &error)),
            _ => Ok(Self { writer: Box::new(tokio::io::stdout()), place: Place::Stdout(name_of_stdout()) }),
        }
    }

    async fn named(path: &Path) -> io::Result<Self> {
        // A link stays a link: what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&path) {
            Ok(about) if about.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(about) if !about.is_file() => {
                let file = tokio::fs::OpenOptions::new().write(true).open(&path).await?;
                Ok(Self { writer: Box::new(file), place: Place::Stream(path) })
            }
            Ok(about) => Self::beside(path, about.permissions()),
            // The usual permissions of a new file; the umask takes its part of them.
            Err(_) => Self::beside(path, Permissions::from_mode(0o666)),
        }
    }

    /// A temporary file in the folder of `path`, so that it can be renamed into place.
    fn beside(path: PathBuf, permissions: Permissions) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        let temporary =
            tempfile::Builder::new().prefix(&prefix).suffix(".part").permissions(permissions).tempfile_in(folder);
        let temporary = temporary.map_err(without_path)?;
        let (file, temporary) = temporary.into_parts();
        let writer = Box::new(tokio::fs::File::from_std(file.try_clone()?));
        Ok(Self { writer, place: Place::File { temporary, path, file } })
    }

    /// Whether it is shown on a terminal.
    pub(crate) fn is_shown(&self) -> bool {
        matches!(self.place, Place::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Writes bytes of the response; they have left when this returns.
    ///
    /// # Errors
    /// If they can't be written, also because nobody reads any more.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        let written = written.await;
        written.map_err(|error| unwritable(self.path().unwrap_or(Path::new("stdout")), &error))
    }

    /// The response is complete: the file gets its name.
    ///
    /// # Errors
    /// If it can't be written to the disk or renamed.
    pub(crate) async fn complete(self) -> Result<(), Failure> {
        let Place::File { temporary, path, file } = self.place else { return Ok(()) };
        let shown = path.clone();
        let placed = tokio::task::spawn_blocking(move || {
            // The name must not be there before the bytes are, should the machine go down between them.
            file.sync_all()?;
            temporary.persist(&path).map_err(|error| error.error)
        });
        placed.await.unwrap_or_else(|error| Err(error.into())).map_err(|error| unwritable(&shown, &error))
    }

    /// What is to be said of it when the response isn't complete but some of it came.
    pub(crate) fn remains(&self) -> String {
        match &self.place {
            Place::Stdout(Some(path)) | Place::Stream(path) => format!("{} is incomplete.", name(path)),
            Place::Stdout(None) => "What was written to stdout is incomplete.".to_owned(),
            Place::File { path, .. } => format!("{} was not written.", name(path)),
        }
    }

    fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Stdout(path) => path.as_deref(),
            Place::Stream(path) | Place::File { path, .. } => Some(path),
        }
    }
}

/// The name of the file that stdout was redirected to, if it is one and the system tells.
fn name_of_stdout() -> Option<PathBuf> {
    let link = Path::new("/proc/self/fd/1");
    let is_file = fs::metadata(link).is_ok_and(|about| about.is_file());
    is_file.then(|| fs::read_link(link).ok()).flatten()
}

/// A file's own name, without its folders.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).display().to_string()
}

/// The same error without the name of the temporary file, which the crate adds and nobody knows.
fn without_path(error: io::Error) -> io::Error {
    let words = error.to_string();
    match words.split_once(" at path ") {
        Some((words, _)) => io::Error::new(error.kind(), words.to_owned()),
        None => error,
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(exit::NO_OUTPUT, format!("{} can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_appears_only_when_the_response_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut output = Output::open(Some(&path)).await.unwrap();
        output.write(b"first").await.unwrap();
        assert!(!path.exists());
        output.complete().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(entries(folder.path()), ["out"]);
    }

    #[tokio::test]
    async fn an_incomplete_response_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut output = Output::open(Some(&path)).await.unwrap();
        output.write(b"new").await.unwrap();
        assert_eq!(output.remains(), "out was not written.");
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(entries(folder.path()), ["out"]);
    }

    #[tokio::test]
    async fn a_link_stays_a_link_and_a_device_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut output = Output::open(Some(&link)).await.unwrap();
        output.write(b"new").await.unwrap();
        output.complete().await.unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");

        let output = Output::open(Some(Path::new("/dev/null"))).await.unwrap();
        output.complete().await.unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_told_before_anything_is_sent() {
        let failure = Output::open(Some(Path::new("/no/such/folder/out"))).await.err().unwrap();
        assert_eq!(failure.status, exit::NO_OUTPUT);
        assert_eq!(failure.words, "/no/such/folder/out can't be written: No such file or directory (os error 2)");
    }
}
