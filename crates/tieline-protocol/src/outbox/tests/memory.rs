//! What was promised is charged, given back as bytes are written, and gone with the lane.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

/// A budget that counts what is reserved, and charges against it.
#[derive(Clone, Default)]
struct Budget(Rc<Cell<u64>>);

#[derive(Debug)]
struct Reserved {
    budget: Rc<Cell<u64>>,
    bytes: u64,
}

impl Budget {
    fn reserve(&self, bytes: u64) -> Reserved {
        self.0.set(self.0.get() + bytes);
        Reserved { budget: self.0.clone(), bytes }
    }

    /// Raises a charge to `bytes`, or makes one.
    fn raise(&self, charge: &mut Option<Reserved>, bytes: u64) {
        match charge {
            Some(charge) if charge.bytes < bytes => {
                self.0.set(self.0.get() + bytes - charge.bytes);
                charge.bytes = bytes;
            }
            Some(_) => {}
            None => *charge = Some(self.reserve(bytes)),
        }
    }

    fn reserved(&self) -> u64 {
        self.0.get()
    }
}

impl Charge for Reserved {
    fn held(&self) -> u64 {
        self.bytes
    }

    fn keep(&mut self, bytes: u64) {
        if bytes < self.bytes {
            self.budget.set(self.budget.get() - (self.bytes - bytes));
            self.bytes = bytes;
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.keep(0);
    }
}

const W: u64 = INITIAL_WINDOW;

fn promise(outbox: &mut Outbox<Reserved>, budget: &Budget, key: LaneKey, to: u64) -> bool {
    outbox.promise(key, to, |charge, bytes| {
        budget.raise(charge, bytes);
        true
    })
}

fn push(outbox: &mut Outbox<Reserved>, key: LaneKey, bytes: u64) {
    outbox.body(key, zeros(bytes as usize));
}

#[test]
fn the_initial_window_is_not_charged_again() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    assert!(outbox.promise(key, W, |_, _| panic!("the admission covers it")));
    assert!(promise(&mut outbox, &budget, key, W + 10));
    assert_eq!(budget.reserved(), 10);
}

#[test]
fn what_was_promised_beyond_is_given_back_as_bytes_are_written() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    assert!(promise(&mut outbox, &budget, key, 4 * W));
    assert_eq!(budget.reserved(), 3 * W);
    push(&mut outbox, key, 2 * W);
    assert_eq!(budget.reserved(), 3 * W, "what came was promised before");
    claim(&mut outbox);
    assert_eq!(budget.reserved(), 3 * W, "claimed is not written");
    outbox.written();
    assert_eq!(budget.reserved(), W);
    assert_eq!(outbox.covered(key), 4 * W, "2 written, 1 of the admission, 1 reserved");
    push(&mut outbox, key, 2 * W);
    drain(&mut outbox);
    assert_eq!(budget.reserved(), 0);
    assert!(promise(&mut outbox, &budget, key, 6 * W));
    assert_eq!(budget.reserved(), W, "of 6 windows 4 are written and 1 is covered");
}

#[test]
fn a_refused_reservation_changes_nothing() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    assert!(promise(&mut outbox, &budget, key, 2 * W));
    assert!(!outbox.promise(key, 8 * W, |_, bytes| {
        assert_eq!(bytes, 7 * W);
        false
    }));
    push(&mut outbox, key, W / 2);
    drain(&mut outbox);
    assert_eq!(budget.reserved(), W / 2, "counted as if only 2 windows were promised");
}

#[test]
fn what_a_lane_holds_goes_with_it() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let retracted = outbox.open(exchange(1), Way::Request);
    outbox.start(retracted, start());
    promise(&mut outbox, &budget, retracted, 3 * W);
    assert!(outbox.retract(retracted));
    assert_eq!(budget.reserved(), 0);

    let discarded = started_response(&mut outbox, 2);
    promise(&mut outbox, &budget, discarded, 3 * W);
    push(&mut outbox, discarded, 2 * W);
    outbox.discard(discarded);
    assert_eq!(budget.reserved(), 0);
    assert!(!outbox.promise(discarded, 9 * W, |_, _| panic!("the lane is gone")));
}

#[test]
fn a_discarded_lane_holds_its_charge_until_what_was_claimed_is_written() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    promise(&mut outbox, &budget, key, 5 * W);
    push(&mut outbox, key, W);
    claim(&mut outbox);
    outbox.discard(key);
    assert_eq!(budget.reserved(), W, "and of what was promised, nothing more");
    outbox.written();
    assert_eq!(budget.reserved(), 0);
}

#[test]
fn an_aborted_lane_gives_back_what_was_promised_though_nobody_reads_the_error() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    promise(&mut outbox, &budget, key, 64 * W);
    push(&mut outbox, key, 20 * W);
    assert_eq!(budget.reserved(), 63 * W);
    outbox.abort(key, Flags::NONE, Bytes::from_static(&[0, 15]));
    outbox.finish(key, None);
    assert_eq!(budget.reserved(), 0);
    assert_eq!(outbox.lanes(), 1, "its error waits");
}

#[test]
fn an_admission_is_held_until_the_last_byte_is_written() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    push(&mut outbox, key, 10);
    outbox.close(key, end());
    outbox.finish(key, Some(budget.reserve(36 * 1024)));
    claim(&mut outbox);
    assert_eq!(budget.reserved(), 36 * 1024);
    outbox.written();
    assert_eq!(budget.reserved(), 0);
    assert_eq!(outbox.lanes(), 0);
}

#[test]
fn an_admission_of_a_lane_with_nothing_to_write_goes_at_once() {
    let (mut outbox, budget) = (Outbox::new(), Budget::default());
    let key = started_response(&mut outbox, 1);
    outbox.close(key, end());
    drain(&mut outbox);
    outbox.finish(key, Some(budget.reserve(1)));
    assert_eq!((budget.reserved(), outbox.lanes()), (0, 0));
}

#[test]
fn hungry_lanes_report_their_progress_and_others_do_not() {
    let mut outbox = outbox();
    let hungry = started_response(&mut outbox, 1);
    let fed = started_response(&mut outbox, 2);
    outbox.set_hungry(hungry, true);
    outbox.ack(hungry, 5);
    drain(&mut outbox);
    assert_eq!(outbox.take_progress(), [], "an ack is no progress of the body");
    for key in [hungry, fed] {
        outbox.body(key, text("hello"));
    }
    claim(&mut outbox);
    assert_eq!(outbox.take_progress(), [], "claimed is not written");
    outbox.written();
    assert_eq!(outbox.take_progress(), [(exchange(1), Way::Response)]);
    assert_eq!(outbox.take_progress(), []);
    outbox.set_hungry(hungry, false);
    outbox.body(hungry, text("more"));
    drain(&mut outbox);
    assert_eq!(outbox.take_progress(), []);
}

#[test]
fn tokens_of_a_model_cost_about_their_bytes() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    for _ in 0..5000 {
        outbox.body(key, text("x"));
    }
    assert_eq!(outbox.waiting(key), 5000);
    assert_eq!(outbox.body_waiting(), 5000);
    assert_eq!(drain(&mut outbox).len(), 1, "what waits together leaves together");
}
