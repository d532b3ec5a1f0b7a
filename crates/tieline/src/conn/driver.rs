//! The one task of a connection: it owns the socket, reads, writes and keeps time.
//!
//! The read side never waits: what comes goes into queues that credit bounds, so reading goes on whatever programs
//! and the write side do. Partial reads and writes live in the driver, so nothing is lost between polls.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::liveness::{Liveness, LivenessLimits, Pulse};
use tieline_protocol::outbox::{Batch, Pace};
use tieline_protocol::spare::Spares;
use tieline_protocol::{Code, Decoder, Fault, Frame, Kind, Role, Time, Violation, limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Sleep, sleep_until, timeout};
use tracing::{debug, warn};

use super::Conn;
use super::clock::Clock;
use super::effects::{Effects, register};
use super::gather::{Gather, go_last};
use super::incoming::Fatal;
use super::state::{Loss, State};
use crate::tls::{Speech, refusal};
use crate::trouble::TlsTrouble;

/// Bytes that a read has room for: two full frames, so that few bodies are cut by the buffer's end.
const READ_ROOM: usize = 2 * (64 * 1024 + HEADER_LEN);

/// Less room than this isn't worth a read of its own, in bytes.
const READ_ROOM_MIN: usize = 8 * 1024;

/// Buffers that come back when the program has taken what was read into them: 1 MiB for all connections together.
static SPARES: Mutex<Spares> = Mutex::new(Spares::new(READ_ROOM, 8));

/// Room for so many bytes of small frames stays with a connection that rests.
const BATCH_KEPT: usize = 8 * 1024;

/// Rounds of reading and writing before other tasks get their turn.
const ROUNDS: usize = 16;

/// Slices of one vectored write.
const SLICES: usize = 32;

/// Why the driver stopped.
#[derive(Debug)]
enum Cause {
    /// Both sides said `end` and nothing was open.
    Finished,
    /// The socket failed, or the server fell silent.
    Lost(String),
    /// The server doesn't take this client over TLS.
    NoTls(TlsTrouble, String),
    /// The server broke a rule.
    Broke(Violation),
    /// The server gave the connection up.
    Told(Fault),
    /// The program wants no more of it.
    Killed,
}

impl From<Fatal> for Cause {
    fn from(fatal: Fatal) -> Self {
        match fatal {
            Fatal::Broke(violation) => Self::Broke(violation),
            Fatal::Told(fault) => Self::Told(fault),
        }
    }
}

/// Carries a connection until it is over.
pub(crate) async fn drive<IO: AsyncRead + AsyncWrite + Unpin>(io: IO, conn: Arc<Conn>) {
    let mut driver = Driver::new(io, conn);
    let cause = poll_fn(|cx| driver.poll(cx)).await;
    driver.end(cause).await;
}

