//! How programs behave: drawn for each request by its sender, and for each hand-out by its receiver.

use std::time::Duration;

use tieline_protocol::{ChannelId, Code, Time};

use crate::plan::ClientPlan;
use crate::rng::Rng;
use crate::sim::Sim;

/// What a sender wants done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) channel: ChannelId,
    /// The length of the body.
    pub(crate) len: u64,
    pub(crate) metadata: usize,
    pub(crate) idempotent: bool,
    pub(crate) no_wait: bool,
    /// In milliseconds; 0 for none.
    pub(crate) wait: u32,
    pub(crate) deadline: u32,
    /// It was sent before, and nothing came of it.
    pub(crate) is_again: bool,
}

impl Job {
    pub(super) fn draw(rng: &mut Rng, plan: &ClientPlan, sim: &Sim) -> Self {
        let manners = sim.plan.manners;
        let (channel, _) = sim.plan.channels[rng.pick(&plan.sends)];
        let short = |rng: &mut Rng| rng.scale(5, 120_000) as u32;
        Self {
            channel,
            len: body_len(rng, manners.body),
            metadata: metadata_len(rng),
            idempotent: rng.chance(manners.idempotent),
            no_wait: rng.chance(manners.no_wait),
            wait: if rng.chance(manners.waits) { short(rng) } else { 0 },
            deadline: if rng.chance(manners.deadlines) { short(rng) } else { 0 },
            is_again: false,
        }
    }
}

fn body_len(rng: &mut Rng, most: u64) -> u64 {
    match rng.below(20) {
        0..=1 => 0,
        2..=9 => rng.within(1, 300),
        10..=14 => rng.scale(1, 20_000),
        15..=18 => rng.scale(1, most),
        _ => rng.within(most / 2, most),
    }
}

fn metadata_len(rng: &mut Rng) -> usize {
    match rng.below(40) {
        0 => 16 * 1024,
        1 => rng.within(15_000, 16_384) as usize,
        2..=4 => rng.scale(60, 8_000) as usize,
        _ => rng.within(0, 100) as usize,
    }
}

/// How a body is produced, and how the other is consumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// The most bytes that are put at once.
    pub(crate) piece: u64,
    /// The most bytes that are consumed at once.
    pub(crate) bite: u64,
    pub(crate) pace: Duration,
    pub(crate) close: CloseStyle,
    /// Grants whatever is legal, instead of what the protocol advises.
    pub(crate) odd_grants: bool,
    pub(crate) window: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CloseStyle {
    /// Together with the last bytes.
    Final,
    /// Behind them.
    Later,
    /// Behind them, with so long a trailer.
    Trailer(usize),
}

impl Style {
    pub(super) fn draw(rng: &mut Rng, len: u64, window: u64, sim: &Sim) -> Self {
        let manners = sim.plan.manners;
        let patient = rng.chance(40);
        Self {
            // Not more than some hundred pieces, or a large body is all that there is to see.
            piece: if rng.chance(70) { 64 * 1024 } else { rng.scale((len / 60).max(1), (len + 1).max(64 * 1024)) },
            bite: if rng.chance(70) { 1 << 20 } else { rng.scale((len / 60).max(1000), 1 << 20) },
            pace: if patient { rng.around(manners.pace) } else { rng.micros(2_000) },
            close: match rng.below(4) {
                0 => CloseStyle::Later,
                1 => CloseStyle::Trailer(rng.within(5, 1000) as usize),
                _ => CloseStyle::Final,
            },
            odd_grants: rng.chance(manners.odd_grants),
            window,
        }
    }

    /// Does everything at once from now on.
    pub(super) fn hasten(&mut self) {
        self.piece = 64 * 1024;
        self.bite = 1 << 20;
        self.pace = Duration::ZERO;
        self.odd_grants = false;
    }
}

/// When and how a sender gives its request up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GivesUp {
    pub(crate) at: Time,
    pub(crate) code: Code,
}

impl GivesUp {
    pub(super) fn draw(rng: &mut Rng, sim: &Sim) -> Option<Self> {
        let manners = sim.plan.manners;
        let code = match rng.below(100) {
            n if n < manners.cancels => Code::Cancelled,
            n if n < manners.cancels + manners.sender_fails => Code::Application,
            _ => return None,
        };
        let span = if rng.chance(50) { rng.around(manners.job) } else { rng.micros(500_000) };
        Some(Self { at: sim.now + span, code })
    }
}

/// What a receiver does with a request.
// The flags are independent of each other.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) returns: bool,
    /// It reads the request only so far before it answers or falls silent.
    pub(crate) ends_early: bool,
    pub(crate) answers_early: bool,
    /// It never comes to an end by itself.
    pub(crate) is_stuck: bool,
    /// Its program fails after so many bytes of the response.
    pub(crate) fails_at: Option<u64>,
    pub(crate) begins: Time,
    pub(crate) job: Duration,
    pub(crate) len: u64,
    pub(crate) metadata: usize,
    /// It raises its count with the closing frame, not later.
    pub(crate) raises_at_close: bool,
}

impl Service {
    pub(super) fn draw(rng: &mut Rng, sim: &Sim) -> Self {
        let manners = sim.plan.manners;
        let len = body_len(rng, manners.body);
        if sim.is_healed {
            return Self {
                returns: false,
                ends_early: false,
                answers_early: false,
                is_stuck: false,
                fails_at: None,
                begins: sim.now,
                job: Duration::ZERO,
                len,
                metadata: 0,
                raises_at_close: true,
            };
        }
        Self {
            returns: rng.chance(manners.returns),
            ends_early: rng.chance(manners.ends_early),
            answers_early: rng.chance(manners.early),
            is_stuck: rng.chance(manners.stuck),
            fails_at: rng.chance(manners.receiver_fails).then(|| rng.below(len + 1)),
            begins: sim.now + if rng.chance(30) { rng.around(manners.pace) } else { rng.micros(1000) },
            job: rng.around(manners.job),
            len,
            metadata: metadata_len(rng),
            raises_at_close: rng.chance(70),
        }
    }
}
