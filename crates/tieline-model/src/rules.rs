//! What must hold in every state: the invariants of `ARCHITECTURE.md`, by their numbers there.

use std::fmt;

/// An invariant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each is said in words by `Rule::name`.
pub enum Rule {
    OneReceiver,
    OnlyItsParties,
    BodiesInOrder,
    EndsOnce,
    NothingLeft,
    WithinWindow,
    NobodyWaitsInVain,
    OwnersOnly,
    Truth,
    NoPanic,
    MeetAtOnce,
    EndsByDeadline,
    BytesMove,
    CoreChecks,
}

impl Rule {
    /// In words, with the number of the invariant.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneReceiver => "1: a request is in the hands of one receiver, and handed on only where it may be",
            Self::OnlyItsParties => "2: a frame reaches its sender or its receiver and nobody else",
            Self::BodiesInOrder => {
                "3: start, then the bytes in order, once, then one end; what was cut off isn't complete"
            }
            Self::EndsOnce => "4: a request ends once for each side, and no readiness is lost",
            Self::NothingLeft => "5: nothing is left of what is over",
            Self::WithinWindow => "6: what is held is within the window, what is promised within the budget",
            Self::NobodyWaitsInVain => "7: no request waits while a receiver is ready",
            Self::OwnersOnly => "8: who has no part in an exchange changes nothing",
            Self::Truth => "9: an outcome is true",
            Self::NoPanic => "10: nothing panics, and no conforming client is thrown out",
            Self::MeetAtOnce => "11: whoever's outbox has something is woken, and a timer is set",
            Self::EndsByDeadline => "12: every request ends by its deadline, or with whoever is lost",
            Self::BytesMove => "14: if the consumer grants and the producer has data, bytes move",
            Self::CoreChecks => "Core::check holds",
        }
    }
}

/// An invariant that doesn't hold, and how that shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which one.
    pub rule: Rule,
    /// How it shows.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.rule.name(), self.what)
    }
}

/// Fails with a rule unless something holds.
macro_rules! hold {
    ($rule:ident, $holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::rules::Broken { rule: $crate::rules::Rule::$rule, what: format!($($what)+) });
        }
    };
}
pub(crate) use hold;
