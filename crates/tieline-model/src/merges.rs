//! Checks the checker: that states which are taken for the same go on alike.

use std::collections::{BTreeMap, VecDeque};

use stateright::Model;

use crate::bound::Bound;
use crate::model::{Exploration, State};
use crate::story::tell;

/// Goes through all ways into all states of a bound, and compares what may happen next, and where that leads, each time
/// that a state is met again. If the digest left out something that decides how a state goes on, states that differ
/// would be taken for the same, and what follows from one of them would never be looked at. How often a state was met
/// again.
///
/// # Errors
/// With the story of a way into a state that doesn't go on like another way into it.
pub fn check_merges(bound: &'static Bound) -> Result<usize, String> {
    let exploration = Exploration::new(bound);
    let mut known: BTreeMap<u64, Vec<Option<u64>>> = BTreeMap::new();
    let mut left: VecDeque<_> = exploration.init_states().into();
    let mut merged = 0;
    while let Some(state) = left.pop_front() {
        let next = successors(&exploration, &state);
        let digests: Vec<_> = next.iter().map(|state| state.as_ref().map(State::digest)).collect();
        if let Some(before) = known.get(&state.digest()) {
            merged += 1;
            if *before != digests {
                return Err(tell(&exploration, state.path()));
            }
        } else {
            known.insert(state.digest(), digests);
            left.extend(next.into_iter().flatten());
        }
    }
    Ok(merged)
}

/// Where what may happen in a state leads, in the order of [`State::next`]; `None` if it does nothing.
fn successors(exploration: &Exploration, state: &State) -> Vec<Option<State>> {
    state.next().iter().map(|action| exploration.next_state(state, *action)).collect()
}
