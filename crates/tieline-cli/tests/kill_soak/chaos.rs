//! Kills, stops and sends away processes at random, for as long as it is told.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::child::{Child, Kind};
use crate::rng::Rng;
use crate::stage::Stage;

/// So long is a process stopped that is to be taken for lost by the server, which waits for 35 s at most.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);

/// What that is called.
pub(crate) const SILENCED: &str = "stopped for long";

/// What is done to whom, and how often in a thousand times.
const DEEDS: [(u64, Kind, Deed); 12] = [
    (200, Kind::Program, Deed::Kill),
    (120, Kind::Commands, Deed::Kill),
    (220, Kind::Sender, Deed::Kill),
    (35, Kind::Server, Deed::Kill),
    (100, Kind::Program, Deed::Stop),
    (70, Kind::Commands, Deed::Stop),
    (100, Kind::Sender, Deed::Stop),
    (50, Kind::Server, Deed::Stop),
    (35, Kind::Program, Deed::Leave),
    (25, Kind::Commands, Deed::Leave),
    (30, Kind::Sender, Deed::Leave),
    (15, Kind::Server, Deed::Leave),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Kill,
    Stop,
    /// To be asked to end, and to do so in good order.
    Leave,
}

/// Runs for so long.
pub(crate) fn run(stage: &mut Stage, rng: &mut Rng, span: Duration) {
    let until = Instant::now() + span;
    // A short soak would end within the silence.
    let silent_share = if span > 2 * SILENCE { 2 } else { 0 };
    // A server's silence is everybody's, so there is one, in a soak that can spare the time.
    let mut silent_server = (span > 5 * SILENCE).then(|| Instant::now() + span / 2);
    while Instant::now() < until && stage.unexplained.is_empty() {
        sleep(rng.millis(10, 120));
        stage.tend();
        stage.refill();
        let (kind, deed) = draw(rng);
        act(stage, rng, kind, deed, if kind == Kind::Server { 0 } else { silent_share });
        if silent_server.is_some_and(|at| at <= Instant::now()) {
            act(stage, rng, Kind::Server, Deed::Stop, 100);
            if stage.children.iter().any(|child| child.kind == Kind::Server && child.is_silent) {
                silent_server = None;
            }
        }
    }
}

fn draw(rng: &mut Rng) -> (Kind, Deed) {
    let mut left = rng.below(DEEDS.iter().map(|(weight, ..)| weight).sum());
    for (weight, kind, deed) in DEEDS {
        if left < weight {
            return (kind, deed);
        }
        left -= weight;
    }
    unreachable!("the weights add up")
}

/// Of a hundred stops, `silent_share` are long.
fn act(stage: &mut Stage, rng: &mut Rng, kind: Kind, deed: Deed, silent_share: u64) {
    let is_one = |child: &&Child| child.kind == kind && !child.is_silent && !child.is_killed;
    let count = stage.children.iter().filter(is_one).count() as u64;
    let chosen = rng.below(count.max(1)) as usize;
    let Some(child) = stage.children.iter().filter(is_one).nth(chosen) else { return };
    let is_silenced = rng.percent(silent_share);
    let who = child.who;
    let what = match deed {
        Deed::Kill if child.leaving.is_some() => "killed while leaving",
        Deed::Kill if child.stopped.is_some() => "killed while stopped",
        Deed::Kill => "killed",
        Deed::Stop if child.stopped.is_none() && is_silenced => SILENCED,
        Deed::Stop if child.stopped.is_none() => "stopped",
        Deed::Leave if child.leaving.is_none() && child.stopped.is_none() => "sent away",
        Deed::Stop | Deed::Leave => return,
    };
    // What comes of it must not seem to come before it.
    stage.note(kind, who, what);
    let child = stage.children.iter_mut().find(|child| child.who == who).expect("it was just found");
    match deed {
        Deed::Kill => child.kill(),
        Deed::Leave => child.leave(),
        Deed::Stop => {
            child.signal(Signal::SIGSTOP);
            child.is_silent = is_silenced;
            child.stopped = Some(Instant::now() + if is_silenced { SILENCE } else { rng.millis(20, 800) });
        }
    }
}
