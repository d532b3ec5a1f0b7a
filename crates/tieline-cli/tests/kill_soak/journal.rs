//! What happened, as lines in a file. Each is written with a single write to a file that many processes append to, so
//! that a process killed at any moment has written a line whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A file to append lines to.
#[derive(Clone)]
pub(crate) struct Journal(Arc<File>);

impl Journal {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Arc::new(OpenOptions::new().create(true).append(true).open(path).expect("the journal can be opened")))
    }

    /// Writes that something happened to a request. The detail may be empty.
    pub(crate) fn note(&self, number: u64, what: &str, detail: &str) {
        let detail = detail.replace(['\n', '\r'], " | ");
        let line = format!("{} {number:x} {} {what} {detail}\n", now(), identity(std::process::id()));
        let written = (&*self.0).write(line.as_bytes()).expect("the journal can be written");
        assert_eq!(written, line.len(), "a line is written at once");
    }
}

/// A line of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Milliseconds, on the clock of [`now`].
    pub(crate) at: u64,
    pub(crate) number: u64,
    pub(crate) who: u64,
    pub(crate) what: String,
    pub(crate) detail: String,
}

/// All lines, in the order in which they were written.
pub(crate) fn read(path: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| entry(line).unwrap_or_else(|| panic!("a line is broken: {line}"))).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.splitn(5, ' ');
    Some(Entry {
        at: words.next()?.parse().ok()?,
        number: u64::from_str_radix(words.next()?, 16).ok()?,
        who: words.next()?.parse().ok()?,
        what: words.next()?.to_owned(),
        detail: words.next()?.to_owned(),
    })
}

/// Names a process as no other is named, also when its number is used again: when it was started, and in the last seven
/// digits its number. Of a process that has ended, the number alone is left.
pub(crate) fn identity(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, it is the 20th.
    let started = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19)?.parse::<u64>().ok());
    started.unwrap_or(0) * 10_000_000 + u64::from(pid)
}

/// Milliseconds on a clock that all processes share.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
