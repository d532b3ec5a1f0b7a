//! The invariants of the core as formulas that run: after every step in tests and simulations.

use std::collections::BTreeMap;

use tieline_protocol::outbox::Charge;

use crate::budget::admission;
use crate::channel::Channel;
use crate::core::Core;
use crate::exchange::{Exchange, Slot, Stage};
use crate::port::Port;

impl<P: Port> Core<P> {
    /// Asserts every invariant that can be seen from the core's state.
    ///
    /// # Panics
    /// If one doesn't hold.
    pub fn check(&self) {
        assert_eq!(self.index.len(), self.exchanges.len(), "the index names every exchange");
        assert_eq!(self.timers.len(), self.exchanges.len(), "every exchange has one timer");
        assert!(self.budget.held() <= self.budget.total(), "what is promised never exceeds the budget");
        let mut busy: BTreeMap<_, u64> = BTreeMap::new();
        let mut waiting: BTreeMap<_, usize> = BTreeMap::new();
        for (slot, x) in self.exchanges.iter() {
            self.check_exchange(slot, x);
            if x.hand_out().is_some() {
                *busy.entry(x.id.channel).or_default() += 1;
            } else {
                *waiting.entry(x.id.channel).or_default() += 1;
            }
        }
        for (id, channel) in &self.channels {
            assert!(!channel.is_unused(), "a channel that nothing needs is forgotten");
            // Invariant 7.
            assert!(
                channel.waiting.is_empty() || channel.ready.is_empty(),
                "a request waits while a receiver is ready on {id}"
            );
            assert_eq!(channel.busy, busy.remove(id).unwrap_or(0), "busy counts the requests in hands");
            assert_eq!(channel.waiting.len(), waiting.remove(id).unwrap_or(0), "who isn't in hands stands in line");
        }
        assert!(busy.is_empty() && waiting.is_empty(), "every exchange's channel is known");
        self.check_conns();
        self.check_counts();
        for (consumer, (slot, _)) in self.hungry.iter() {
            assert!(self.exchanges.get(*slot).is_some(), "{consumer:?} waits for memory for a request that is over");
        }
    }

    fn check_exchange(&self, slot: Slot, x: &Exchange) {
        assert_eq!(self.index.get(&x.id), Some(&slot));
        assert!(self.timers.contains(&(x.timer, slot)));
        let promised = self.config.initial.min(if x.request.is_closed() {
            x.metadata_len + x.request.arrived()
        } else {
            u64::MAX
        });
        assert_eq!(x.admission.as_ref().map(Charge::held), Some(admission(promised)), "an open exchange is paid for");
        assert!(x.request.arrived() <= x.request.granted(), "invariant 6, request");
        if let Some(kept) = &x.kept {
            assert!(kept.body.len() as u64 <= self.config.initial, "at most an initial window is kept");
            assert_eq!(kept.body.len() as u64, x.request.arrived(), "what may be handed out again is kept whole");
        }
        match x.stage {
            Stage::Waiting(ticket) => {
                assert!(ticket.is_some() && x.kept.is_some() && x.response.is_none());
                assert!(x.request.granted() <= self.config.initial, "a request that waits was granted nothing more");
            }
            Stage::Handed(_) => assert!(x.response.is_none() && x.kept.is_some()),
            Stage::Accepted(_) => assert!(x.response.is_none() && (x.kept.is_none() || x.idempotent)),
            Stage::Responding(_) => {
                assert!(x.response.is_some_and(|response| response.arrived() <= response.granted()), "invariant 6");
                assert!(x.kept.is_none());
            }
        }
        // Invariant 1 and 8: one opener, at most one receiver, both known and both knowing.
        assert!(self.conns.get(&x.opener).is_some_and(|conn| conn.opened.contains(slot)));
        for (key, conn) in &self.conns {
            let is_receiver = x.hand_out().is_some_and(|to| to.receiver == *key);
            assert_eq!(conn.assigned.contains(slot), is_receiver);
        }
    }

    /// What is counted for people is what there is.
    fn check_counts(&self) {
        let (totals, counts) = (self.totals(), self.counts());
        assert_eq!(self.books.len(), self.channels.len(), "every channel has one book");
        assert_eq!(totals.waiting, counts.waiting as u64);
        assert_eq!(totals.busy, counts.busy as u64);
        assert_eq!(totals.receives, counts.receives as u64);
        // Modulo 2^64, as they are counted.
        let (mut all_free, mut free) = (0_u64, BTreeMap::<_, u64>::new());
        for (id, receive) in self.conns.values().flat_map(|conn| conn.receives.iter()) {
            let more = receive.count - receive.used;
            all_free = all_free.wrapping_add(more);
            let free = free.entry(id).or_default();
            *free = free.wrapping_add(more);
        }
        assert_eq!(totals.free, all_free, "what is free is what receives are ready for");
        let mut stalled: BTreeMap<_, [u32; 3]> = BTreeMap::new();
        for (_, x) in self.exchanges.iter() {
            for stall in x.stalls.iter().flatten() {
                assert!(x.hand_out().is_some(), "who waits isn't stalled");
                stalled.entry(x.id.channel).or_default()[stall.by as usize] += 1;
            }
        }
        for (id, channel) in &self.channels {
            let book = channel.book.and_then(|book| self.books.get(book));
            assert!(book.is_some_and(|book| book.channel == *id
                && book.free == free.remove(id).unwrap_or(0)
                && book.stalled == stalled.remove(id).unwrap_or([0; 3])));
        }
    }

    fn check_conns(&self) {
        let mut receives: BTreeMap<_, usize> = BTreeMap::new();
        for (key, conn) in &self.conns {
            for (id, receive) in conn.receives.iter() {
                assert!(receive.used <= receive.count, "a readiness is used once");
                assert_eq!(receive.is_ready(), receive.turn.is_some(), "who is ready has a turn");
                *receives.entry(id).or_default() += 1;
                if let Some(turn) = receive.turn {
                    assert_eq!(self.channels.get(&id).and_then(|channel| channel.ready.get(turn)), Some(key));
                }
            }
            for slot in conn.opened.keys().chain(conn.assigned.keys()) {
                assert!(self.exchanges.get(slot).is_some(), "nothing is left of an exchange that is over");
            }
        }
        for (id, Channel { receives: counted, ready, .. }) in &self.channels {
            assert_eq!(*counted, receives.remove(id).unwrap_or(0));
            assert!(ready.len() <= *counted);
        }
        assert!(receives.is_empty());
    }
}
