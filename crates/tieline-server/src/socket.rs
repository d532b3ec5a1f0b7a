//! A plain socket: one half that its connection's task reads from, and one that whoever has something for it may write to.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

/// A socket without TLS, as its connection's task has it.
pub(crate) struct Plain<R> {
    reader: R,
    writer: Arc<Writer>,
}

/// The writing half. It is closed with the other one, by whoever holds either last.
pub(crate) struct Writer(Half);

enum Half {
    Tcp(Option<tcp::OwnedWriteHalf>),
    Unix(Option<unix::OwnedWriteHalf>),
    #[cfg(all(test, feature = "interleavings"))]
    Fake(Arc<crate::interleavings::Fake>),
}

impl<R> Plain<R> {
    /// For others that write.
    pub(crate) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }
}

impl From<TcpStream> for Plain<tcp::OwnedReadHalf> {
    fn from(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader, writer: Arc::new(Writer(Half::Tcp(Some(writer)))) }
    }
}

impl From<UnixStream> for Plain<unix::OwnedReadHalf> {
    fn from(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader, writer: Arc::new(Writer(Half::Unix(Some(writer)))) }
    }
}

#[cfg(all(test, feature = "interleavings"))]
impl<R> Plain<R> {
    /// One whose writing half is a fake.
    pub(crate) fn fake(reader: R, fake: &Arc<crate::interleavings::Fake>) -> Self {
        Self { reader, writer: Arc::new(Writer(Half::Fake(Arc::clone(fake)))) }
    }
}

impl Writer {
    /// Writes what the socket takes at once. One that took less than it was given is full: it is not asked again before
    /// it says that it has room.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            Half::Tcp(Some(half)) => {
                let stream: &TcpStream = half.as_ref();
                try_write(&SockRef::from(stream), slices, |write| stream.try_io(Interest::WRITABLE, write))
            }
            Half::Unix(Some(half)) => {
                let stream: &UnixStream = half.as_ref();
                try_write(&SockRef::from(stream), slices, |write| stream.try_io(Interest::WRITABLE, write))
            }
            Half::Tcp(None) | Half::Unix(None) => Err(io::ErrorKind::NotConnected.into()),
            #[cfg(all(test, feature = "interleavings"))]
            Half::Fake(fake) => fake.try_write(slices),
        }
    }

    /// Has a task woken when the socket has room. `false` if it has some now.
    pub(crate) fn wakes(&self, task: &Waker) -> bool {
        self.poll_ready(&mut Context::from_waker(task)).is_pending()
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Half::Tcp(Some(half)) => half.as_ref().poll_write_ready(cx),
            Half::Unix(Some(half)) => half.as_ref().poll_write_ready(cx),
            Half::Tcp(None) | Half::Unix(None) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            #[cfg(all(test, feature = "interleavings"))]
            Half::Fake(fake) => fake.poll_ready(cx),
        }
    }

    fn shut(&self) -> io::Result<()> {
        match &self.0 {
            Half::Tcp(Some(half)) => SockRef::from(half.as_ref()).shutdown(Shutdown::Write),
            Half::Unix(Some(half)) => SockRef::from(half.as_ref()).shutdown(Shutdown::Write),
            Half::Tcp(None) | Half::Unix(None) => Ok(()),
            #[cfg(all(test, feature = "interleavings"))]
            Half::Fake(fake) => fake.shut(),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Dropped as they are, the halves would shut the writing side down before the socket is closed.
        match &mut self.0 {
            Half::Tcp(half) => drop(half.take().map(tcp::OwnedWriteHalf::forget)),
            Half::Unix(half) => drop(half.take().map(unix::OwnedWriteHalf::forget)),
            #[cfg(all(test, feature = "interleavings"))]
            Half::Fake(fake) => fake.close(),
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Plain<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl<R: Unpin> AsyncWrite for Plain<R> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.writer.poll_ready(cx))?;
            match self.writer.try_write(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.writer.shut())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Writes by `ready`, which notes that the socket is full where it hears of `WouldBlock`.
fn try_write(
    socket: &SockRef<'_>,
    slices: &[IoSlice<'_>],
    ready: impl FnOnce(&mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
) -> io::Result<usize> {
    let all: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut written = 0;
    let outcome = ready(&mut || {
        // Most of what is written is one piece, for which the kernel needn't be handed a list.
        written = match slices {
            [slice] => socket.send(slice)?,
            _ => socket.send_vectored(slices)?,
        };
        if written < all { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match outcome {
        Err(error) if written == 0 => Err(error),
        _ => Ok(written),
    }
}
