//! The healed end of a run: everybody reads, grants, sends and answers, and everything must end without a timer.

use super::{CHANNELS, Op, Play};
use crate::world::frames::*;

/// What each side still sends at the least, in bytes: more than an initial window, so that grants must come through.
const MORE: u64 = 40 * KIB as u64;

impl Play {
    /// Lets everything come to its good end.
    pub(super) fn heal(&mut self) {
        let conns: Vec<_> = self.clients.iter().map(|client| client.conn).collect();
        for conn in conns {
            self.world.resume(conn);
        }
        for index in 0..self.clients.len() {
            for channel in CHANNELS {
                if let Some(frame) = self.clients[index].receive(channel, 1000) {
                    self.write(index, frame);
                }
                let count = self.clients[index].receives.get_mut(&channel).and_then(Option::as_mut);
                if let Some(count) = count {
                    *count += 1000;
                    let count = *count;
                    self.write(index, raise(channel, count));
                }
            }
        }
        for _ in 0..1000 {
            self.world.settle();
            self.look();
            let mut moved = false;
            for index in 0..self.clients.len() {
                moved |= self.senders_go_on(index);
                moved |= self.receivers_go_on(index);
            }
            if !moved {
                break;
            }
        }
        let draining = self.world.core.is_draining();
        let anybody_receives = self.clients.iter().any(|client| !client.ended);
        for client in &self.clients {
            assert!(client.takes.is_empty(), "a receiver can't get on: {:?}", client.takes);
            let stuck = !client.sends.is_empty() && (anybody_receives || draining);
            assert!(!stuck, "a sender can't get on: {:?} {:?}", client.sends, self.world.core.counts());
        }
    }

    fn write(&mut self, index: usize, frame: tieline_protocol::Frame) {
        let conn = self.clients[index].conn;
        self.world.try_send(conn, frame).expect("a conforming client isn't thrown out");
    }

    fn senders_go_on(&mut self, index: usize) -> bool {
        let mut moved = false;
        let ids: Vec<_> = self.clients[index].sends.keys().copied().collect();
        for (pick, id) in ids.iter().enumerate() {
            let sending = &self.clients[index].sends[id];
            let ahead = sending.got + 64 * KIB as u64;
            if ahead > sending.granted {
                moved = true;
                let op = Op::GrantResponse { client: index, pick, ahead: 64 * KIB };
                self.act(&op);
            }
            let sending = &self.clients[index].sends[id];
            let credit = sending.body.credit();
            if !sending.closed && (credit > 0 || sending.body.sent() >= MORE) {
                moved = true;
                let last = sending.body.sent() >= MORE;
                self.act(&Op::Chunk { client: index, pick, len: 20 * KIB, last });
            }
        }
        moved
    }

    fn receivers_go_on(&mut self, index: usize) -> bool {
        let mut moved = false;
        let ids: Vec<_> = self.clients[index].takes.keys().copied().collect();
        for id in ids {
            let pick = self.clients[index].takes.keys().position(|other| *other == id).unwrap();
            let taking = &self.clients[index].takes[&id];
            if !taking.closed && taking.got + 64 * KIB as u64 > taking.granted {
                moved = true;
                self.act(&Op::GrantRequest { client: index, pick, ahead: 64 * KIB });
            }
            let taking = &self.clients[index].takes[&id];
            let sent = taking.response.map_or(0, |response| response.sent());
            let credit = taking.response.is_none_or(|response| response.credit() > 0);
            if credit || sent >= MORE {
                moved = true;
                let last = taking.closed && sent >= MORE;
                if sent >= MORE && !last {
                    continue;
                }
                self.act(&Op::Respond { client: index, pick, metadata: 0, len: 20 * KIB, last });
            }
        }
        moved
    }
}
