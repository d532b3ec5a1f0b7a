//! The checker itself: it merges only what goes on alike, and tells what it finds.

use stateright::Model;
use tieline_model::bound::{Allowance, Body, Bound, Epilogue, Plan, Role};
use tieline_model::bounds;
use tieline_model::explore::explore;
use tieline_model::merges::check_merges;
use tieline_model::model::Exploration;
use tieline_model::sights::Sight;
use tieline_model::story::tell;

/// Small enough for a debug build, and with something of everything.
const TINY: Bound = Bound {
    requests: 1,
    plans: &[Plan::IDEMPOTENT.with(Body::of(3, 2)).within(0, 2)],
    responses: &[Body::of(1, 0)],
    accepts: true,
    window: 3,
    races: 1,
    epilogue: Epilogue::Deadlines,
    may: Allowance { receiver_crashes: 1, returns: 1, ticks: 1, ..Allowance::NONE },
    roles: &[Role::SLOW_SENDER, Role::RECEIVER],
    expects: &[Sight::Complete, Sight::RaceLost],
    ..bounds::AGAIN
};

/// With more than one request, so that places in the core are used in different orders.
const TWO: Bound = Bound {
    roles: &[Role::SENDER, Role::SENDER, Role::RECEIVER],
    raised_to: 2,
    may: Allowance { receiver_crashes: 1, cancels: 1, returns: 1, ..Allowance::NONE },
    ..bounds::ASSIGNMENT
};

#[test]
fn states_that_are_merged_go_on_alike() {
    let merged = check_merges(&TINY).unwrap_or_else(|story| panic!("merged, and not alike:\n{story}"));
    assert!(merged > 100, "{merged}");
}

#[test]
fn states_of_several_requests_that_are_merged_go_on_alike() {
    let merged = check_merges(&TWO).unwrap_or_else(|story| panic!("merged, and not alike:\n{story}"));
    assert!(merged > 100, "{merged}");
}

#[test]
fn a_small_bound_is_exhausted_and_all_holds() {
    let report = explore(&TINY, 1);
    assert!(report.is_good(), "{report:#?}");
}

#[test]
fn what_is_never_seen_is_reported() {
    const HOLLOW: Bound = Bound { expects: &[Sight::Complete, Sight::Overloaded], ..TINY };
    assert_eq!(explore(&HOLLOW, 1).unseen, [Sight::Overloaded.name()]);
}

#[test]
fn a_path_is_told_as_what_happened_and_what_everybody_got() {
    let exploration = Exploration::new(&TINY);
    let mut state = exploration.init_states().remove(0);
    for wanted in ["1 opens a request", "2 opens a receive", "is written", "2 is lost"] {
        let action = *state.next().iter().find(|action| action.to_string().contains(wanted)).expect(wanted);
        state = exploration.next_state(&state, action).expect("it does something");
    }
    let story = tell(&exploration, state.path());
    for line in [
        "    2. 2 opens a receive on channel 0, ready for 1",
        "→ 2 gets start+REQUEST 1/1 with 16384 bytes IDEMPOTENT",
        "    4. 2 is lost",
        "→ 1 gets error+RESPONSE 1/1 deadline-exceeded",
    ] {
        assert!(story.contains(line), "{story}");
    }
}
