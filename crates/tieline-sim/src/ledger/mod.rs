//! The books of whoever sees everything: what each program wrote and saw of each request. What must hold for clients
//! whatever happens is asserted here; a broken promise is a panic, which ends the run of the seed.

mod receiver;
mod sender;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tieline_broker::{Progress, Standing};
use tieline_protocol::{ChannelId, Code, ExchangeId, Metadata, Time};

use crate::cells::{Blow, Stage};
use crate::link::LinkId;
use crate::sim::Sim;

/// How a hand-out ended for its receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// It closed the response, with so many bytes.
    Closed(u64),
    /// Its program failed.
    Failed,
    /// It gave the request back.
    Returned,
    /// It was told that the exchange is over.
    Told(Code),
}

/// How a request ended for its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The response is complete.
    Success,
    /// An error came.
    Failed(Code, Unstarted),
    /// The connection was lost.
    Lost(Unstarted),
}

/// Whether it is certain that no receiver's program saw any of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unstarted {
    Certain,
    Unknown,
}

/// A request in the eyes of a receiver that got its start.
#[derive(Debug)]
pub(crate) struct HandOut {
    pub(crate) receiver: LinkId,
    /// Bytes of the request that it got.
    pub(crate) got: u64,
    pub(crate) closed: bool,
    /// Bytes of the response that it wrote, once it has started one.
    pub(crate) response: Option<u64>,
    pub(crate) response_metadata: Metadata,
    pub(crate) trailer: Bytes,
    pub(crate) ended: Option<Ended>,
}

/// A request in the eyes of its sender.
// The flags are independent of each other.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) link: LinkId,
    pub(crate) idempotent: bool,
    pub(crate) no_wait: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) deadline: Duration,
    pub(crate) metadata: Metadata,
    pub(crate) opened: Time,
    /// When the server took its start in.
    pub(crate) arrived: Option<Time>,
    /// Bytes of it that were written.
    pub(crate) sent: u64,
    pub(crate) closed: bool,
    pub(crate) trailer: Bytes,
    /// The sender gave it up with this code.
    pub(crate) given_up: Option<Code>,
    /// Bytes of the response that it got, once that has started.
    pub(crate) response: Option<u64>,
    /// Who answers.
    pub(crate) by: Option<LinkId>,
    pub(crate) outcome: Option<Outcome>,
    /// It ended, by cancel or deadline, while it was in a receiver's outbox and nothing of it had left.
    pub(crate) ended_inside: bool,
    /// It ended so in the hands of this link. Its start has left there, or will if it can't be taken back; whether it
    /// arrives, the server can't know.
    pub(crate) handed_to: Option<LinkId>,
    /// Its start had left to a receiver that was lost then; whether it arrived there, the server can't know, whoever gets
    /// it next.
    pub(crate) lost_in_hand: bool,
    /// How often the server was told that it is returned, by whoever had it in hand.
    pub(crate) returns: usize,
    pub(crate) hand_outs: Vec<HandOut>,
}

/// A request whose response is closed at the server while its body still came, until its sender knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Early {
    pub(crate) receiver: LinkId,
    pub(crate) opener: LinkId,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) records: BTreeMap<ExchangeId, Record>,
    pub(crate) early: BTreeMap<ExchangeId, Early>,
    /// Links whose connection is over for the server.
    pub(crate) lost_by_server: BTreeSet<LinkId>,
    /// Links whose connection is over for the client.
    pub(crate) lost_by_client: BTreeSet<LinkId>,
    /// Links of clients that break rules on purpose.
    pub(crate) rogues: BTreeSet<LinkId>,
    /// Links of connections on which the server drains, or drained.
    pub(crate) drained: BTreeSet<LinkId>,
    /// How long processes stood still, in all.
    pub(crate) paused: Duration,
}

