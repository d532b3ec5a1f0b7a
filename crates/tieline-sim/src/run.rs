//! A seed is run: to its end, or to the first promise that is broken.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::stats::Stats;
use crate::trace::Trace;
use crate::world::World;

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which.
    pub seed: u64,
    /// A number over everything that happened: the same for the same seed, always.
    pub digest: u64,
    /// What came about.
    pub stats: Stats,
    /// What was wrong.
    pub failure: Option<Failure>,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which.
    pub what: String,
    /// What the seed had drawn.
    pub plan: String,
    /// The last that happened.
    pub last: String,
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a seed to its end; with `prints`, everything is printed as it happens.
pub fn run(seed: u64, prints: bool) -> Run {
    keep_panics();
    let mut world = World::new(seed, Trace::new(prints));
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let digest = world.sim.trace.digest();
    if let Ok(stats) = outcome {
        return Run { seed, digest, stats, failure: None };
    }
    let failure = Failure {
        what: PANIC.with_borrow_mut(std::mem::take),
        plan: format!("{:#?}", world.sim.plan),
        last: world.sim.trace.last(),
    };
    let stats = world.sim.stats.clone();
    // Half of a step was done; what it left behind may not even be fit to be dropped.
    std::mem::forget(world);
    Run { seed, digest, stats, failure: Some(failure) }
}

/// A broken promise is a panic: its words are kept for the report instead of being printed where they happen.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let text = info.payload().downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| info.payload().downcast_ref::<&str>().copied()).unwrap_or("a panic");
            let at = info.location().map_or(String::new(), |at| format!(" ({}:{})", at.file(), at.line()));
            PANIC.with_borrow_mut(|kept| *kept = format!("{text}{at}"));
        }));
    });
}
