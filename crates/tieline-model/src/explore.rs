//! Explores all of a bound, and says what was found.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

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
    /// The shortest way to a broken rule that was found, as a story.
    pub broken: Option<String>,
    /// What should have been seen and wasn't.
    pub unseen: Vec<&'static str>,
}

impl Report {
    /// Whether all rules hold, and all was seen that should be.
    pub fn is_good(&self) -> bool {
        self.broken.is_none() && self.unseen.is_empty()
    }
}

/// Explores all states of a bound, on so many threads. It ends with the first rule that is found broken.
pub fn explore(bound: &'static Bound, threads: usize) -> Report {
    let began = Instant::now();
    let checker =
        Exploration::new(bound).checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let model = checker.model();
    let discoveries = checker.discoveries();
    let sometimes = |property: &Property<_>| property.expectation == Expectation::Sometimes;
    let (sights, rules): (Vec<_>, Vec<_>) = model.properties().into_iter().partition(sometimes);
    let unseen = sights.iter().map(|sight| sight.name).filter(|name| !discoveries.contains_key(name)).collect();
    let is_broken = rules.iter().any(|rule| discoveries.contains_key(rule.name));
    let broken = model.shortest_broken().filter(|_| is_broken).map(|path| tell(model, &path));
    Report {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        broken,
        unseen,
    }
}
