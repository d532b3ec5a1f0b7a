//! The files to send, one after the other: from the command line, or from a list that is read as it is written.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::mpsc;

use crate::exit::{self, Failure};

/// How many names are read ahead.
const AHEAD: usize = 64;

/// The files, as they become known.
pub(super) struct List {
    names: mpsc::Receiver<io::Result<PathBuf>>,
    /// What the names are read from, for people.
    from: PathBuf,
    total: Option<u64>,
}

impl List {
    /// These files.
    pub(super) fn of(files: Vec<PathBuf>) -> Self {
        let total = Some(files.len() as u64);
        Self { names: feed(files.into_iter().map(Ok)), from: PathBuf::new(), total }
    }

    /// The files that `from` names, each ended by `end`; `-` is stdin.
    ///
    /// # Errors
    /// If it can't be opened.
    pub(super) fn read(from: &Path, end: u8) -> Result<Self, Failure> {
        let reader: Box<dyn Read + Send> = if from == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(from).map_err(|error| unreadable(from, &error))?)
        };
        let names = BufReader::new(reader).split(end).map(|name| Ok(OsString::from_vec(name?).into()));
        // An empty line names nothing.
        let names = names.filter(|name: &io::Result<PathBuf>| !matches!(name, Ok(name) if name.as_os_str().is_empty()));
        Ok(Self { names: feed(names), from: from.to_owned(), total: None })
    }

    /// How many there are, if that is known.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next one; `None` behind the last. Cancel safe.
    ///
    /// # Errors
    /// If the list can't be read on.
    pub(super) async fn next(&mut self) -> Result<Option<PathBuf>, Failure> {
        self.names.recv().await.transpose().map_err(|error| unreadable(&self.from, &error))
    }
}

/// Names from a thread of their own, for a list may come slowly. The thread ends when nobody wants more.
fn feed(names: impl Iterator<Item = io::Result<PathBuf>> + Send + 'static) -> mpsc::Receiver<io::Result<PathBuf>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::spawn(move || {
        for name in names {
            let is_last = name.is_err();
            if sender.blocking_send(name).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(exit::NO_INPUT, format!("the list {} can't be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut list: List) -> Vec<PathBuf> {
        let mut all = Vec::new();
        while let Some(file) = list.next().await.unwrap() {
            all.push(file);
        }
        all
    }

    #[tokio::test]
    async fn a_list_ends_its_names_with_lines_or_with_nul_and_empty_ones_name_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\n\ntwo with\ta tab\nlast").unwrap();
        let lines = List::read(file.path(), b'\n').unwrap();
        assert_eq!(lines.total(), None);
        assert_eq!(all(lines).await, ["one", "two with\ta tab", "last"].map(PathBuf::from));
        std::fs::write(file.path(), "a\nb\0c\0").unwrap();
        assert_eq!(all(List::read(file.path(), 0).unwrap()).await, ["a\nb", "c"].map(PathBuf::from));
    }

    #[tokio::test]
    async fn more_files_than_are_read_ahead_come_in_their_order() {
        let files: Vec<_> = (0..3 * AHEAD).map(|number| PathBuf::from(number.to_string())).collect();
        let list = List::of(files.clone());
        assert_eq!(list.total(), Some(files.len() as u64));
        assert_eq!(all(list).await, files);
    }
}
