//! A command's stderr: shown line by line on ours, and its tail kept as the detail of an error.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of the end is kept, in bytes.
const TAIL: usize = 1024;

/// A line longer than this is shown in pieces, in bytes.
const LINE: usize = 64 * 1024;

/// Follows a command's stderr. Shows whole lines by `show`, which gets them with their ends.
pub(super) struct Follower<F> {
    show: F,
    line: Vec<u8>,
    tail: Vec<u8>,
}

impl<F: FnMut(&[u8])> Follower<F> {
    /// A follower that has seen nothing.
    pub(super) fn new(show: F) -> Self {
        Self { show, line: Vec::new(), tail: Vec::new() }
    }

    /// Reads to the end. Cancel safe: what was read has been taken into account.
    ///
    /// # Errors
    /// If reading fails.
    pub(super) async fn follow(&mut self, mut stderr: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = vec![0; 8 * 1024];
        loop {
            match stderr.read(&mut buffer).await? {
                0 => break,
                read => self.take(&buffer[..read]),
            }
        }
        Ok(())
    }

    /// Shows an unfinished last line, and returns the tail, if anything was written at all.
    pub(super) fn finish(mut self) -> Option<String> {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            (self.show)(&self.line);
        }
        let text = String::from_utf8_lossy(&self.tail);
        let text = text.trim_end();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
        if let Some(end) = self.line.iter().rposition(|byte| *byte == b'\n') {
            (self.show)(&self.line[..=end]);
            self.line.drain(..=end);
        } else if self.line.len() >= LINE {
            (self.show)(&self.line);
            self.line.clear();
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_shown_whole_and_the_last_kib_is_kept() {
        let mut shown = Vec::new();
        let mut follower = Follower::new(|bytes: &[u8]| shown.push(String::from_utf8_lossy(bytes).into_owned()));
        follower.follow(&b"one\ntwo\nthr"[..]).await.unwrap();
        follower.follow(&b"ee\nlast"[..]).await.unwrap();
        assert_eq!(follower.finish().unwrap(), "one\ntwo\nthree\nlast");
        assert_eq!(shown, ["one\ntwo\n", "three\n", "last\n"]);
    }

    #[tokio::test]
    async fn endless_lines_neither_grow_nor_get_lost() {
        let mut shown = 0;
        let mut follower = Follower::new(|bytes: &[u8]| shown += bytes.len());
        let text = vec![b'x'; 1 << 20];
        follower.follow(&text[..]).await.unwrap();
        assert!(follower.line.len() < LINE + 8 * 1024);
        assert_eq!(follower.finish().unwrap().len(), TAIL);
        assert!(shown >= 1 << 20);
    }

    #[test]
    fn a_silent_command_has_no_tail() {
        let mut follower = Follower::new(|_: &[u8]| {});
        follower.take(b" \n");
        assert_eq!(follower.finish(), None);
    }
}
