//! A client gets a frame: it is judged by the rules, and remembered.

use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::{Code, Flags, Frame, Kind, StartLimits, StartPayload};

use crate::action::{Conn, Id};
use crate::frames::{channel_number, code, id_of, piece, words};
use crate::ledger::{Ended, HandOut, Outcome};
use crate::rules::{Broken, hold};
use crate::sights::Sight;
use crate::world::World;

impl World<'_> {
    pub(crate) fn hear(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        match frame.kind {
            Kind::EndReceive | Kind::ErrorReceive => self.receive_closed(conn, frame),
            Kind::StartRequest => self.handed_out(conn, frame),
            Kind::ChunkRequest | Kind::EndRequest | Kind::ErrorRequest | Kind::AckResponse => {
                self.receiver_got(conn, frame)
            }
            Kind::AckRequest | Kind::StartResponse | Kind::ChunkResponse | Kind::EndResponse | Kind::ErrorResponse => {
                self.sender_got(conn, frame)
            }
            _ => Ok(()),
        }
    }

    // Receives

    fn receive_closed(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        if !self.is_alive(conn) {
            return Ok(());
        }
        let channel = channel_number(frame.header.channel);
        let open = self.ledger.receives.get_mut(&(conn, channel));
        let Some(receive) = open.and_then(std::collections::VecDeque::pop_front) else {
            hold!(EndsOnce, false, "a receive of {conn} is closed that isn't open");
            return Ok(());
        };
        let value = frame.header.value;
        if frame.kind == Kind::EndReceive {
            hold!(EndsOnce, value == receive.starts, "{conn} got {} starts, and is told {value}", receive.starts);
        } else {
            hold!(Truth, self.left.drains < self.bound.may.drains, "a receive is refused: {}", words(frame));
        }
        Ok(())
    }

    // Receivers

    fn handed_out(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        let id = id_of(frame);
        let channel = channel_number(frame.header.channel);
        let is_alive = self.is_alive(conn);
        if is_alive {
            let open = self.ledger.receives.get_mut(&(conn, channel));
            let Some(receive) = open.and_then(|open| open.front_mut()) else {
                hold!(OnlyItsParties, false, "{id} comes to {conn}, which has no receive open");
                return Ok(());
            };
            receive.starts += 1;
            hold!(EndsOnce, receive.starts <= receive.count, "{conn} gets more starts than it is ready for");
        }
        let Some(request) = self.ledger.get_mut(id) else {
            hold!(NothingLeft, false, "{id} is over for everybody, and comes to {conn}");
            return Ok(());
        };
        let plan = self.bound.plans[request.plan as usize];
        let limits = StartLimits::from_value(frame.header.value);
        hold!(BodiesInOrder, limits.deadline_ms > 0 && limits.wait_ms == 0, "a start says {limits:?}");
        hold!(BodiesInOrder, frame.has(Flags::IDEMPOTENT) == plan.idempotent, "IDEMPOTENT isn't passed on as it was");
        if let (Some(deadline), Some(wait), true) = (request.deadline_at, request.wait_at, request.hand_outs.is_empty())
        {
            let handed_at = u32::from(deadline) * 10 - limits.deadline_ms;
            hold!(EndsByDeadline, handed_at < u32::from(wait) * 10, "{id} was handed out behind its wait");
        }
        for before in &request.hand_outs {
            let lost = plan.idempotent && before.lost && request.credit <= INITIAL_WINDOW && request.response.is_none();
            let may = before.ended == Some(Ended::Returned) || lost;
            hold!(OneReceiver, may, "{id} is with {} and comes to {conn}", before.receiver);
        }
        let unstarted = request.outcome.is_some_and(|outcome| outcome.unstarted);
        hold!(Truth, !unstarted, "{id} was called unstarted, and comes to {conn}");
        hold!(OneReceiver, request.hand_outs.len() < 3, "{id} is handed out more than three times");
        let other = request.hand_outs.iter().any(|before| before.receiver != conn);
        let after_loss = request.hand_outs.iter().any(|before| before.lost);
        let (third, over) = (request.hand_outs.len() == 2, !request.is_open());
        request.hand_outs.push(HandOut {
            receiver: conn,
            lost: !is_alive,
            got: 0,
            closed: false,
            accepted: false,
            granted: INITIAL_WINDOW,
            response: None,
            credit: INITIAL_WINDOW,
            broke: false,
            ended: None,
        });
        for (sight, is_so) in [
            (Sight::SecondReceiver, other),
            (Sight::SecondAfterLoss, after_loss),
            (Sight::ThirdHandOut, third),
            (Sight::Pinned, over && is_alive),
            (Sight::HandedToItself, conn == id.sender),
        ] {
            if is_so {
                self.seen.add(sight);
            }
        }
        let Ok(start) = StartPayload::split(&frame.payload) else {
            hold!(NoPanic, false, "a start that can't be parsed");
            return Ok(());
        };
        self.request_bytes(conn, id, &start.body, frame.has(Flags::FINAL))
    }

    fn receiver_got(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        let id = id_of(frame);
        let (clock, drained) = (self.clock, self.left.drains < self.bound.may.drains);
        let Some(request) = self.ledger.get_mut(id) else {
            hold!(NothingLeft, false, "{id} is over for everybody, and {conn} gets {}", words(frame));
            return Ok(());
        };
        let granted = request.granted;
        let (cancelled, lost, broke) = (request.cancelled, request.lost, request.broke);
        let late = request.is_late(clock);
        let Some(hand_out) = request.hand_outs.iter_mut().rev().find(|h| h.receiver == conn) else {
            hold!(OnlyItsParties, false, "{conn} gets {}, and never got the start", words(frame));
            return Ok(());
        };
        if let Some(ended) = hand_out.ended {
            hold!(EndsOnce, ended != Ended::Told, "{} behind the error", words(frame));
            // It crossed what this receiver ended it with.
            return Ok(());
        }
        match frame.kind {
            Kind::ChunkRequest => {
                let at = frame.header.value;
                hold!(BodiesInOrder, at == hand_out.got, "{}, and {} bytes came before", words(frame), hand_out.got);
                self.request_bytes(conn, id, &frame.payload, frame.has(Flags::FINAL))
            }
            Kind::EndRequest => {
                hold!(BodiesInOrder, frame.header.value == hand_out.got, "an end that tells a wrong length");
                self.request_bytes(conn, id, &[], true)
            }
            Kind::AckResponse => {
                let to = frame.header.value;
                hold!(WithinWindow, to <= granted, "{conn} may send up to {to}; granted was {granted}");
                hand_out.credit = hand_out.credit.max(to);
                Ok(())
            }
            _ => {
                hand_out.ended = Some(Ended::Told);
                let code = code(frame);
                let is_true = match code {
                    Some(Code::Cancelled) => cancelled,
                    Some(Code::SenderLost) => lost || broke,
                    Some(Code::DeadlineExceeded) => late,
                    Some(Code::InvalidFrame | Code::FlowControl) => hand_out.broke,
                    Some(Code::ShuttingDown) => drained,
                    _ => false,
                };
                hold!(Truth, is_true, "{conn} is told {}, which isn't so", words(frame));
                if code == Some(Code::SenderLost) {
                    self.seen.add(Sight::SenderLost);
                }
                Ok(())
            }
        }
    }

    fn request_bytes(&mut self, conn: Conn, id: Id, body: &[u8], closed: bool) -> Result<(), Broken> {
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        let (sent, all) = (request.sent, request.closed);
        let Some(hand_out) = request.hand_outs.last_mut().filter(|h| h.receiver == conn) else {
            hold!(OneReceiver, false, "{conn} gets more of {id}, which was handed on");
            return Ok(());
        };
        let from = hand_out.got;
        hold!(BodiesInOrder, !hand_out.closed, "more of {id} behind its end");
        hold!(BodiesInOrder, body == piece(id, id.sender, from, body.len() as u64), "wrong bytes of {id} from {from}");
        hand_out.got += body.len() as u64;
        hand_out.closed = closed;
        let got = hand_out.got;
        hold!(BodiesInOrder, got <= sent, "{got} bytes of {id} came, {sent} were sent");
        hold!(BodiesInOrder, !closed || (all && got == sent), "{id} was cut off and looks complete");
        Ok(())
    }

    // Senders

    fn sender_got(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        let id = id_of(frame);
        hold!(OnlyItsParties, id.sender == conn, "{conn} gets {}", words(frame));
        let Some(request) = self.ledger.get_mut(id) else {
            hold!(NothingLeft, false, "{id} is over for everybody, and {conn} gets {}", words(frame));
            return Ok(());
        };
        hold!(EndsOnce, request.outcome.is_none(), "{} behind the end of the exchange", words(frame));
        let final_frame = frame.has(Flags::FINAL);
        match frame.kind {
            Kind::AckRequest => {
                let to = frame.header.value;
                let granted = request.hand_outs.iter().map(|hand_out| hand_out.granted).max().unwrap_or(0);
                hold!(WithinWindow, to <= granted, "{conn} may send up to {to}; granted was {granted}");
                hold!(BytesMove, to > request.credit, "a grant up to {to} is passed on, which raises nothing");
                request.credit = to;
                Ok(())
            }
            Kind::StartResponse => {
                hold!(BodiesInOrder, request.response.is_none(), "a response starts twice");
                let by = request.hand_outs.last().map(|hand_out| hand_out.receiver);
                let Some(by) = by else {
                    hold!(OnlyItsParties, false, "a response to {id}, which nobody got");
                    return Ok(());
                };
                request.response = Some((by, 0));
                let Ok(start) = StartPayload::split(&frame.payload) else {
                    hold!(NoPanic, false, "a start that can't be parsed");
                    return Ok(());
                };
                self.response_bytes(id, &start.body, final_frame)
            }
            Kind::ChunkResponse | Kind::EndResponse => {
                let got = request.response.map(|(_, got)| got);
                hold!(BodiesInOrder, got == Some(frame.header.value), "{}, and {got:?} came before", words(frame));
                let body = if frame.kind == Kind::ChunkResponse { &frame.payload[..] } else { &[] };
                self.response_bytes(id, body, final_frame || frame.kind == Kind::EndResponse)
            }
            _ => self.failed(id, frame),
        }
    }

    fn response_bytes(&mut self, id: Id, body: &[u8], closed: bool) -> Result<(), Broken> {
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        let Some((by, from)) = request.response else { return Ok(()) };
        let right = body == piece(id, by, from, body.len() as u64);
        hold!(BodiesInOrder, right, "wrong bytes of the response to {id} from {from}");
        let got = from + body.len() as u64;
        request.response = Some((by, got));
        let Some(last) = request.hand_outs.last() else { return Ok(()) };
        let sent = last.response.map(|(_, sent)| sent);
        hold!(
            BodiesInOrder,
            sent.is_some_and(|sent| got <= sent),
            "{got} bytes of the response came, {sent:?} were sent"
        );
        if closed {
            let right = last.ended == Some(Ended::Closed(got)) && last.receiver == by;
            hold!(BodiesInOrder, right, "the response to {id} looks complete, and its receiver didn't close it so");
            request.outcome = Some(Outcome { code: None, unstarted: false });
            let early = !request.closed;
            self.seen.add(Sight::Complete);
            if early {
                self.seen.add(Sight::EarlyEnd);
            }
        }
        Ok(())
    }

    /// The sender is told that its request has failed.
    fn failed(&mut self, id: Id, frame: &Frame) -> Result<(), Broken> {
        let unstarted = frame.has(Flags::UNSTARTED);
        let Some(code) = code(frame) else {
            hold!(NoPanic, false, "an error that can't be parsed");
            return Ok(());
        };
        let (clock, may, left) = (self.clock, self.bound.may, self.left);
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        request.outcome = Some(Outcome { code: Some(code), unstarted });
        hold!(Truth, !unstarted || !request.was_seen(), "{id} is called unstarted, and a receiver has it");
        let ways_back = (may.returns - left.returns) + (may.receiver_crashes - left.receiver_crashes);
        let plan = &self.bound.plans[request.plan as usize];
        let is_true = match code {
            Code::Cancelled => request.cancelled,
            Code::Application => request.hand_outs.iter().any(|h| h.ended == Some(Ended::Failed)),
            Code::ReceiverLost => request.hand_outs.iter().any(|h| h.lost || h.broke),
            Code::NoReceiver => plan.no_wait || ways_back >= 3,
            Code::WaitLimit => request.wait_at.is_some_and(|at| at <= clock) && request.hand_outs.is_empty(),
            Code::DeadlineExceeded => request.is_late(clock),
            Code::ShuttingDown => left.drains < may.drains,
            Code::Overloaded => request.hand_outs.is_empty() && unstarted,
            Code::InvalidFrame | Code::FlowControl => request.broke,
            _ => false,
        };
        hold!(Truth, is_true, "{id} ends with {code}, which isn't so");
        let sight = match (code, unstarted) {
            (Code::Cancelled, false) => Sight::Cancelled,
            (Code::Cancelled, true) => Sight::CancelledUnstarted,
            (Code::Application, _) => Sight::Application,
            (Code::ReceiverLost, _) => Sight::ReceiverLost,
            (Code::NoReceiver, false) => Sight::NoReceiver,
            (Code::NoReceiver, true) => Sight::NoReceiverUnstarted,
            (Code::WaitLimit, _) => Sight::WaitLimit,
            (Code::DeadlineExceeded, false) => Sight::DeadlineExceeded,
            (Code::DeadlineExceeded, true) => Sight::DeadlineUnstarted,
            (Code::ShuttingDown, true) => Sight::ShuttingDownUnstarted,
            (Code::ShuttingDown, false) => Sight::ShuttingDownSeen,
            (Code::Overloaded, _) => Sight::Overloaded,
            (Code::FlowControl, _) => Sight::FlowControl,
            _ => Sight::InvalidFrame,
        };
        self.seen.add(sight);
        Ok(())
    }
}
