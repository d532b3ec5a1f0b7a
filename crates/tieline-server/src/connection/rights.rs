//! What a connection may do: its hello is judged by the server's tokens, each of its starts, and all of it again when
//! the tokens change.

use tieline_protocol::session::Hello;
use tieline_protocol::{Code, Fault, Frame, Kind, Time};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Over};
use crate::access::{Seat, forbids};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Judges a hello, before anything that it says is believed.
    pub(super) fn admit(&mut self, hello: &Hello, now: Time) -> Result<Option<Seat>, Over> {
        let access = &self.hub.access;
        // Noted before the look, so that a change behind it is seen.
        self.judged = access.generation();
        access.admit(hello, self.peer.source, self.hub.config().wrong_tokens, now).map_err(Over::Refused)
    }

    /// The connection is greeted under a token, or none was asked for.
    pub(super) fn sit(&mut self, seat: Option<Seat>) {
        if let Some(seat) = &seat {
            self.peer.account.belongs_to(seat.principal().clone());
            tracing::debug!(connection = self.peer.key.0, token = seat.rule().name, "connected");
        }
        self.seat = seat;
    }

    /// Why a start is refused, if it is for want of rights.
    pub(super) fn forbids(&self, frame: &Frame) -> Option<Fault> {
        if !matches!(frame.kind, Kind::StartRequest | Kind::StartReceive) {
            return None;
        }
        let forbidden = self.seat.as_ref().and_then(|seat| forbids(seat, frame));
        forbidden.or_else(|| self.is_moving_on.then(|| Fault::new(Code::ShuttingDown)))
    }

    /// Whether rights may have changed since they were looked at.
    pub(super) fn is_to_be_judged(&self) -> bool {
        self.client.is_some() && self.judged != self.hub.access.generation()
    }

    /// Looks at the rights again, if they may have changed.
    pub(super) fn judge_again(&mut self) -> Result<(), Over> {
        if !self.is_to_be_judged() {
            return Ok(());
        }
        self.judged = self.hub.access.generation();
        self.hub.access.judge_again(self.seat.as_ref()).map_err(Over::Refused)?;
        if self.seat.as_mut().is_some_and(Seat::take_narrowed) {
            self.move_on();
        }
        Ok(())
    }

    /// Takes no more on this connection, as in a drain of its own. What runs goes on; the client connects anew.
    fn move_on(&mut self) {
        self.is_moving_on = true;
        let key = self.peer.key;
        for shard in (0..self.hub.shards()).filter(|shard| self.joined & (1 << shard) != 0) {
            self.hub.step(shard, &mut self.touched, |core| core.end_connection(key));
        }
        self.peer.end();
        self.wake_touched();
    }
}
