//! What the assigned receiver of a live exchange sends: accept, credit for the request, and the response.

use bytes::Bytes;
use tieline_protocol::flow::Inbound;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{Close, StartFrame, Way};
use tieline_protocol::session::decode_fault;
use tieline_protocol::{Code, Flags, Frame, Kind, StartPayload, Time, Violation};

use crate::core::Core;
use crate::exchange::{Slot, Stage};
use crate::life::Moment;
use crate::port::Port;
use crate::requesting::{check_grant, check_trailer};
use crate::tally::Outcome;

impl<P: Port> Core<P> {
    pub(crate) fn receiver_frame(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<(), Violation> {
        let outcome = match frame.kind {
            Kind::AckRequest => self.grant_request(now, slot, frame.header.value),
            Kind::StartResponse => {
                let start = StartPayload::split(&frame.payload)?;
                self.response_start(now, slot, start, frame.has(Flags::FINAL))
            }
            Kind::ChunkResponse => self.response_chunk(now, slot, frame),
            Kind::EndResponse => {
                check_trailer(&frame.payload)?;
                self.response_end(now, slot, frame)
            }
            Kind::ErrorResponse => self.response_error(now, slot, frame)?,
            _ => Ok(()),
        };
        if let Err(violation) = outcome {
            self.fail_by_receiver(now, slot, &violation);
        }
        Ok(())
    }

    fn grant_request(&mut self, now: Time, slot: Slot, to: u64) -> Result<(), Violation> {
        let Some(x) = self.exchanges.get(slot) else { return Ok(()) };
        let waiting = x.hand_out().map_or(0, |out| self.body_waiting(out.receiver, out.lane));
        check_grant(to, x.request.arrived().saturating_sub(waiting), self.config.window)?;
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        x.request_grant.wanted = x.request_grant.wanted.max(to);
        self.accept(now, slot);
        self.feed(now, slot, Way::Request);
        Ok(())
    }

    /// The receiver's program has it. Unless running it twice does no harm, it is never handed out again.
    fn accept(&mut self, now: Time, slot: Slot) {
        let Some(x) = self.exchanges.get_mut(slot).filter(|_| !planted(Mutant::AcceptNotNoted)) else { return };
        if let Stage::Handed(to) = x.stage {
            x.stage = Stage::Accepted(to);
            x.note(now, Moment::Accepted);
        }
        if !x.idempotent {
            x.kept = None;
        }
    }

    fn response_start(&mut self, now: Time, slot: Slot, start: StartPayload, is_final: bool) -> Result<(), Violation> {
        self.accept(now, slot);
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        let mut response = Inbound::new(initial_credit(INITIAL_WINDOW, start.metadata.wire_len()));
        response.grant(x.response_granted);
        response.data(0, start.body.len())?;
        if let Some(to) = x.hand_out() {
            x.stage = Stage::Responding(to);
        }
        // Something of the response is passed on: from now on another receiver's would not fit to it.
        x.kept = None;
        x.response = Some(response);
        let (opener, lane) = (x.opener, x.opener_lane);
        x.answered = Some(now);
        self.tally.answered(now, x.came);
        x.note(now, Moment::FirstByte);
        let book = x.book;
        self.count_bytes(book, Way::Response, start.body.len());
        self.outbox(opener, |o| {
            o.start(lane, StartFrame { flags: Flags::NONE, value: 0, metadata: start.metadata });
            o.body(lane, start.body);
        });
        if is_final {
            self.complete(now, slot, Outcome::Complete, Close::End { trailer: Bytes::new() });
        } else {
            self.note_stall(now, slot, Way::Response);
        }
        Ok(())
    }

    fn response_chunk(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<(), Violation> {
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        if let Some(response) = &mut x.response {
            response.data(frame.header.value, frame.payload.len())?;
        }
        let (opener, lane, book) = (x.opener, x.opener_lane, x.book);
        self.count_bytes(book, Way::Response, frame.payload.len());
        self.outbox(opener, |o| o.body(lane, frame.payload.clone()));
        if frame.has(Flags::FINAL) {
            self.complete(now, slot, Outcome::Complete, Close::End { trailer: Bytes::new() });
        } else {
            self.note_stall(now, slot, Way::Response);
        }
        Ok(())
    }

    fn response_end(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<(), Violation> {
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        if let Some(response) = &mut x.response {
            response.close(Some(frame.header.value))?;
        }
        self.complete(now, slot, Outcome::Complete, Close::End { trailer: frame.payload.clone() });
        Ok(())
    }

    /// The outer result kills the connection, the inner one the exchange.
    fn response_error(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<Result<(), Violation>, Violation> {
        let fault = decode_fault(frame)?;
        let Some(x) = self.exchanges.get(slot) else { return Ok(Ok(())) };
        Ok(match (fault.code, x.stage) {
            (Code::Returned, Stage::Handed(_)) => {
                self.hand_back(now, slot);
                Ok(())
            }
            (Code::Returned, _) => Err(Violation::invalid("a request may be returned only before it was accepted")),
            (Code::Application | Code::Internal, _) => {
                let close = Close::Error { flags: Flags::NONE, payload: fault.encode() };
                self.complete(now, slot, Outcome::Failed(fault.code), close);
                Ok(())
            }
            (other, _) => Err(Violation::invalid(format!(
                "a receiver may end a response with returned or application, not with {other}"
            ))),
        })
    }
}
