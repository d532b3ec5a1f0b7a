//! The end of a connection: the client is told why, and given the time to read it. Mirrors `connection/farewell.rs` of
//! the server.

use bytes::BytesMut;
use tieline_protocol::limits::{LINGER, LINGER_BYTES};
use tieline_protocol::outbox::{Batch, Outbox};
use tieline_protocol::{Code, Frame, Kind, Time, Violation};

use super::connection::{Over, READ, make_room};
use crate::link::{End, LinkId, Moved};
use crate::sim::Sim;
use crate::stats::Seen;

/// A connection that says its last words, and reads until its client has heard them.
#[derive(Debug)]
pub(super) struct Farewell {
    link: LinkId,
    batch: Batch,
    last_words: Option<Violation>,
    is_shut: bool,
    left: u64,
    until: Time,
}

impl Farewell {
    /// What is to be said; `None` where nobody reads it.
    pub(super) fn new(link: LinkId, batch: Batch, over: Over, sim: &mut Sim) -> Option<Self> {
        let last_words = match over {
            Over::Refused(violation) => {
                if sim.ledger.rogues.contains(&link) {
                    sim.stats.see(Seen::RogueRefused);
                }
                Some(violation)
            }
            Over::Stopped => Some(Violation::new(Code::ShuttingDown, "the server is shutting down at once")),
            Over::Ended => {
                sim.stats.see(Seen::LeftInGoodOrder);
                None
            }
            Over::Lost | Over::GivenUp => return None,
        };
        let until = sim.now + LINGER;
        sim.set_alarm(link, End::Server, until);
        // Nobody else wakes the task any more but its alarm and its socket.
        sim.wake(link, End::Server);
        Some(Self { link, batch, last_words, is_shut: false, left: LINGER_BYTES, until })
    }

    /// The task runs; whether it is done, and the socket is to be closed.
    pub(super) fn poll(&mut self, sim: &mut Sim) -> bool {
        if sim.now >= self.until {
            return true;
        }
        // What was half written comes first, or the error would stand in the middle of another frame.
        loop {
            while !self.batch.is_empty() {
                match sim.write(self.link, End::Server, &mut self.batch) {
                    Moved::Bytes(_) => {}
                    Moved::Pending => return false,
                    Moved::Broken => return true,
                }
            }
            let Some(violation) = self.last_words.take() else { break };
            let mut outbox = Outbox::<()>::new();
            let header = Kind::ErrorConnection.header();
            outbox.first(Frame::new(Kind::ErrorConnection, header, violation.fault().encode()));
            outbox.claim(&mut self.batch);
        }
        if !std::mem::replace(&mut self.is_shut, true) {
            sim.shut(self.link, End::Server);
        }
        self.read_out(sim)
    }

    /// Reads and throws away what still comes.
    fn read_out(&mut self, sim: &mut Sim) -> bool {
        let mut waste = BytesMut::new();
        while self.left > 0 {
            waste.clear();
            make_room(&mut waste, 0);
            match sim.read(self.link, End::Server, &mut waste, READ) {
                Moved::Pending => return false,
                Moved::Broken | Moved::Bytes(0) => return true,
                Moved::Bytes(read) => self.left = self.left.saturating_sub(read as u64),
            }
        }
        true
    }
}
