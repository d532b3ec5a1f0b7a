//! What each frame from the server does. What is legal in which state stands in [`tieline_protocol::rules`].

use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::metadata::TRAILER_MAX;
use tieline_protocol::rules::{Effect, State as Rule, effect};
use tieline_protocol::session::{ToClient, decode_fault};
use tieline_protocol::{Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, StartPayload, Violation};

use super::effects::Effects;
use super::flows::Over;
use super::ids::ByRequest;
use super::sends::Sending;
use super::state::State;
use crate::error::{Error, Outcome};

/// What ends a connection from within.
#[derive(Debug)]
pub(crate) enum Fatal {
    /// The server broke a rule, and is told so.
    Broke(Violation),
    /// The server gives the connection up.
    Told(Fault),
}

impl From<Violation> for Fatal {
    fn from(violation: Violation) -> Self {
        Self::Broke(violation)
    }
}

impl State {
    /// Takes in a frame; what it leads to is in the state, the outbox and `fx` then.
    pub(super) fn take_in(&mut self, frame: Frame, fx: &mut Effects) -> Result<(), Fatal> {
        let nonce = frame.header.value;
        match self.session.judge(frame)? {
            ToClient::Welcome(welcome) => self.welcome(&welcome, fx),
            ToClient::Ping(nonce) => {
                self.outbox.pong(nonce);
                fx.write();
            }
            ToClient::Pong => {
                if let Some(mut waiter) = self.pings.remove(&nonce) {
                    fx.wake(&mut waiter);
                }
            }
            ToClient::End => self.server_ended(fx),
            ToClient::Error(fault) => return Err(Fatal::Told(fault)),
            ToClient::Receive(frame) => self.receive_closed(&frame, fx)?,
            ToClient::ToOpener(frame) => self.take_in_as_sender(frame, fx)?,
            ToClient::ToReceiver(frame) => self.take_in_as_receiver(frame, fx)?,
        }
        Ok(())
    }

    fn take_in_as_sender(&mut self, mut frame: Frame, fx: &mut Effects) -> Result<(), Violation> {
        let request = frame.header.request;
        let live = self.sends.get(&request).filter(|send| send.live && send.flows.id == frame.header.exchange_id());
        let rule = match live {
            None => Rule::NotMine,
            Some(send) if send.flows.over.is_some() => {
                self.take_in_cancelled(request, &frame, fx);
                return Ok(());
            }
            Some(send) if send.head.is_none() => Rule::Awaiting,
            Some(_) => Rule::Answered,
        };
        let terminal = is_terminal(&frame);
        let result = match effect(frame.kind, rule) {
            Effect::Late => {
                self.dropped += 1;
                return Ok(());
            }
            Effect::FailConnection => return Err(out_of_place(&frame)),
            Effect::FailExchange => Err(out_of_place(&frame)),
            Effect::Take => self.apply_as_sender(request, &mut frame, fx)?,
        };
        match result {
            Ok(()) => {}
            Err(violation) if terminal => {
                let outcome = self.sends.get(&request).map_or(Outcome::Unknown, Sending::outcome);
                self.end_send(request, Over::Failed(Error::broken(&violation, outcome)), fx);
            }
            Err(violation) => self.break_send(request, &violation, fx),
        }
        Ok(())
    }

    /// Of what comes of a request that was ended from here, only what it says of the outcome matters.
    fn take_in_cancelled(&mut self, request: RequestId, frame: &Frame, fx: &mut Effects) {
        let Some(send) = self.sends.get_mut(&request) else { return };
        send.accepted |= frame.kind != Kind::ErrorResponse;
        if is_terminal(frame) {
            let known = send.outcome();
            let outcome = match frame.kind {
                // Broken words are no reason to break more; what is known stays.
                Kind::ErrorResponse => {
                    decode_fault(frame).map_or(known, |fault| outcome_of(&fault, frame.has(Flags::UNSTARTED), known))
                }
                _ => known,
            };
            self.settle_send(request, outcome, fx);
        }
    }

