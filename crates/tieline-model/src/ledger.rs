//! What every client knows: the requests that it sent and took, its receives. It is what decides what clients may do
//! next, and what the rules are judged by; so it is part of the state.

use std::collections::{BTreeMap, VecDeque};

use tieline_protocol::Code;

use crate::action::{Conn, Id};

/// How a request ended for its sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Outcome {
    /// The error; `None` for a complete response.
    pub(crate) code: Option<Code>,
    pub(crate) unstarted: bool,
}

/// How a hand-out ended for its receiver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Ended {
    /// It closed the response in good order, with so many bytes.
    Closed(u64),
    /// Its program failed.
    Failed,
    /// It gave the request back.
    Returned,
    /// It gave the request back, but that crossed the end of the exchange.
    ReturnedLate,
    /// It was told that the exchange is over.
    Told,
}

/// A request in the eyes of a receiver that got its start.
// They are independent of each other: how it ended says nothing about what was accepted or broken before.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct HandOut {
    pub(crate) receiver: Conn,
    /// The receiver was lost.
    pub(crate) lost: bool,
    /// Bytes of the request that it got.
    pub(crate) got: u64,
    /// It got the end of the request's body.
    pub(crate) closed: bool,
    pub(crate) accepted: bool,
    /// What it granted of the request.
    pub(crate) granted: u64,
    /// The response, once it has started one: its plan, and the bytes that were sent.
    pub(crate) response: Option<(u8, u64)>,
    /// What it was granted of the response.
    pub(crate) credit: u64,
    /// It broke a rule, and is to be told so.
    pub(crate) broke: bool,
    pub(crate) ended: Option<Ended>,
}

impl HandOut {
    /// Whether the receiver still works on it.
    pub(crate) const fn is_live(&self) -> bool {
        !self.lost && self.ended.is_none()
    }
}

/// A request in the eyes of its sender, and of the receivers that got it.
// They are independent of each other.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Request {
    pub(crate) plan: u8,
    /// Bytes of it that were sent.
    pub(crate) sent: u64,
    pub(crate) closed: bool,
    /// Up to where it may be sent.
    pub(crate) credit: u64,
    pub(crate) cancelled: bool,
    pub(crate) broke: bool,
    /// What was granted of the response.
    pub(crate) granted: u64,
    /// The response, once it has started: by whom, and the bytes that came.
    pub(crate) response: Option<(Conn, u64)>,
    /// When its wait and its deadline pass, in ticks.
    pub(crate) wait_at: Option<u8>,
    pub(crate) deadline_at: Option<u8>,
    pub(crate) outcome: Option<Outcome>,
    /// The sender was lost.
    pub(crate) lost: bool,
    pub(crate) hand_outs: Vec<HandOut>,
}

impl Request {
    /// Whether it is open in the eyes of its sender.
    pub(crate) const fn is_open(&self) -> bool {
        self.outcome.is_none() && !self.lost
    }

    /// Whether its deadline has passed; one that names none has the longest, behind which is only the end of time.
    pub(crate) fn is_late(&self, clock: u8) -> bool {
        self.deadline_at.map_or(clock == u8::MAX, |at| at <= clock)
    }

    /// The hand-out that somebody works on.
    pub(crate) fn live(&self) -> Option<&HandOut> {
        self.hand_outs.iter().find(|hand_out| hand_out.is_live())
    }

    /// The hand-out that a connection works on.
    pub(crate) fn taken_by(&mut self, conn: Conn) -> Option<&mut HandOut> {
        self.hand_outs.iter_mut().find(|hand_out| hand_out.receiver == conn && hand_out.is_live())
    }

    /// Whether any receiver's program may have seen it.
    pub(crate) fn was_seen(&self) -> bool {
        self.hand_outs.iter().any(|hand_out| hand_out.ended != Some(Ended::Returned))
    }
}

/// A receive in the eyes of its client.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Receive {
    pub(crate) count: u64,
    /// Starts that were delivered on it.
    pub(crate) starts: u64,
    pub(crate) withdrawn: bool,
}

/// See the module.
#[derive(Default, Debug)]
pub(crate) struct Ledger {
    /// By request; `None`: it is over for everybody, and nothing of it is under way.
    pub(crate) requests: BTreeMap<Id, Option<Request>>,
    /// By connection and channel: those that the server hasn't closed, oldest first.
    pub(crate) receives: BTreeMap<(Conn, u8), VecDeque<Receive>>,
    /// How many were opened.
    pub(crate) opened: BTreeMap<(Conn, u8), u8>,
}

impl Ledger {
    /// All that isn't over for everybody.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Id, &Request)> {
        self.requests.iter().filter_map(|(id, request)| Some((*id, request.as_ref()?)))
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Request> {
        self.requests.get(&id)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut Request> {
        self.requests.get_mut(&id)?.as_mut()
    }

    /// The receive that a connection has open and hasn't withdrawn.
    pub(crate) fn open_receive(&self, conn: Conn, channel: u8) -> Option<&Receive> {
        self.receives.get(&(conn, channel))?.back().filter(|receive| !receive.withdrawn)
    }

    pub(crate) fn open_receive_mut(&mut self, conn: Conn, channel: u8) -> Option<&mut Receive> {
        self.receives.get_mut(&(conn, channel))?.back_mut().filter(|receive| !receive.withdrawn)
    }

    /// A connection is gone.
    pub(crate) fn lose(&mut self, conn: Conn) {
        self.receives.retain(|(receiver, _), _| *receiver != conn);
        for (id, request) in &mut self.requests {
            let Some(request) = request else { continue };
            request.lost |= id.sender == conn;
            for hand_out in request.hand_outs.iter_mut().filter(|hand_out| hand_out.receiver == conn) {
                hand_out.lost = true;
            }
        }
    }
}
