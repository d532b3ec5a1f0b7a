//! One connection: a task that reads, judges, hands to the cores, writes, and watches the clock.
//!
//! It owns the partly read frame and the partly written batch, so nothing is lost whichever of its sources is ready
//! first. It always reads: nothing that it does with a frame waits for another connection, and credit makes what it
//! puts into an outbox fit.

mod alarm;
mod buffer;
mod dispatch;
mod farewell;
mod rights;
mod throttle;

#[cfg(test)]
mod tests;

pub(crate) use buffer::{READ, put_batch_away, take_batch};
pub use farewell::LINGERING_MAX;
pub(crate) use farewell::{close, turn_away};

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use tieline_broker::FloodMeter;
use tieline_protocol::liveness::{Liveness, Pulse};
use tieline_protocol::outbox::Batch;
use tieline_protocol::session::ServerSession;
use tieline_protocol::{ClientId, Code, Decoder, Frame, Kind, Role, Time, Violation};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Seat;
use crate::hub::{ENDS_A_STEP, Hub, Touched};
use crate::peer::Peer;
use alarm::Alarm;
use throttle::Throttle;

/// What one connection may read and have judged before others have their turn, in bytes.
const TURN: usize = 128 * 1024;

/// What a frame counts as in a turn beside its length, in bytes: to judge and to route one takes as long as it takes to
/// move about so many. Else a turn of the smallest frames, 2,000 of which come with two reads, would last ten times as
/// long as one of bulk, and a flood of them would be felt by others.
const FRAME_COST: usize = 1024;

/// Slices in one vectored write: a turn's worth of small frames is copied into one, so few are needed.
pub(crate) const SLICES: usize = 16;

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum Over {
    /// Both sides said that they start nothing more, and nothing is under way.
    Ended,
    /// The client closed it, or it broke.
    Lost(io::ErrorKind),
    /// The client broke a rule, was too slow or too loud; it is told so before it is closed.
    Refused(Violation),
    /// The client gave it up with an error of its own.
    GivenUp(Code),
    /// The server ends at once.
    Stopped,
}

impl Over {
    /// For a client that comes when nothing is started any more.
    fn draining() -> Self {
        Self::Refused(Violation::new(Code::ShuttingDown, "the server is shutting down and starts nothing more"))
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("ended by both sides"),
            Self::Lost(kind) => write!(f, "lost: {kind}"),
            Self::Refused(violation) => write!(f, "refused as {}: {}", violation.code, violation.message),
            Self::GivenUp(code) => write!(f, "given up by the client: {code}"),
            Self::Stopped => f.write_str("the server ends at once"),
        }
    }
}

/// Serves one connection, which was accepted at `since`, until it is over.
///
/// The connection is made before the future and lies in it once: an `async fn` would keep the room of its arguments
/// beside it, in every task of thousands that idle.
pub(crate) fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    hub: Arc<Hub>,
    peer: Arc<Peer>,
    since: Time,
) -> impl Future<Output = ()> {
    let mut connection = Connection::new(io, hub, peer, since);
    async move {
        let over = std::future::poll_fn(|cx| connection.poll(cx)).await;
        let client = connection.session.client();
        tracing::debug!(connection = connection.peer.key.0, %client, %over, "connection over");
        std::future::poll_fn(|cx| connection.peer.poll_take_over(&mut connection.batch, cx)).await;
        if matches!(over, Over::Refused(_) | Over::Stopped) {
            connection.peer.claim_greeting(&mut connection.batch);
        }
        connection.leave();
        // Apart from the task, which would else be five times as large all its life for the sake of its end.
        Box::pin(connection.farewell(over)).await;
    }
}

