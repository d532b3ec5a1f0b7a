//! The joblog: a row for each file that is over, in the columns of GNU parallel, and what a later run reads of it.
//!
//! `Seq Host Starttime JobRuntime Send Receive Exitval Signal Command`, separated by tabs. Host is the receiver, where its
//! response says so in the metadata `receiver`; Command is the file's name, in which `\`, tab and line's end are written
//! as `\\`, `\t`, `\n`. The last row of a file counts.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exit::{self, Failure};

const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// What each joblog begins with, also that of another tool.
const COLUMNS: &str = "Seq\tHost\t";

/// No row is longer: a path has at most 4 KiB, twice that when it is written so.
const ROW_MAX: u64 = 64 * 1024;

/// Which columns a later run reads.
const EXITVAL: usize = 6;
const COMMAND: usize = 8;

/// A file that is over.
pub(super) struct Row<'a> {
    pub(super) seq: u64,
    pub(super) receiver: Option<&'a str>,
    pub(super) started: SystemTime,
    pub(super) took: Duration,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) status: u8,
    pub(super) file: &'a Path,
}

/// The joblog, open for more rows.
pub(super) struct Joblog {
    file: File,
    path: PathBuf,
}

impl Joblog {
    /// Opens it, and writes its header if it is new. A last row that was cut off is removed.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            if file.metadata()?.len() == 0 {
                file.write_all(HEADER.as_bytes())?;
            } else if file.metadata()?.is_file() {
                see_that_it_is_one(&mut file)?;
                drop_cut_off_row(&mut file)?;
            }
            Ok(file)
        };
        let file = open().map_err(|error| unwritable(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        // One write, so that a row is there or isn't, also when several runs share the file.
        self.file.write_all(&row.line()).map_err(|error| unwritable(&self.path, &error))
    }
}

impl Row<'_> {
    fn line(&self) -> Vec<u8> {
        let host: String = self.receiver.unwrap_or("-").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = format!(
            "{}\t{host}\t{}.{:03}\t{:.3}\t{}\t{}\t{}\t0\t",
            self.seq,
            started.as_secs(),
            started.subsec_millis(),
            self.took.as_secs_f64(),
            self.sent,
            self.received,
            self.status,
        )
        .into_bytes();
        escape(self.file, &mut line);
        line.push(b'\n');
        line
    }
}

/// The files that succeeded, by a joblog. One that isn't there yet knows of none.
///
/// # Errors
/// If it can't be read.
pub(super) fn succeeded(path: &Path) -> Result<HashSet<PathBuf>, Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(exit::NO_INPUT, format!("the joblog {} can't be read: {error}", path.display()))
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        opened => opened.map_err(unreadable)?,
    };
    let mut done = HashSet::new();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(unreadable)?;
        // A row without its end was cut off, and says nothing.
        if line.pop() != Some(b'\n') {
            return Ok(done);
        }
        let columns: Vec<_> = line.split(|byte| *byte == b'\t').collect();
        let (Some(status), Some(file)) = (columns.get(EXITVAL), columns.get(COMMAND)) else { continue };
        let file = unescape(file);
        if *status == b"0" {
            done.insert(file);
        } else {
            done.remove(&file);
        }
    }
}

/// Sees that a file is a joblog: whatever else it is, adding rows to it would spoil it.
fn see_that_it_is_one(file: &mut File) -> io::Result<()> {
    let mut beginning = Vec::new();
    Read::take(&mut *file, COLUMNS.len() as u64).read_to_end(&mut beginning)?;
    if beginning == COLUMNS.as_bytes() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is there, and no joblog"))
}

/// Removes what stands behind the last whole row: its cut off name might be that of another file.
fn drop_cut_off_row(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(ROW_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => file.set_len(from + end as u64 + 1),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no joblog: its last line is too long")),
    }
}

fn escape(path: &Path, line: &mut Vec<u8>) {
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            other => line.push(*other),
        }
    }
}

fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        });
    }
    OsString::from_vec(bytes).into()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(exit::NO_OUTPUT, format!("the joblog {} can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &mut Joblog, file: &str, status: u8) {
        log.add(&Row {
            seq: 7,
            receiver: Some("one\ttwo"),
            started: UNIX_EPOCH + Duration::from_millis(1_500),
            took: Duration::from_millis(250),
            sent: 1,
            received: 2,
            status,
            file: Path::new(file),
        })
        .unwrap();
    }

    #[test]
    fn rows_stand_in_the_columns_of_gnu_parallel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        add(&mut Joblog::open(&path).unwrap(), "a\tb", 3);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{HEADER}7\tone two\t1.500\t0.250\t1\t2\t3\t0\ta\\tb\n"));
    }

    #[test]
    fn a_file_that_is_no_joblog_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo");
        for photo in ["no line's end", "lines\nand more", "Seq"] {
            std::fs::write(&path, photo).unwrap();
            assert!(Joblog::open(&path).is_err_and(|failure| failure.words.contains("no joblog")), "{photo:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), photo);
        }
    }

    #[test]
    fn a_file_whose_last_row_says_so_has_succeeded_and_a_row_that_was_cut_off_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert!(succeeded(&path).unwrap().is_empty());
        let mut log = Joblog::open(&path).unwrap();
        for (file, status) in [("twice", 1), ("twice", 0), ("lost", 0), ("lost", 1), ("od\\d\n", 0), ("cut", 0)] {
            add(&mut log, file, status);
        }
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        let expected: HashSet<_> = ["twice", "od\\d\n"].map(PathBuf::from).into();
        assert_eq!(succeeded(&path).unwrap(), expected);
        add(&mut Joblog::open(&path).unwrap(), "next", 0);
        assert!(succeeded(&path).unwrap().contains(Path::new("next")), "it is a row of its own");
        assert!(!std::fs::read_to_string(&path).unwrap().contains("\tcu"), "a part of a name might be another's");
    }
}
