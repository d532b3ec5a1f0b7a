//! A response that is kept until it is complete and its turn has come: in memory while it is small, else in a file.

use std::io;

use bytes::Bytes;
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// What is kept of a response in memory, in bytes.
pub(super) const IN_MEMORY: usize = 64 * 1024;

/// A response that comes.
#[derive(Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<(File, TempPath)>,
}

/// A response that is complete.
pub(super) enum Kept {
    /// All of it.
    Memory(Vec<u8>),
    /// The file that holds it, and is removed with this.
    File(TempPath),
}

impl Spool {
    /// Takes what came.
    ///
    /// # Errors
    /// If the temporary file can't be made or written.
    pub(super) async fn write(&mut self, bytes: &Bytes) -> io::Result<()> {
        if self.file.is_none() {
            if self.memory.len() + bytes.len() <= IN_MEMORY {
                self.memory.extend_from_slice(bytes);
                return Ok(());
            }
            self.file = Some(spill(&std::mem::take(&mut self.memory)).await?);
        }
        match &mut self.file {
            Some((file, _)) => file.write_all(bytes).await,
            None => Ok(()),
        }
    }

    /// The response is complete.
    ///
    /// # Errors
    /// If the temporary file can't be written.
    pub(super) async fn complete(self) -> io::Result<Kept> {
        let Some((mut file, path)) = self.file else { return Ok(Kept::Memory(self.memory)) };
        file.flush().await?;
        Ok(Kept::File(path))
    }
}

impl Kept {
    /// How much memory it takes.
    pub(super) fn in_memory(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File(_) => 0,
        }
    }

    /// The same in a file.
    ///
    /// # Errors
    /// If it can't be made or written.
    pub(super) async fn out_of_memory(self) -> io::Result<Self> {
        match self {
            Self::Memory(bytes) => {
                let (mut file, path) = spill(&bytes).await?;
                file.flush().await?;
                Ok(Self::File(path))
            }
            file @ Self::File(_) => Ok(file),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub(super) async fn write_to(self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => writer.write_all(&bytes).await,
            Self::File(path) => tokio::io::copy(&mut File::open(&path).await?, writer).await.map(drop),
        }
    }
}

/// A temporary file with these bytes.
async fn spill(bytes: &[u8]) -> io::Result<(File, TempPath)> {
    let (file, path) = tempfile::Builder::new().prefix("tieline-map-").tempfile()?.into_parts();
    let mut file = File::from_std(file);
    file.write_all(bytes).await?;
    Ok((file, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_small_response_stays_in_memory_and_a_large_one_goes_to_a_file_that_is_removed() {
        for (pieces, is_in_memory) in [(1, true), (2, false)] {
            let mut spool = Spool::default();
            for _ in 0..pieces {
                spool.write(&Bytes::from(vec![7; IN_MEMORY])).await.unwrap();
            }
            let kept = spool.complete().await.unwrap();
            assert_eq!(matches!(kept, Kept::Memory(_)), is_in_memory);
            let kept = kept.out_of_memory().await.unwrap();
            assert_eq!(kept.in_memory(), 0);
            let Kept::File(path) = &kept else { panic!("it is in a file") };
            let path = path.to_path_buf();
            let mut all = Vec::new();
            kept.write_to(&mut all).await.unwrap();
            assert_eq!(all, vec![7; pieces * IN_MEMORY]);
            assert!(!path.exists());
        }
    }
}
