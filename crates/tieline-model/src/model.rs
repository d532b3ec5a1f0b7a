//! The model as stateright explores it. A state is the way to it: worlds have no copy, so each is made by doing again
//! all that led to it, and states are the same if their digests are.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use stateright::{Model, Property};

use crate::action::Action;
use crate::bound::Bound;
use crate::rules::{Broken, Rule};
use crate::sights::{Sight, Sights};
use crate::world::World;

/// A bound, to be explored.
#[derive(Debug)]
pub struct Exploration {
    bound: &'static Bound,
    /// States from which all came to a good end.
    concluded: Mutex<HashSet<u64>>,
    /// The shortest way to a broken rule.
    broken: Mutex<Option<Vec<Action>>>,
}

/// A state: what led to it, and what was found there.
#[derive(Clone, Debug)]
pub struct State {
    digest: u64,
    path: Vec<Action>,
    next: Vec<Action>,
    seen: Sights,
    broken: Option<Arc<Broken>>,
}

impl State {
    /// What tells it from others.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// What led to it.
    pub fn path(&self) -> &[Action] {
        &self.path
    }

    /// What may happen next.
    pub fn next(&self) -> &[Action] {
        &self.next
    }

    /// The rule that doesn't hold.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_deref()
    }

    fn keeps(&self, rule: Rule) -> bool {
        self.broken.as_ref().is_none_or(|broken| broken.rule != rule)
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, to: &mut H) {
        to.write_u64(self.digest);
    }
}

impl Exploration {
    /// Everything that may happen within a bound.
    pub fn new(bound: &'static Bound) -> Self {
        Self { bound, concluded: Mutex::default(), broken: Mutex::default() }
    }

    /// The bound.
    pub const fn bound(&self) -> &'static Bound {
        self.bound
    }

    /// Makes a world by doing what leads to it.
    pub(crate) fn world(&self, path: &[Action]) -> Result<World<'static>, Broken> {
        let mut world = World::new(self.bound);
        for action in path {
            world.step(*action)?;
            // What is over must be forgotten at the same moment as when it was explored.
            world.forget()?;
        }
        Ok(world)
    }

    /// The state that a path leads to; `None` if its last action does nothing.
    fn state(&self, path: Vec<Action>) -> Option<State> {
        let mut seen = Sights::default();
        match self.look(&path, &mut seen) {
            Ok(Some((digest, next))) => Some(State { digest, path, next, seen, broken: None }),
            Ok(None) => None,
            Err(broken) => {
                self.note(&path);
                let mut to = crate::world::hasher();
                (broken.rule.name(), &broken.what).hash(&mut to);
                Some(State { digest: to.finish(), path, next: Vec::new(), seen, broken: Some(Arc::new(broken)) })
            }
        }
    }

    fn look(&self, path: &[Action], seen: &mut Sights) -> Result<Option<(u64, Vec<Action>)>, Broken> {
        let mut world = if let Some((last, before)) = path.split_last() {
            let mut world = self.world(before)?;
            world.seen = Sights::default();
            if !world.step(*last)? {
                return Ok(None);
            }
            world
        } else {
            self.world(path)?
        };
        let checked = world.check();
        *seen = world.seen;
        checked?;
        let (digest, next) = (world.digest(), world.enabled());
        let is_new = !self.concluded().contains(&digest);
        if is_new {
            if self.bound.meddles {
                world.meddle()?;
            }
            world.conclude(self.bound)?;
            self.concluded().insert(digest);
        }
        Ok(Some((digest, next)))
    }

    /// The shortest way to a broken rule that was found.
    pub fn shortest_broken(&self) -> Option<Vec<Action>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, path: &[Action]) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.as_ref().is_none_or(|shortest| path.len() < shortest.len()) {
            *broken = Some(path.to_vec());
        }
    }

    fn concluded(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.concluded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Model for Exploration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.state(Vec::new()).into_iter().collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend_from_slice(&state.next);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut path = Vec::with_capacity(state.path.len() + 1);
        path.extend_from_slice(&state.path);
        path.push(action);
        self.state(path)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let sights = SIGHTS.iter().filter(|(sight, _)| self.bound.expects.contains(sight));
        let sights = sights.map(|(sight, seen)| Property::sometimes(sight.name(), *seen));
        RULES.iter().map(|(rule, keeps)| Property::always(rule.name(), *keeps)).chain(sights).collect()
    }
}

/// A condition of a property, as stateright wants it.
type Condition = fn(&Exploration, &State) -> bool;

macro_rules! rules {
    ($($rule:ident)+) => {
        const RULES: &[(Rule, Condition)] = &[$((Rule::$rule, |_, state| state.keeps(Rule::$rule))),+];
    };
}
macro_rules! sights {
    ($($sight:ident)+) => {
        const SIGHTS: &[(Sight, Condition)] = &[$((Sight::$sight, |_, state| state.seen.has(Sight::$sight))),+];
    };
}
rules! {
    OneReceiver OnlyItsParties BodiesInOrder EndsOnce NothingLeft WithinWindow NobodyWaitsInVain OwnersOnly Truth
    NoPanic MeetAtOnce EndsByDeadline BytesMove CoreChecks
}
sights! {
    Complete EarlyEnd SecondReceiver SecondAfterLoss ThirdHandOut TakenBack Pinned Cancelled CancelledUnstarted
    Application ReceiverLost SenderLost NoReceiver NoReceiverUnstarted WaitLimit DeadlineExceeded DeadlineUnstarted
    ShuttingDownUnstarted ShuttingDownSeen Overloaded FlowControl InvalidFrame RequestCreditZero ResponseCreditZero
    BeyondInitialWindow Hungry TwoWait LateFrame RaceLost HandedToItself
}
