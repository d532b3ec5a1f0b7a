//! Faults that can be planted in the pure crates, to show that their tests would notice them.
//!
//! Each stands here with a sentence, and in the code where somebody might really make it: `planted(Mutant::…)` there is
//! the constant `false`, and costs nothing, unless the crate is built with the feature `mutants`. With it, the
//! environment variable `TIELINE_MUTANT` names the one that is planted in this process, so that one build serves all.
//! `just mutants` plants each in turn and fails if the tests don't notice one; the feature is for nothing else.

macro_rules! mutants {
    ($($family:literal { $($mutant:ident: $fault:literal,)+ })+) => {
        /// A fault that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mutant {
            $($(#[doc = $fault] $mutant,)+)+
        }

        /// All of them, in families.
        pub const TABLE: &[Row] = &[
            $($(Row { mutant: Mutant::$mutant, name: stringify!($mutant), family: $family, fault: $fault },)+)+
        ];
    };
}

/// One mutant and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which one.
    pub mutant: Mutant,
    /// What `TIELINE_MUTANT` calls it.
    pub name: &'static str,
    /// What it belongs to.
    pub family: &'static str,
    /// The fault, as a sentence.
    pub fault: &'static str,
}

mutants! {
    "an earlier implementation" {
        RequestBroadcast: "A request is handed out to every receiver that is ready.",
        OpenerNotChecked: "Whoever knows the ids of a request may act as its sender.",
        ReceiverNotChecked: "Whoever knows the ids of a request may answer it.",
        TimeOutsNotEnforced: "Waits and deadlines pass, and nothing happens.",
        DeadReceiverAssigned: "The readiness of a connection that is gone is assigned all the same.",
        RefusedSilently: "A request that isn't admitted is dropped without an answer.",
        UnassignedOnlyAtEnd: "Only the end of the response unassigns: a cancel, a death or a time-out leaves the assignment.",
    }
    "handing out" {
        StartedSaidUnstarted: "A cancelled request is called unstarted although its start has left to a receiver.",
        ReadinessLostOnTakeBack: "A start is taken back, and the readiness that it used isn't given back.",
    }
    "memory" {
        CancelLeaksOneByte: "A cancel gives back all but one byte of what the exchange held of the budget.",
    }
}

/// Whether this fault is planted in this process: never, without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn planted(_: Mutant) -> bool {
    false
}

/// Whether this fault is planted in this process: the one that `TIELINE_MUTANT` names, if it is set.
///
/// # Panics
/// If it names none. And if `TIELINE_MUTANT_REACHED` is set, when the fault's place is reached: so that one that no
/// test notices can be told from one that no test comes by.
#[cfg(feature = "mutants")]
pub fn planted(mutant: Mutant) -> bool {
    use std::env::{var, var_os};
    use std::sync::OnceLock;

    // Read once: input from outside of the arguments, which the pure crates have nowhere else.
    static CHOSEN: OnceLock<Option<(Mutant, bool)>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = var("TIELINE_MUTANT").ok()?;
        let row = TABLE.iter().find(|row| row.name == name);
        let row = row.unwrap_or_else(|| panic!("TIELINE_MUTANT: no mutant is called {name}"));
        Some((row.mutant, var_os("TIELINE_MUTANT_REACHED").is_some()))
    });
    let Some((_, reached)) = chosen.filter(|(chosen, _)| *chosen == mutant) else { return false };
    assert!(!reached, "the place of {mutant:?} was reached");
    true
}
