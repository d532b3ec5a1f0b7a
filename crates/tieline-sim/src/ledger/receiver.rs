//! What receivers write and get.

use bytes::Bytes;
use tieline_protocol::session::decode_fault;
use tieline_protocol::{Code, ExchangeId, Flags, Frame, Kind, Metadata, StartLimits, StartPayload};

use super::{Ended, HandOut, Outcome, Unstarted};
use crate::body::Tag;
use crate::link::LinkId;
use crate::sim::Sim;
use crate::stats::Seen;

impl Sim {
    // What receivers write

    /// A receiver put the start of its response into its outbox.
    pub(crate) fn note_response(&mut self, link: LinkId, id: ExchangeId, metadata: Metadata) {
        let hand_out = self.open_hand_out(link, id);
        assert!(hand_out.response.is_none());
        hand_out.response = Some(0);
        hand_out.response_metadata = metadata;
        if !hand_out.closed {
            self.stats.see(Seen::EarlyResponse);
        }
    }

    /// A receiver put bytes of its response into its outbox.
    pub(crate) fn note_response_bytes(&mut self, link: LinkId, id: ExchangeId, len: u64) {
        let hand_out = self.open_hand_out(link, id);
        *hand_out.response.get_or_insert(0) += len;
    }

    /// A receiver ended its part.
    pub(crate) fn note_receiver_ended(&mut self, link: LinkId, id: ExchangeId, ended: Ended, trailer: Bytes) {
        let hand_out = self.open_hand_out(link, id);
        hand_out.ended = Some(ended);
        hand_out.trailer = trailer;
        if ended == Ended::Returned {
            self.stats.see(Seen::Returned);
        }
    }

    #[track_caller]
    fn open_hand_out(&mut self, link: LinkId, id: ExchangeId) -> &mut HandOut {
        let open = |h: &&mut HandOut| h.receiver == link && h.ended.is_none();
        let Some(hand_out) = self.record(id).hand_outs.iter_mut().rev().find(open) else {
            panic!("link {link} has no open hand-out of {id:?}")
        };
        hand_out
    }

    // What receivers get

    /// The start of a request reached a receiver.
    pub(crate) fn note_handed_out(&mut self, link: LinkId, frame: &Frame) {
        let id = frame.header.exchange_id();
        let now = self.now;
        let Some(record) = self.ledger.records.get(&id) else { panic!("{id:?} was handed out and never opened") };
        let start = StartPayload::split(&frame.payload).expect("the server writes starts that parse");
        // What was under way to a client that the server has given up may arrive after the start of the next hand-out.
        let is_old = self.ledger.lost_by_server.contains(&link);
        for before in &record.hand_outs {
            let returned = before.ended == Some(Ended::Returned);
            let lost = record.idempotent && (is_old || self.ledger.lost_by_server.contains(&before.receiver));
            assert!(returned || lost, "{id:?} is in the hands of link {} and of link {link}", before.receiver);
        }
        let unstarted =
            matches!(record.outcome, Some(Outcome::Failed(_, Unstarted::Certain) | Outcome::Lost(Unstarted::Certain)));
        assert!(!unstarted, "{id:?} was called unstarted, and reaches a receiver");
        assert!(record.hand_outs.len() < 3, "three hand-outs in all");
        assert_eq!(record.idempotent, frame.has(Flags::IDEMPOTENT));
        assert_eq!(record.metadata, start.metadata, "metadata travels unchanged");

        let limits = StartLimits::from_value(frame.header.value);
        let arrived = record.arrived.expect("what is handed out has come to the server");
        let left = std::time::Duration::from_millis(limits.deadline_ms.into());
        assert!(limits.deadline_ms > 0 && limits.wait_ms == 0, "{limits:?}");
        let handed = arrived + (record.deadline + std::time::Duration::from_millis(1)).saturating_sub(left);
        assert!(handed <= now + std::time::Duration::from_millis(1), "what is left of the deadline is true");
        assert!(left <= record.deadline + std::time::Duration::from_millis(1));

        match record.hand_outs.len() {
            1 => self.stats.see(Seen::SecondReceiver),
            2 => self.stats.see(Seen::ThirdReceiver),
            _ => {}
        }
        if record.link == link {
            self.stats.see(Seen::OwnReceiver);
        }
        let hand_out = HandOut {
            receiver: link,
            got: 0,
            closed: false,
            response: None,
            response_metadata: Metadata::new(),
            trailer: Bytes::new(),
            ended: None,
        };
        let hand_outs = &mut self.record(id).hand_outs;
        let place = if is_old { 0 } else { hand_outs.len() };
        hand_outs.insert(place, hand_out);
        self.note_request_bytes(link, id, &start.body, frame.has(Flags::FINAL).then(Bytes::new));
    }