struct Connection<S> {
    io: S,
    hub: Arc<Hub>,
    peer: Arc<Peer>,
    session: ServerSession,
    decoder: Decoder,
    buffer: BytesMut,
    /// The last turn ended with frames left in the buffer, as it seems.
    has_more: bool,
    batch: Batch,
    /// The length of the batch when it was claimed.
    claimed: usize,
    /// What was written may wait in TLS for the socket.
    unflushed: bool,
    liveness: Liveness,
    flood: FloodMeter,
    /// The id that the connection was given by its hello.
    client: Option<ClientId>,
    /// The shards that know this connection, a bit each.
    joined: u64,
    /// The connection's place among those of its token, if the server wants tokens.
    seat: Option<Seat>,
    /// The state of access by which the connection was judged last.
    judged: u64,
    /// Its token may receive less than before: it starts and takes nothing more.
    is_moving_on: bool,
    throttle: Throttle,
    touched: Touched,
    alarm: Alarm,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(io: S, hub: Arc<Hub>, peer: Arc<Peer>, since: Time) -> Self {
        let config = hub.config();
        let liveness = Liveness::new(config.liveness, since);
        let alarm = Alarm::new(hub.clock, liveness.next_tick());
        let mut decoder = Decoder::new(Role::Client);
        decoder.set_payload_max(config.limits.payload);
        Self {
            io,
            peer,
            session: ServerSession::new(),
            decoder,
            buffer: BytesMut::new(),
            has_more: false,
            batch: Batch::new(),
            claimed: 0,
            unflushed: false,
            liveness,
            flood: FloodMeter::new(config.flood),
            client: None,
            joined: 0,
            seat: None,
            judged: 0,
            is_moving_on: false,
            throttle: Throttle::new(since),
            touched: Touched::new(),
            alarm,
            hub,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if self.hub.is_stopped() {
            return Poll::Ready(Over::Stopped);
        }
        let now = self.hub.clock.now();
        match self.judge_again().and_then(|()| self.poll_both(now, cx)) {
            Ok(()) => {}
            Err(over) => return Poll::Ready(over),
        }
        if self.is_finished() {
            return Poll::Ready(Over::Ended);
        }
        // Whoever hasn't greeted by now has nothing running here, and would only hold up the end.
        if self.client.is_none() && self.peer.is_ended() {
            return Poll::Ready(Over::draining());
        }
        // A frame that has begun, or bytes that wait, may be due before what the timer was set to. What is due later is
        // left alone: most of it never comes to be.
        if self.next_alarm() < self.alarm.at() {
            self.set_alarm(now);
        }
        while self.alarm.is_due(now, cx) {
            // The timer may have come due since the poll began.
            let now = self.hub.clock.now();
            if self.throttle.is_over(now) {
                self.liveness.excuse(now);
                cx.waker().wake_by_ref();
            }
            if let Err(over) = self.tick(now) {
                return Poll::Ready(over);
            }
            self.set_alarm(now);
            if let Poll::Ready(Err(error)) = self.poll_write(now, cx) {
                return Poll::Ready(Over::Lost(error.kind()));
            }
        }
        // What has changed since it was looked at: whoever changed it may have found no waker here yet.
        if self.is_to_be_judged() || self.hub.is_stopped() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Writes and reads until neither goes on, or the turn is over. What was read may have brought something to write.
    fn poll_both(&mut self, now: Time, cx: &mut Context<'_>) -> Result<(), Over> {
        if !self.touched.is_empty() {
            // What the turn before has gathered.
            self.serve_touched(now);
        }
        let is_over = self.poll_turn(now, cx)?;
        if is_over || self.has_gathered() {
            // Behind all that are ready now.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// One turn; whether it ended before all was read.
    fn poll_turn(&mut self, now: Time, cx: &mut Context<'_>) -> Result<bool, Over> {
        let lost = |error: io::Error| Over::Lost(error.kind());
        let mut left = TURN;
        loop {
            let _ = self.poll_write(now, cx).map_err(lost)?;
            if left == 0 {
                return Ok(true);
            }
            if !self.has_more {
                match self.poll_read(now, cx).map_err(lost)? {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(0) => return Err(Over::Lost(io::ErrorKind::UnexpectedEof)),
                    Poll::Ready(read) => {
                        self.meter(now, read);
                        left = left.saturating_sub(read);
                    }
                }
            }
            let frames = self.take_in(now, left.div_ceil(FRAME_COST))?;
            left = left.saturating_sub(frames * FRAME_COST);
        }
    }

    fn poll_read(&mut self, now: Time, cx: &mut Context<'_>) -> Result<Poll<usize>, io::Error> {
        if self.throttle.is_on() {
            buffer::put_away(&mut self.buffer);
            return Ok(Poll::Pending);
        }
        let lacks = self.decoder.lacks(&self.buffer);
        buffer::make_room(&mut self.buffer, lacks);
        let mut room = (&mut self.buffer).limit(self.seat.as_ref().map_or(usize::MAX, throttle::read_limit));
        match tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut room)? {
            Poll::Ready(read) => {
                self.liveness.heard(now, read);
                Ok(Poll::Ready(read))
            }
            Poll::Pending => {
                buffer::put_away(&mut self.buffer);
                Ok(Poll::Pending)
            }
        }
    }

    /// Writes until the socket takes no more, or nothing is left. `Pending` also means the latter: the task is woken
    /// when something comes.
    fn poll_write(&mut self, now: Time, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.batch.is_empty() {
                if self.peer.is_quiet() {
                    return self.poll_flush(now, cx);
                }
                self.batch = take_batch();
                let since = self.peer.claim(now, &mut self.batch, cx);
                self.claimed = self.batch.len();
                if self.batch.is_empty() {
                    put_batch_away(std::mem::take(&mut self.batch));
                    return self.poll_flush(now, cx);
                }
                self.liveness.queued(since);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.batch.fill(&mut slices);
            let Poll::Ready(written) = Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..filled])? else {
                self.peer.full();
                return Poll::Pending;
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.batch.advance(written);
            self.unflushed = true;
            self.liveness.wrote(now, !self.batch.is_empty());
            if self.batch.is_empty() {
                put_batch_away(std::mem::take(&mut self.batch));
                self.written();
            }
        }
    }

    /// Sees to it that what was written reaches the socket: what TLS has encrypted may have found it full, and nothing
    /// that is written later would push it. Always `Pending`, unless it fails.
    fn poll_flush(&mut self, now: Time, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx)? {
                Poll::Ready(()) => {
                    self.unflushed = false;
                    self.liveness.wrote(now, false);
                }
                Poll::Pending => self.liveness.queued(now),
            }
        }
        Poll::Pending
    }