    /// The outer error breaks the connection, the inner one only the exchange.
    fn apply_as_sender(
        &mut self,
        request: RequestId,
        frame: &mut Frame,
        fx: &mut Effects,
    ) -> Result<Result<(), Violation>, Violation> {
        let window = self.window;
        let Some(send) = self.sends.get_mut(&request) else { return Ok(Ok(())) };
        let terminal = is_terminal(frame);
        if frame.kind == Kind::StartResponse {
            // A receiver has begun, which whoever holds the body back waits for.
            send.flows.outflow.wake(fx);
        }
        let inflow = &mut send.flows.inflow;
        let put = match frame.kind {
            Kind::AckRequest => {
                send.accepted = true;
                send.flows.outflow.out.granted(frame.header.value);
                send.flows.feed(&mut self.outbox, fx);
                send.flows.outflow.wake(fx);
                return Ok(Ok(()));
            }
            Kind::ErrorResponse => {
                let fault = decode_fault(frame)?;
                let outcome = outcome_of(&fault, frame.has(Flags::UNSTARTED), send.outcome());
                if fault.code == Code::ShuttingDown {
                    self.turn_away(fx);
                }
                self.end_send(request, Over::Failed(Error::Failed { fault, outcome }), fx);
                return Ok(Ok(()));
            }
            Kind::StartResponse => {
                let StartPayload { metadata, body } = StartPayload::take_apart(std::mem::take(&mut frame.payload))?;
                inflow.started(window, initial_credit(INITIAL_WINDOW, metadata.wire_len()));
                send.accepted = true;
                send.head = Some(metadata);
                inflow.put(0, body, frame.has(Flags::FINAL))
            }
            Kind::EndResponse => inflow.end(frame.header.value, trailer(frame)?),
            _ => inflow.put(frame.header.value, std::mem::take(&mut frame.payload), frame.has(Flags::FINAL)),
        };
        if put.is_ok() {
            fx.wake(inflow.waker_mut());
            if terminal {
                let about = send.head.as_ref().map_or(0, Metadata::wire_len);
                let length = inflow.arrived() + about as u64;
                self.ahead.learn(frame.header.channel, length, window);
                if send.settle(Over::Done, &mut self.outbox, &mut self.open, fx) {
                    self.sends.remove(&request);
                }
            }
        }
        Ok(put)
    }

    fn take_in_as_receiver(&mut self, mut frame: Frame, fx: &mut Effects) -> Result<(), Violation> {
        let id = frame.header.exchange_id();
        let rule = match self.takes.get(&ByRequest(id)).filter(|take| take.flows.over.is_none()) {
            None => Rule::NotTaken,
            Some(take) if take.flows.inflow.is_closed() => Rule::Taken,
            Some(_) => Rule::Taking,
        };
        let result = match effect(frame.kind, rule) {
            Effect::Late => {
                self.dropped += 1;
                return Ok(());
            }
            Effect::FailConnection => return Err(out_of_place(&frame)),
            Effect::FailExchange => Err(out_of_place(&frame)),
            Effect::Take => self.apply_as_receiver(id, &mut frame, fx)?,
        };
        if let Err(violation) = result {
            self.break_take(id, &violation, fx);
        }
        Ok(())
    }

    /// The outer error breaks the connection, the inner one only the exchange.
    fn apply_as_receiver(
        &mut self,
        id: ExchangeId,
        frame: &mut Frame,
        fx: &mut Effects,
    ) -> Result<Result<(), Violation>, Violation> {
        if frame.kind == Kind::StartRequest {
            let receiving = self.receives.contains_key(&id.channel);
            let rule = if receiving { Rule::Awaited } else { Rule::NotReceiving };
            if effect(frame.kind, rule) != Effect::Take {
                return Err(Violation::invalid("a request was handed out on a channel without a receive"));
            }
            self.take_request(frame, fx)?;
            return Ok(Ok(()));
        }
        let Some(take) = self.takes.get_mut(&ByRequest(id)) else { return Ok(Ok(())) };
        let inflow = &mut take.flows.inflow;
        let put = match frame.kind {
            Kind::AckResponse => {
                take.flows.outflow.out.granted(frame.header.value);
                take.flows.outflow.wake(fx);
                self.feed_take(id, fx);
                return Ok(Ok(()));
            }
            Kind::ErrorRequest => {
                let fault = decode_fault(frame)?;
                self.end_take(id, Over::Failed(Error::Failed { fault, outcome: Outcome::Accepted }), fx);
                return Ok(Ok(()));
            }
            Kind::EndRequest => inflow.end(frame.header.value, trailer(frame)?),
            _ => inflow.put(frame.header.value, std::mem::take(&mut frame.payload), frame.has(Flags::FINAL)),
        };
        if put.is_ok() {
            fx.wake(inflow.waker_mut());
        }
        Ok(put)
    }
}

/// Whether the frame ends its exchange for the sender.
fn is_terminal(frame: &Frame) -> bool {
    match frame.kind {
        Kind::EndResponse | Kind::ErrorResponse => true,
        Kind::StartResponse | Kind::ChunkResponse => frame.has(Flags::FINAL),
        _ => false,
    }
}

fn trailer(frame: &Frame) -> Result<Metadata, Violation> {
    Metadata::parse(frame.payload.clone(), TRAILER_MAX)
        .map_err(|error| Violation::invalid(format!("{}: {error}", frame.kind.name())))
}

/// What became of a request that ended with this fault.
fn outcome_of(fault: &Fault, is_unstarted: bool, known: Outcome) -> Outcome {
    if is_unstarted {
        Outcome::Unstarted
    } else if fault.code == Code::Application {
        Outcome::Accepted
    } else {
        known
    }
}

fn out_of_place(frame: &Frame) -> Violation {
    Violation::invalid(format!("{} where none may come", frame.kind.name()))
}