    /// A receiver took in bytes of a request; the trailer, if they are the last.
    pub(crate) fn note_request_bytes(&mut self, link: LinkId, id: ExchangeId, body: &[u8], trailer: Option<Bytes>) {
        let is_old = self.ledger.lost_by_server.contains(&link);
        let record = self.record(id);
        let (sent, closed, expected) = (record.sent, record.closed, record.trailer.clone());
        let is_last = record.hand_outs.last().is_some_and(|h| h.receiver == link);
        assert!(is_last || is_old, "only the last receiver of {id:?} gets more, not link {link}");
        let open = |h: &&mut HandOut| h.receiver == link && h.ended.is_none();
        let hand_out = record.hand_outs.iter_mut().rev().find(open).expect("it has the request in hand");
        assert!(Tag::request(id).is(hand_out.got, body), "{id:?}: wrong bytes from {} on", hand_out.got);
        hand_out.got += body.len() as u64;
        let got = hand_out.got;
        assert!(got <= sent, "{id:?}: more came than was sent");
        if let Some(trailer) = trailer {
            hand_out.closed = true;
            assert!(closed && got == sent, "{id:?}: a request that was cut off looks complete, {got} of {sent}");
            assert_eq!(trailer, expected, "{id:?}: the trailer");
            if !trailer.is_empty() {
                self.stats.see(Seen::TrailerArrived);
            }
        }
    }

    /// A receiver was told that an exchange is over.
    pub(crate) fn note_told(&mut self, link: LinkId, frame: &Frame) {
        let id = frame.header.exchange_id();
        let code = decode_fault(frame).expect("the server writes faults that parse").code;
        let now = self.now;
        let rogue = self.ledger.rogues.contains(&link);
        let Some(record) = self.ledger.records.get(&id) else { panic!("{id:?} was never opened") };
        let opener_is_gone = self.ledger.lost_by_server.contains(&record.link);
        let opener_is_rogue = self.ledger.rogues.contains(&record.link);
        match code {
            Code::Cancelled | Code::Application => assert!(
                record.given_up == Some(code) || opener_is_rogue,
                "{id:?}: its receiver is told {code}, and its sender didn't give it up so"
            ),
            Code::DeadlineExceeded => {
                let due = record.arrived.map(|arrived| arrived + record.deadline);
                assert!(due.is_some_and(|due| now >= due), "{id:?}: its deadline hasn't passed");
            }
            Code::SenderLost => {
                assert!(opener_is_gone || opener_is_rogue, "{id:?}: its sender lives");
                self.stats.see(Seen::SenderLost);
            }
            Code::Internal if opener_is_rogue => {}
            _ => assert!(rogue, "{id:?}: its receiver broke no rule and is told {code}"),
        }
        let hand_out = self.open_hand_out(link, id);
        hand_out.ended = Some(Ended::Told(code));
    }

    /// A frame of an exchange came to a client that hasn't got it as its receiver.
    pub(crate) fn note_late_for_receiver(&mut self, link: LinkId, frame: &Frame) {
        let id = frame.header.exchange_id();
        let Some(record) = self.ledger.records.get(&id) else { panic!("{id:?} was never opened") };
        let mut own = record.hand_outs.iter().rev().filter(|h| h.receiver == link);
        let Some(hand_out) = own.next() else {
            panic!("link {link} gets {} of {id:?}, which it was never handed", frame.kind.name())
        };
        let told = matches!(hand_out.ended, Some(Ended::Told(_)));
        assert!(!told, "link {link} gets {} of {id:?} behind its end", frame.kind.name());
        debug_assert_ne!(frame.kind, Kind::StartRequest);
    }
}
