//! A sender opens a request.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::flow::Outbound;
use tieline_protocol::limits::{EARLY_STARTS, initial_credit};
use tieline_protocol::metadata::METADATA_MAX;
use tieline_protocol::outbox::{Close, StartFrame, Way};
use tieline_protocol::{ExchangeId, Flags, Metadata, RequestId, StartLimits};

use super::conn::{Conn, Leaving};
use super::manner::{CloseStyle, GivesUp, Job, Style};
use super::sending::{Sending, Wakes, trailer};
use crate::body::Tag;
use crate::ledger::Record;
use crate::plan::ClientPlan;
use crate::sim::Sim;
use crate::stats::Seen;

impl Conn {
    /// Puts the start of a request into the outbox; whether the connection takes one.
    pub(super) fn open(&mut self, job: Job, plan: &ClientPlan, sim: &mut Sim) -> bool {
        let early = !self.is_greeted();
        if self.is_impostor
            || self.leaving != Leaving::No
            || self.sends.len() >= plan.most
            || (early && self.early_starts >= EARLY_STARTS)
        {
            return false;
        }
        self.early_starts += usize::from(early);
        // Gaps are harmless.
        self.next_request += if self.rng.chance(10) { u128::from(self.rng.within(2, 1000)) } else { 1 };
        let request = RequestId::from_u128(self.next_request);
        let id = ExchangeId { client: self.client(), request, channel: job.channel };
        let metadata = self.request_metadata(id, job, sim);
        let credit = initial_credit(self.limits.initial, metadata.wire_len());
        let metadata_len = metadata.wire_len();
        let style = Style::draw(&mut self.rng, job.len, self.window, sim);
        let lane = self.outbox.open(id, Way::Request);
        let flags = Flags::NO_WAIT.when(job.no_wait) | Flags::IDEMPOTENT.when(job.idempotent);
        let value = StartLimits { wait_ms: job.wait, deadline_ms: job.deadline }.to_value();
        self.outbox.start(lane, StartFrame { flags, value, metadata: metadata.clone() });
        let mut out = Outbound::new(credit);
        let first = if self.rng.chance(80) { Sending::next_piece(&out, job.len, &style, &mut self.rng) } else { 0 };
        out.spend(first);
        self.outbox.body(lane, Tag::request(id).piece(0, first as usize));
        let closed = first == job.len && style.close == CloseStyle::Final;
        if closed {
            self.outbox.close(lane, Close::End { trailer: Bytes::new() });
        }
        let longest = sim.plan.server.limits.deadline;
        let asked = Duration::from_millis(job.deadline.into());
        let deadline = if job.deadline == 0 { longest } else { asked.min(longest) };
        let wait = Duration::from_millis(job.wait.into());
        let record = Record {
            link: self.link,
            idempotent: job.idempotent,
            no_wait: job.no_wait,
            wait: (job.wait > 0).then_some(wait),
            deadline,
            metadata,
            opened: sim.now,
            arrived: None,
            sent: first,
            closed,
            trailer: if closed { trailer(id, style.close) } else { Bytes::new() },
            given_up: None,
            response: None,
            by: None,
            outcome: None,
            ended_inside: false,
            handed_to: None,
            lost_in_hand: false,
            returns: 0,
            hand_outs: Vec::new(),
        };
        sim.note_opened(id, record);
        if job.is_again {
            sim.stats.see(Seen::Resent);
        }
        if credit == 0 && job.len > 0 {
            sim.stats.see(Seen::NoInitialCredit);
        }
        // Who knows that the response will be large may say so at once; not before the server's limits are known.
        let mut granted_before = 0;
        if !early && self.rng.chance(10) {
            granted_before = self.window;
            self.outbox.ack(lane, granted_before);
        }
        let mut send = Sending {
            job,
            metadata_len,
            lane,
            out,
            closed,
            style,
            gives_up: GivesUp::draw(&mut self.rng, sim),
            has_given_up: false,
            response: None,
            granted_before,
            wakes: Wakes::default(),
        };
        let pace = self.rng.around(style.pace);
        send.wakes.after(pace, self.link, Way::Request, id, sim);
        self.sends.insert(id, send);
        true
    }

    fn request_metadata(&mut self, id: ExchangeId, job: Job, sim: &Sim) -> Metadata {
        let mut metadata = Metadata::new();
        if self.rng.chance(50)
            && let Some(name) = sim.channel_name(id.channel)
        {
            metadata.push("channel", name).expect("a short valid entry");
        }
        Tag::request(id).metadata(metadata, job.metadata.min(METADATA_MAX))
    }
}