struct Driver<IO> {
    io: IO,
    conn: Arc<Conn>,
    decoder: Decoder,
    read: BytesMut,
    batch: Batch,
    /// The length of the batch when it was claimed.
    claimed: usize,
    pace: Pace,
    gather: Gather,
    must_flush: bool,
    liveness: Liveness,
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    greeted: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    fn new(io: IO, conn: Arc<Conn>) -> Self {
        let clock = Clock::start();
        let liveness = Liveness::new(LivenessLimits::default(), Time::ZERO);
        let sleep = Box::pin(sleep_until(clock.at(liveness.next_tick())));
        Self {
            io,
            conn,
            decoder: Decoder::new(Role::Server),
            read: BytesMut::new(),
            batch: Batch::new(),
            claimed: 0,
            pace: Pace::default(),
            gather: Gather::default(),
            must_flush: false,
            liveness,
            clock,
            sleep,
            greeted: false,
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        match self.poll_rounds(cx) {
            Ok(poll) => poll.map(|()| Cause::Finished),
            Err(cause) => Poll::Ready(cause),
        }
    }

    fn poll_rounds(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Cause> {
        for _ in 0..ROUNDS {
            let has_read = self.read_some(cx)?;
            let has_written = match self.write_some(cx)? {
                Wrote::Some => true,
                Wrote::Nothing => false,
                Wrote::Later => {
                    go_last(cx);
                    return Ok(Poll::Pending);
                }
                Wrote::All => return Ok(Poll::Ready(())),
            };
            if !has_read && !has_written && !self.keep_time(cx)? {
                return Ok(Poll::Pending);
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    // Reading

    /// One read and all that it brought; whether it brought anything.
    fn read_some(&mut self, cx: &mut Context<'_>) -> Result<bool, Cause> {
        let lacks = self.decoder.lacks(&self.read);
        self.make_room(lacks.max(READ_ROOM_MIN));
        match tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.read) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(self.end_of_stream()),
            Poll::Ready(Err(error)) => Err(self.cannot_read(&error)),
            Poll::Ready(Ok(bytes)) => {
                let now = self.now();
                self.liveness.heard(now, bytes);
                self.decode()?;
                self.liveness.frame(now, self.decoder.is_within_frame(&self.read));
                Ok(true)
            }
        }
    }

    /// Makes room for the next read.
    fn make_room(&mut self, least: usize) {
        let held = self.read.len();
        if self.read.capacity() - held >= least {
            return;
        }
        let room = READ_ROOM.saturating_sub(held).max(least);
        if held + room > READ_ROOM {
            self.read.reserve(room);
        } else if !self.read.try_reclaim(room) {
            let mut next = SPARES.lock().unwrap_or_else(PoisonError::into_inner).lend();
            next.extend_from_slice(&self.read);
            self.read = next;
        }
    }

    /// All complete frames of the buffer, in one step.
    fn decode(&mut self) -> Result<(), Fatal> {
        let Self { conn, decoder, read, .. } = self;
        conn.step(|state, fx| {
            // What this puts into the outbox needs no wake-up: a write follows the read.
            state.driver_idle = false;
            while let Some(frame) = decoder.next(read)? {
                let is_welcome = frame.kind == Kind::HelloAnswer;
                state.take_in(frame, fx)?;
                if is_welcome {
                    decoder.set_payload_max(state.limits.payload);
                }
            }
            Ok::<(), Fatal>(())
        })?;
        if !self.greeted {
            self.note_welcome();
        }
        Ok(())
    }

    fn note_welcome(&mut self) {
        if let Some(ping) = self.conn.step(|state, _| state.session.is_greeted().then_some(state.limits.ping)) {
            self.greeted = true;
            self.liveness.hello_came();
            self.liveness.set_ping_after(ping);
            self.set_alarm();
        }
    }

    fn cannot_read(&self, error: &io::Error) -> Cause {
        match refusal(error, Speech::Bus) {
            // The server judges a client's certificate when the handshake is complete here already.
            Some((trouble, reason)) if !self.greeted => Cause::NoTls(trouble, reason),
            // So TLS calls an end without its goodbye. Nothing rests on that: what lacks an end of its own is cut off.
            None if error.kind() == io::ErrorKind::UnexpectedEof => self.end_of_stream(),
            _ => Cause::Lost(format!("reading failed: {error}")),
        }
    }

    fn end_of_stream(&self) -> Cause {
        let (greeted, finished) = self.conn.step(|state, _| (state.session.is_greeted(), state.is_finished()));
        if finished && self.batch.is_empty() {
            Cause::Finished
        } else if greeted {
            Cause::Lost("the server closed it".to_owned())
        } else {
            Cause::Lost("the server closed it without a greeting; is it a Tieline server?".to_owned())
        }
    }

    // Writing

    /// Writes once, claiming frames if none are left of the last claim.
    fn write_some(&mut self, cx: &mut Context<'_>) -> Result<Wrote, Cause> {
        if self.batch.is_empty() {
            match self.claim(cx)? {
                Claim::Some => {}
                Claim::Later => return Ok(Wrote::Later),
                Claim::Nothing => return self.flush(cx).map(|_| Wrote::Nothing),
                Claim::Finished => {
                    return self.flush(cx).map(|flushed| if flushed { Wrote::All } else { Wrote::Nothing });
                }
            }
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = self.batch.fill(&mut slices);
        let io = Pin::new(&mut self.io);
        let wrote = if io.is_write_vectored() {
            io.poll_write_vectored(cx, &slices[..filled])
        } else {
            io.poll_write(cx, &slices[0])
        };
        match wrote {
            Poll::Pending => {
                self.pace.full();
                Ok(Wrote::Nothing)
            }
            Poll::Ready(Ok(0)) => Err(Cause::Lost("the socket takes nothing more".to_owned())),
            Poll::Ready(Err(error)) => Err(Cause::Lost(format!("writing failed: {error}"))),
            Poll::Ready(Ok(bytes)) => {
                self.batch.advance(bytes);
                self.must_flush = true;
                let now = self.now();
                self.liveness.wrote(now, !self.batch.is_empty());
                if self.batch.is_empty() {
                    self.pace.took(self.claimed);
                    self.conn.step(State::written);
                }
                Ok(Wrote::Some)
            }
        }
    }

    /// Takes frames from the outbox, or says why not.
    fn claim(&mut self, cx: &mut Context<'_>) -> Result<Claim, Cause> {
        let Self { conn, batch, gather, pace, .. } = self;
        let claim = conn.step(|state, _| {
            register(&mut state.driver, cx);
            if state.killed {
                return Err(Cause::Killed);
            }
            state.driver_idle = false;
            if gather.begin(state) {
                return Ok(Claim::Later);
            }
            state.outbox.claim_up_to(pace.limit(), batch);
            if !batch.is_empty() {
                return Ok(Claim::Some);
            }
            gather.rest();
            state.driver_idle = true;
            Ok(if state.is_finished() { Claim::Finished } else { Claim::Nothing })
        })?;
        match claim {
            Claim::Some => {
                self.claimed = self.batch.len();
                let now = self.now();
                self.liveness.queued(now);
            }
            Claim::Nothing | Claim::Finished => self.batch.release_above(BATCH_KEPT),
            Claim::Later => {}
        }
        Ok(claim)
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool, Cause> {
        if self.must_flush {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => {
                    // TLS holds bytes that the socket doesn't take.
                    let now = self.now();
                    self.liveness.queued(now);
                    return Ok(false);
                }
                Poll::Ready(Err(error)) => return Err(Cause::Lost(format!("writing failed: {error}"))),
                Poll::Ready(Ok(())) => {
                    self.must_flush = false;
                    let now = self.now();
                    self.liveness.wrote(now, false);
                }
            }
        }
        Ok(true)
    }

    // Time

    /// Looks at the clocks if it is time; whether there is something to write for it. Called when a read has just
    /// found nothing.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<bool, Cause> {
        if !self.batch.is_empty() {
            // Nothing was claimed in this round: the socket takes nothing. The program may want the end all the same.
            let killed = self.conn.step(|state, _| {
                register(&mut state.driver, cx);
                state.killed
            });
            if killed {
                return Err(Cause::Killed);
            }
        }
        let mut woke = false;
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = self.now();
            match self.liveness.tick(now) {
                Pulse::Fine => {}
                Pulse::Ping(nonce) => {
                    let ping = Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new());
                    self.conn.step(|state, _| state.outbox.first(ping));
                    woke = true;
                }
                pulse => return Err(Cause::Lost(given_up(pulse))),
            }
            self.set_alarm();
        }
        Ok(woke)
    }

    fn set_alarm(&mut self) {
        self.sleep.as_mut().reset(self.clock.at(self.liveness.next_tick()));
    }

    // The end

    async fn end(mut self, cause: Cause) {
        let (loss, farewell) = match cause {
            Cause::Finished => (Loss::Lost("it was closed in good order".to_owned()), Farewell::Written),
            Cause::Killed => (Loss::Lost("the client was closed".to_owned()), Farewell::None),
            Cause::Lost(reason) => (Loss::Lost(reason), Farewell::None),
            Cause::NoTls(trouble, reason) => (Loss::NoTls(trouble, reason), Farewell::None),
            Cause::Told(fault) if !self.greeted => (Loss::Refused(fault), Farewell::None),
            Cause::Told(fault) => {
                (Loss::Lost(format!("the server gave it up: {} ({})", fault.message, fault.code)), Farewell::None)
            }
            Cause::Broke(violation) if !self.greeted && violation.code == Code::UnsupportedVersion => {
                (Loss::Refused(stranger(&violation)), Farewell::Error(violation))
            }
            Cause::Broke(violation) => {
                warn!(%violation.message, "the server broke the protocol");
                let reason = format!("the server broke the protocol: {}", violation.message);
                (Loss::Lost(reason), Farewell::Error(violation))
            }
        };
        self.conn.step(|state, fx| state.lose(loss, fx));
        let patience = match farewell {
            // Responses may be among what the server has yet to read.
            Farewell::Written => limits::SILENCE_MAX,
            // Whoever waits for the connection's end doesn't wait for what is left: a second for the last words.
            Farewell::Error(_) | Farewell::None => limits::LINGER,
        };
        if !matches!(timeout(patience, self.last_words(farewell)).await, Ok(Ok(()))) {
            debug!("the connection ended without its last words");
        }
    }

    /// Finishes the frame that was begun, says why, and shuts down.
    async fn last_words(&mut self, farewell: Farewell) -> io::Result<()> {
        match farewell {
            Farewell::None => return self.io.shutdown().await,
            Farewell::Written => {}
            Farewell::Error(violation) => {
                self.io.write_all(&self.batch.drain()).await?;
                let header = Kind::ErrorConnection.header();
                let frame = Frame::new(Kind::ErrorConnection, header, violation.fault().encode());
                self.io.write_all(&frame.to_bytes()).await?;
            }
        }
        self.io.shutdown().await?;
        // A socket that is closed with unread bytes, or to which more is sent, resets the connection; and that destroys
        // what the server hasn't read yet.
        let mut thrown = vec![0; READ_ROOM_MIN];
        while self.io.read(&mut thrown).await? > 0 {}
        Ok(())
    }
}

/// What must still reach the server when a connection is over.
enum Farewell {
    /// Nothing.
    None,
    /// What was written last.
    Written,
    /// Why it is over.
    Error(Violation),
}

/// What an outbox had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Claim {
    /// Frames, which are in the batch.
    Some,
    /// Frames, and others may join them before they are written.
    Later,
    Nothing,
    /// Nothing, and the connection is finished.
    Finished,
}

