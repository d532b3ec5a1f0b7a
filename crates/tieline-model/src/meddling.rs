//! Everybody writes every frame about every exchange in which they have no part, and nothing may change.

use std::hash::Hasher;

use bytes::Bytes;
use tieline_protocol::{Code, ExchangeId, Frame, Kind};

use crate::action::{Conn, Id};
use crate::frames::{UNIT, error, exchange_id, frame, key, start, words};
use crate::rules::{Broken, hold};
use crate::world::{World, hasher};

impl World<'_> {
    /// See the module.
    pub(crate) fn meddle(&mut self) -> Result<(), Broken> {
        let before = self.core_digest();
        let targets: Vec<_> = (0..self.bound.channels)
            .flat_map(|channel| self.ledger.requests.keys().map(move |id| (*id, exchange_id(*id, channel))))
            .collect();
        let mut written = Vec::new();
        for conn in self.conns() {
            for (id, wire) in &targets {
                for frame in self.none_of_its_business(conn, *id, *wire) {
                    let result = match frame.kind {
                        Kind::ChunkRequest | Kind::EndRequest | Kind::ErrorRequest | Kind::AckResponse => {
                            self.core.from_opener(self.now(), key(conn), &frame)
                        }
                        _ => self.core.from_receiver(self.now(), key(conn), &frame),
                    };
                    hold!(OwnersOnly, result.is_ok(), "{conn} learns something by {}", words(&frame));
                    written.push((conn, frame));
                }
            }
        }
        hold!(
            OwnersOnly,
            self.core_digest() == before && self.core.take_touched().next().is_none(),
            "something changed by one of these:\n{}",
            written.iter().map(|(conn, frame)| format!("    {conn}: {}", words(frame))).collect::<Vec<_>>().join("\n")
        );
        Ok(())
    }

    fn core_digest(&self) -> u64 {
        let mut to = hasher();
        self.core.digest(&mut to);
        to.finish()
    }

    /// Frames of an exchange that aren't a connection's to send: as the sender it isn't, or of a request that is over;
    /// as a receiver that it isn't, isn't yet, or is no more.
    fn none_of_its_business(&self, conn: Conn, id: Id, wire: ExchangeId) -> Vec<Frame> {
        let request = self.ledger.get(id);
        let real = request.filter(|request| wire == exchange_id(id, self.plan(request).channel));
        let mut frames = Vec::new();
        let sends = id.sender == conn && real.is_some_and(|request| request.outcome.is_none());
        if !sends {
            frames.extend([
                frame(Kind::ChunkRequest, wire, 0, vec![1].into()),
                frame(Kind::EndRequest, wire, 0, Bytes::new()),
                error(Kind::ErrorRequest, wire, Code::Cancelled),
                frame(Kind::AckResponse, wire, 2 * UNIT, Bytes::new()),
            ]);
        }
        let takes = real.is_some_and(|request| request.hand_outs.iter().any(|h| h.receiver == conn && h.is_live()));
        if !takes {
            frames.extend([
                frame(Kind::AckRequest, wire, 2 * UNIT, Bytes::new()),
                start(Kind::StartResponse, wire, 0, &[]),
                frame(Kind::ChunkResponse, wire, 0, vec![1].into()),
                frame(Kind::EndResponse, wire, 0, Bytes::new()),
                error(Kind::ErrorResponse, wire, Code::Returned),
                error(Kind::ErrorResponse, wire, Code::Application),
            ]);
        }
        frames
    }
}
