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
        LateFrameBroadcast: "A frame that comes late is passed on to everybody.",
        AnyFrameMakesReady: "Any frame of a receiver makes it ready for more.",
        OpenerNotChecked: "Whoever knows the ids of a request may act as its sender.",
        ReceiverNotChecked: "Whoever knows the ids of a request may answer it.",
        TimeOutsNotEnforced: "Waits and deadlines pass, and nothing happens.",
        DeadReceiverAssigned: "The readiness of a connection that is gone is assigned all the same.",
        RefusedSilently: "A request that isn't admitted is dropped without an answer.",
        UnassignedOnlyAtEnd: "Only the end of a response unassigns: a cancel, a death or a time-out leaves the assignment.",
    }
    "handing out" {
        StartedSaidUnstarted: "A request whose start has left to a receiver is called unstarted when it is cancelled.",
        SeenForgotten: "A request is called unstarted after a lost receiver, since a later hand-out was.",
        ClaimedStartTakenBack: "A start that has left is taken back, and its request handed to another receiver.",
        LostStartNotTakenOut: "A lost receiver's start is only asked whether it has left, and leaves after all.",
        ReadinessLostOnTakeBack: "A start is taken back, and the readiness that it used isn't given back.",
        ReadinessNotReused: "Readiness that is given back isn't used for what waits.",
        OldReceiveTakenBackFrom: "A start is taken back that stands before the end of its receive.",
        AcceptNotNoted: "A receiver that accepted a request may return it all the same.",
        BegunHandedOutAgain: "A request that isn't idempotent is handed out again though a receiver may have begun it.",
        TimerKeptAtWait: "The wait of a request that left once goes on counting when it waits again.",
        OverdueHandedOut: "A request whose time has passed is handed out, since its timer hasn't been looked at yet.",
        LiveIdsTakenOver: "A request under the ids of a live one takes that one's place.",
    }
    "credit" {
        OneByteBeyondCredit: "One byte more than was granted is taken.",
        GrantOneByteTooFar: "A grant of one byte more than the largest window is passed on.",
        GrantNotInBooks: "A grant is passed on, and whoever obeys it is punished.",
        WaitingCountsAsForwarded: "A receiver that reads nothing may go on granting.",
    }
    "memory" {
        CancelLeaksOneByte: "A cancel gives back all but one byte of what the exchange held of the budget.",
        GivenBackTwice: "What was reserved is given back twice.",
        WrittenStaysReserved: "Bytes that were written stay reserved until their exchange is over.",
        AdmissionFreedEarly: "What an exchange holds is given back before its last byte is written.",
        ErrorUnpaid: "An error that waits to be written to a sender is charged to nobody.",
        PinnedStartUnpaid: "A start that outlives its exchange in a stalled receiver's outbox is charged to nobody.",
        HungryForgotten: "A grant that memory didn't suffice for is forgotten.",
        HungryTurnNotAdvanced: "Memory that comes free goes to whoever asked first, as long as there is any.",
        ProducerLeftStanding: "A producer without credit waits until half an initial window can be granted.",
        HungrySpins: "As long as memory is short, those who wait for it are asked without end.",
        GrantsTakeLastQuarter: "Grants take memory that is set aside for admissions.",
    }
    "turns" {
        SenderTurnNotAdvanced: "A sender is served until none of its requests waits any more.",
        ReceiverTurnNotAdvanced: "A receiver that is ready for many is given all of them at once.",
        WriterTurnNotTaken: "A bulk body is written to its end before anybody else's.",
    }
    "order" {
        ErrorWaitsItsTurn: "A server's error stands behind the bodies of others.",
        FinalLost: "The end of a body is lost where it is joined with the last chunk.",
        BodyBehindFinal: "A body goes on behind the start that closed it.",
        SmallPiecesOvertaken: "A large piece of a body overtakes small ones that wait to be joined.",
        PongOvertakesRefusal: "The answer to a ping overtakes refusals of what came before it.",
        PongForgotten: "A writer that has nothing but the answer to a ping is not told so.",
        NobodyWoken: "The core puts frames out, and reports nobody to wake for them.",
        NextReceiveRaised: "The readiness of a receive that was withdrawn raises the next on its channel.",
        KeyUsedAgain: "The key of an exchange that is over names the next that takes its place.",
    }
    "endings" {
        ReceiverNotTold: "A receiver isn't told that its exchange ended without it.",
        DrainForgetsWaiting: "A drain leaves waiting what nobody will be given any more.",
        EndKeepsReceives: "A client that takes nothing more is given requests all the same.",
        LateFramesHeldAgainst: "Frames that cross the end of their exchange are held against whoever sent them.",
    }
    "the wire" {
        ReservedFlagsAccepted: "Flags that a frame may not bear are passed over.",
        PayloadOneByteTooLong: "A payload may be one byte longer than its limit.",
        HeaderForgotten: "A header whose payload has not come yet is forgotten.",
        MetadataOneByteTooLong: "Metadata may be a byte longer than the start that it stands in.",
        IdUsedTwice: "A connection may use a request id again.",
        FloodNeverStrikes: "Nobody is ever closed for a flood.",
        SilenceNotNoticed: "A peer that says nothing is never given up.",
        StallClockRestarts: "A peer that reads nothing is given new time with all that is queued for it.",
        CrawlClockRestarts: "A frame that crawls is given new time with every byte.",
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
