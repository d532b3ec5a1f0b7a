//! Explores all of a bound, and says what was found.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::bound::Bound;
use crate::model::Exploration;
use crate::story::tell;

/// What an exploration found.
#[derive(Debug)]
pub struct Report {
    /// States that differ.
    pub states: usize,
    /// Steps that were tried from them.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Rules that are broken, as stories.
    pub broken: Vec<String>,
    /// What should have been seen and wasn't.
    pub unseen: Vec<&'static str>,
}

impl Report {
    /// Whether all rules hold, and all was seen that should be.
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.unseen.is_empty()
    }
}

/// Explores all states of a bound, on so many threads. It ends with the first rule that is found broken.
pub fn explore(bound: &'static Bound, threads: usize) -> Report {
    let began = Instant::now();
    let checker =
        Exploration::new(bound).checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let model = checker.model();
    let discoveries = checker.discoveries();
    let (mut broken, mut unseen) = (Vec::new(), Vec::new());
    for property in model.properties() {
        match (property.expectation, discoveries.get(property.name)) {
            (Expectation::Sometimes, None) => unseen.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => broken.push(tell(model, path.last_state().path())),
        }
    }
    Report {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        broken,
        unseen,
    }
}