enum Wrote {
    /// The socket took bytes.
    Some,
    /// There was nothing to write, or the socket took nothing.
    Nothing,
    /// There is something to write, when the others have had their turn.
    Later,
    /// The connection is finished, and all is written.
    All,
}

impl State {
    /// The socket took all that was claimed.
    fn written(&mut self, fx: &mut Effects) {
        self.outbox.written();
        for (id, way) in self.outbox.take_progress() {
            self.progressed(id, way, fx);
        }
    }
}

/// Whoever answers in place of a server: to ask again would end the same way.
fn stranger(violation: &Violation) -> Fault {
    // The first byte of "HTTP/1.1".
    let is_http = violation.message.starts_with(&format!("version {} ", b'H'));
    let words = if is_http {
        "it speaks HTTP there, and the bus has an address of its own".to_owned()
    } else {
        format!("no Tieline server answers there, or one of another version: {}", violation.message)
    };
    Fault::because(Code::UnsupportedVersion, words)
}

/// Why a peer was given up, for people.
fn given_up(pulse: Pulse) -> String {
    let seconds = |span: Duration| span.as_secs();
    match pulse {
        Pulse::NoHello => format!("the server did not greet within {} s", seconds(limits::HELLO_WITHIN)),
        Pulse::Stalled => format!("the server took no byte for {} s", seconds(limits::SILENCE_MAX)),
        Pulse::Crawling => format!("a frame of the server did not come on for {} s", seconds(limits::FRAME_WITHIN)),
        Pulse::Silent | Pulse::Fine | Pulse::Ping(_) => {
            format!("nothing was heard of the server for {} s", seconds(limits::SILENCE_MAX))
        }
    }
}