impl Sim {
    /// A request's record; every frame of an exchange is of one that was opened.
    #[track_caller]
    pub(crate) fn record(&mut self, id: ExchangeId) -> &mut Record {
        let Some(record) = self.ledger.records.get_mut(&id) else { panic!("{id:?} was never opened") };
        record
    }

    /// The server took in the start of a request.
    pub(crate) fn note_arrival(&mut self, id: ExchangeId) {
        let now = self.now;
        // One that breaks a rule needn't be in the books.
        let Some(record) = self.ledger.records.get_mut(&id) else { return };
        record.arrived.get_or_insert(now);
        assert!(
            record.outcome != Some(Outcome::Lost(Unstarted::Certain)),
            "{id:?} was called unstarted, and its start came to the server"
        );
    }

    /// The connection is over for the server: what it had in hand may go elsewhere.
    pub(crate) fn note_server_lost(&mut self, link: LinkId) {
        self.ledger.lost_by_server.insert(link);
    }

    /// A state of an exchange is met by a blow.
    pub(crate) fn hit(&mut self, standing: &Standing, blow: Blow) {
        self.stats.hit(Stage::of(standing), blow);
        let no_wait = self.ledger.records.get(&standing.id).is_some_and(|record| record.no_wait);
        assert!(!no_wait || standing.progress != Progress::Waiting, "{:?} may not wait, and does", standing.id);
    }

    /// An exchange, which was handed out to `receiver` or to nobody, is about to be ended by its sender, or by its
    /// deadline.
    pub(crate) fn note_blow(&mut self, standing: &Standing, receiver: Option<LinkId>, blow: Blow) {
        self.hit(standing, blow);
        let Some(record) = self.ledger.records.get_mut(&standing.id) else { return };
        record.ended_inside |= standing.progress == Progress::HandedInside;
        record.handed_to = receiver;
    }

    /// An exchange is about to lose the receiver that it was handed out to.
    pub(crate) fn note_receiver_death(&mut self, standing: &Standing) {
        self.hit(standing, Blow::ReceiverDeath);
        let Some(record) = self.ledger.records.get_mut(&standing.id) else { return };
        record.lost_in_hand |= standing.progress != Progress::HandedInside;
    }

    /// How long after a deadline its sender may know of it at the latest: a link through which nothing comes has to be
    /// noticed first. `None`: its link is slow, so that there may always be much before what tells it.
    fn slack(&self, link: LinkId) -> Option<Duration> {
        (!self.links[link].is_slow).then_some(Duration::from_secs(100) + self.ledger.paused)
    }

    /// With all written and nothing open: everybody who is still there knows how everything ended.
    pub(crate) fn note_finish(&self) {
        let honest = self.plan.faults.is_empty() && self.ledger.rogues.is_empty();
        for (id, record) in &self.ledger.records {
            let gone = self.ledger.lost_by_client.contains(&record.link);
            assert!(record.outcome.is_some() || gone, "{id:?} was never answered");
            for hand_out in &record.hand_outs {
                let knows = hand_out.ended.is_some() || self.ledger.lost_by_client.contains(&hand_out.receiver);
                assert!(knows, "link {} was never told of the end of {id:?}", hand_out.receiver);
            }
            if honest && let Some(Outcome::Failed(code, Unstarted::Unknown)) = record.outcome {
                let seen = record.hand_outs.len() > record.returns;
                // A start that has left, or can't be taken back, may be lost with its receiver.
                let lost = record.lost_in_hand
                    || record.handed_to.is_some_and(|link| self.ledger.lost_by_client.contains(&link));
                assert!(seen || lost, "{id:?} ended with {code}, nobody saw it, and it isn't called unstarted");
            }
        }
    }

    /// What was written of a channel's name is what was said.
    pub(crate) fn channel_name(&self, channel: ChannelId) -> Option<&str> {
        self.plan.channels.iter().find(|(id, _)| *id == channel).map(|(_, name)| &name[..])
    }
}
