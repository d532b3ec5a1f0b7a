//! Where the request's body comes from: a file, which can be read again, or a stream, which can't.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tieline::Body;
use tokio::io::{AsyncRead, ReadBuf};

use super::traffic::{Counted, Traffic};
use crate::exit::{self, Failure};

/// The input of a send.
#[derive(Debug)]
pub(crate) enum Input {
    /// A regular file, from `from` on: it can be read again.
    File { path: PathBuf, from: u64, length: u64 },
    /// A pipe, a terminal, a device.
    Stream(PathBuf),
    /// The same on stdin.
    Stdin,
}

impl Input {
    /// The input that was asked for; `None` is stdin.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) if path != Path::new("-") => named(path).map_err(|error| unreadable(path, &error)),
            _ => Ok(stdin()),
        }
    }

    /// How many bytes it has, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::File { length, .. } => Some(*length),
            _ => None,
        }
    }

    /// Whether somebody types it.
    pub(crate) fn is_typed(&self) -> bool {
        matches!(self, Self::Stdin) && io::stdin().is_terminal()
    }

    /// The body to send, counted in `traffic`. A FIFO's opening waits for its writer.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) async fn body(self, traffic: Arc<Traffic>) -> Result<Body, Failure> {
        Ok(match self {
            Self::File { path, from, .. } => {
                Body::replayable(move || Counted::new(reopen(&path, from), Arc::clone(&traffic)))
            }
            Self::Stream(path) => {
                let file = tokio::fs::File::open(&path).await.map_err(|error| unreadable(&path, &error))?;
                Body::reader(Counted::new(file, traffic))
            }
            Self::Stdin => Body::reader(Counted::new(tokio::io::stdin(), traffic)),
        })
    }
}

/// A file of this name. It is opened once to see that it can be.
fn named(path: &Path) -> io::Result<Input> {
    let about = fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !about.is_file() {
        return Ok(Input::Stream(path.to_owned()));
    }
    File::open(path)?;
    Ok(Input::File { path: path.to_owned(), from: 0, length: about.len() })
}

/// Stdin; as a file where it is one, from where it stands: something before us may have read the beginning.
fn stdin() -> Input {
    let stdin = io::stdin();
    let file = || -> io::Result<Input> {
        let mut stdin = File::from(stdin.as_fd().try_clone_to_owned()?);
        let about = stdin.metadata()?;
        if !about.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let from = stdin.stream_position()?;
        // The link leads to the file itself, also when its name is gone. Elsewhere it is a second handle on the
        // same position, and so no second reading.
        let path = PathBuf::from("/proc/self/fd/0");
        File::open(&path)?;
        Ok(Input::File { path, from, length: about.len().saturating_sub(from) })
    };
    if stdin.is_terminal() || !cfg!(target_os = "linux") {
        return Input::Stdin;
    }
    file().unwrap_or(Input::Stdin)
}

/// The file once more, from `from` on; if that fails, a reader that says so.
fn reopen(path: &Path, from: u64) -> Reopened {
    let opened = File::open(path).and_then(|mut file| file.seek(SeekFrom::Start(from)).map(|_| file));
    match opened {
        Ok(file) => Reopened::File(tokio::fs::File::from_std(file)),
        Err(error) => Reopened::Failed(Some(error)),
    }
}

/// A file that was opened, or why it wasn't.
enum Reopened {
    File(tokio::fs::File),
    Failed(Option<io::Error>),
}

impl AsyncRead for Reopened {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::File(file) => Pin::new(file).poll_read(cx, buf),
            Self::Failed(error) => Poll::Ready(Err(error.take().unwrap_or_else(|| io::ErrorKind::NotFound.into()))),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(exit::NO_INPUT, format!("{} can't be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_regular_file_can_be_read_again_and_its_length_is_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "12345").unwrap();
        let input = Input::open(Some(file.path())).unwrap();
        assert_eq!(input.length(), Some(5));
        assert!(input.body(Traffic::new()).await.unwrap().is_replayable());
    }

    #[test]
    fn what_is_not_there_or_no_file_is_refused_before_anything_is_sent() {
        for path in ["/no/such/file", "/"] {
            let failure = Input::open(Some(Path::new(path))).unwrap_err();
            assert_eq!(failure.status, exit::NO_INPUT);
            assert!(failure.words.starts_with(path), "{failure}");
        }
    }
}