    /// A batch is written: memory comes free, and bodies that wait for memory may move on.
    fn written(&mut self) {
        let progress = self.peer.wrote(self.claimed);
        self.hub.progressed(progress, &mut self.touched);
        self.wake_touched();
    }

    /// When to look at the clock next.
    fn next_alarm(&self) -> Time {
        let tick = self.liveness.next_tick();
        self.throttle.until().map_or(tick, |until| until.min(tick))
    }

    fn set_alarm(&mut self, now: Time) {
        let at = self.next_alarm().max(now);
        self.alarm.set(self.hub.clock, at);
    }

    /// Looks at the clock. Called after a read that found nothing.
    fn tick(&mut self, now: Time) -> Result<(), Over> {
        let refuse = |code, message: &'static str| Err(Over::Refused(Violation::new(code, message)));
        if self.throttle.is_on() {
            // Nothing is read, so nothing is known of the peer.
            self.liveness.excuse(now);
            self.sign(now);
        }
        match self.liveness.tick(now) {
            Pulse::Fine => Ok(()),
            Pulse::Ping(nonce) => {
                self.peer.with(|o| o.first(ping(nonce)));
                Ok(())
            }
            Pulse::NoHello => {
                refuse(Code::InvalidFrame, "hello was not complete in time: it must be, 5 s after connecting")
            }
            Pulse::Silent => Err(Over::Lost(io::ErrorKind::TimedOut)),
            Pulse::Stalled => refuse(Code::SlowConsumer, "no byte was taken for too long while some waited"),
            Pulse::Crawling => refuse(Code::InvalidFrame, "a frame that had begun did not come on"),
        }
    }

    /// Whether both sides have said that they start nothing more, nothing is under way, and all is written.
    fn is_finished(&self) -> bool {
        let is_ended = self.session.is_ended() && self.peer.is_ended();
        if !is_ended || self.has_more || !self.batch.is_empty() || !self.peer.is_all_written() {
            return false;
        }
        // A step may have put the last frame and not have noted yet that nothing is under way any more, and it needn't wake
        // this task behind both; another may have noted that and have the frame still to put. So those that run are waited
        // for before each look.
        self.wait_for_steps();
        if !self.peer.account.is_quiet() {
            return false;
        }
        self.wait_for_steps();
        self.peer.is_all_written()
    }

    /// Waits for the steps that run now, of the cores that know this connection.
    fn wait_for_steps(&self) {
        for shard in (0..self.hub.shards()).filter(|shard| self.joined & (1 << shard) != 0) {
            self.hub.look(shard, |_| ());
        }
    }

    /// Tells the cores that the connection is gone, and gives everything back.
    fn leave(&mut self) {
        let (now, key, joined) = (self.hub.clock.now(), self.peer.key, self.joined);
        for shard in (0..self.hub.shards()).filter(|shard| joined & (1 << shard) != 0) {
            self.hub.step(shard, &mut self.touched, |core| core.end_connection(key));
            while self.hub.step(shard, &mut self.touched, |core| core.abandon_some(now, key, ENDS_A_STEP)) {
                self.wake_touched();
            }
            self.hub.step(shard, &mut self.touched, |core| core.disconnect(now, key));
        }
        self.wake_touched();
        self.hub.leave(&self.peer, self.client);
        self.seat = None;
    }
}

fn ping(nonce: u64) -> Frame {
    Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new())
}
