//! What the opener of a live exchange sends: body, end, cancel, and credit for the response.

use bytes::Bytes;
use tieline_protocol::metadata::TRAILER_MAX;
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{Charge, Close, Way};
use tieline_protocol::session::decode_fault;
use tieline_protocol::{Code, Fault, Flags, Frame, Kind, Metadata, Time, Violation};

use crate::budget::admission;
use crate::core::Core;
use crate::exchange::{Slot, Stage};
use crate::life::Moment;
use crate::port::Port;

impl<P: Port> Core<P> {
    pub(crate) fn opener_frame(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<(), Violation> {
        let outcome = match frame.kind {
            Kind::ChunkRequest => self.request_chunk(now, slot, frame),
            Kind::EndRequest => {
                check_trailer(&frame.payload)?;
                self.request_end(now, slot, frame)
            }
            Kind::AckResponse => self.grant_response(now, slot, frame.header.value),
            Kind::ErrorRequest => {
                let fault = decode_fault(frame)?;
                match fault.code {
                    Code::Cancelled | Code::Application | Code::Internal => {
                        self.cancel(now, slot, &fault);
                        Ok(())
                    }
                    other => Err(Violation::invalid(format!(
                        "a sender may end its request with cancelled or application, not with {other}"
                    ))),
                }
            }
            _ => Ok(()),
        };
        if let Err(violation) = outcome {
            self.fail_by_opener(now, slot, &violation);
        }
        Ok(())
    }

    fn request_chunk(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<(), Violation> {
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        let is_final = frame.has(Flags::FINAL);
        x.request.data(frame.header.value, frame.payload.len())?;
        let book = x.book;
        if is_final {
            x.request.close(None)?;
        }
        if let Some(kept) = &mut x.kept {
            kept.body.push(frame.payload.clone());
        }
        let to = x.hand_out();
        if let Some(to) = to {
            self.outbox(to.receiver, |o| o.body(to.lane, frame.payload.clone()));
        }
        self.count_bytes(book, Way::Request, frame.payload.len());
        if is_final {
            self.close_request(now, slot, Bytes::new());
        } else {
            self.note_stall(now, slot, Way::Request);
        }
        Ok(())
    }

    fn request_end(&mut self, now: Time, slot: Slot, frame: &Frame) -> Result<(), Violation> {
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        x.request.close(Some(frame.header.value))?;
        self.close_request(now, slot, frame.payload.clone());
        Ok(())
    }

    fn close_request(&mut self, now: Time, slot: Slot, trailer: Bytes) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        if let Some(kept) = &mut x.kept {
            kept.close = Some(Close::End { trailer: trailer.clone() });
        }
        x.note(now, Moment::RequestComplete);
        // No more comes: what was promised beyond is free again.
        let length = x.request.arrived();
        if let Some(paid) = &mut x.admission {
            paid.keep(admission(self.config.initial.min(x.metadata_len + length)));
        }
        if let Some(to) = x.hand_out() {
            self.outbox(to.receiver, |o| {
                o.cut_promise(to.lane, length);
                o.close(to.lane, Close::End { trailer });
            });
        }
        self.sate(slot, Way::Request);
        self.note_stall(now, slot, Way::Request);
    }

    fn grant_response(&mut self, now: Time, slot: Slot, to: u64) -> Result<(), Violation> {
        let Some(x) = self.exchanges.get(slot) else { return Ok(()) };
        let arrived = x.response.map_or(0, |response| response.arrived());
        let waiting = self.body_waiting(x.opener, x.opener_lane);
        check_grant(to, arrived.saturating_sub(waiting), self.config.window)?;
        let Some(x) = self.exchanges.get_mut(slot) else { return Ok(()) };
        x.response_grant.wanted = x.response_grant.wanted.max(to);
        self.feed(now, slot, Way::Response);
        Ok(())
    }

    fn cancel(&mut self, now: Time, slot: Slot, fault: &Fault) {
        let Some(x) = self.exchanges.get(slot) else { return };
        if matches!(x.stage, Stage::Waiting(_) | Stage::Handed(_))
            && let Some(account) = self.account(x.opener)
        {
            account.strike();
        }
        if planted(Mutant::CancelLeaksOneByte)
            && let Some(held) = self.exchanges.get_mut(slot).and_then(|x| x.admission.as_mut())
        {
            std::mem::forget(held.split(held.bytes() - 1));
        }
        self.end_exchange(now, slot, Some(Fault::new(Code::Cancelled)), fault);
    }
}

/// A grant may be at most one window ahead of what was forwarded.
pub(crate) fn check_grant(to: u64, forwarded: u64, window: u64) -> Result<(), Violation> {
    if to > forwarded.saturating_add(window + u64::from(planted(Mutant::GrantOneByteTooFar))) {
        return Err(Violation::new(
            Code::FlowControl,
            format!("a grant up to offset {to}; {forwarded} bytes were forwarded and the largest window is {window}"),
        ));
    }
    Ok(())
}

/// The payload of an `end` is metadata; the connection dies of one that isn't.
pub(crate) fn check_trailer(payload: &Bytes) -> Result<(), Violation> {
    Metadata::parse(payload.clone(), TRAILER_MAX)
        .map(drop)
        .map_err(|error| Violation::invalid(format!("a trailer: {error}")))
}
