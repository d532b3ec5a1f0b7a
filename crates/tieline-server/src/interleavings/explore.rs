//! In which orders the threads of a scene run: all that depart from a plain one a few times, and many that are drawn.
//!
//! A step of a thread is what lies between two uses of a lock, an atomic or a condition. In the plain order, a thread runs
//! until it waits or is over, and then the one that was started first of those that can. To let another go on instead is a
//! departure. Faults of this kind take few of them, but at the right step; so all orders with few departures are run, and
//! random ones, which reach what takes more.
//!
//! Memory is sequentially consistent here: a store that is seen late, as by `Ordering::Relaxed`, isn't tried.

use std::env::var;
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};

/// No scene takes so many steps, unless it turns in a circle.
const STEPS_MAX: usize = 20_000;

/// Runs a scene in every order with at most so many departures, then in as many random ones.
///
/// With `TIELINE_INTERLEAVINGS=SECONDS`, it goes on for so long in orders with one departure more, and for so long in random
/// ones that are others each time.
pub(super) fn explore(name: &str, departures: usize, random: usize, scene: impl Fn() + Send + Sync + Clone + 'static) {
    let run = |most, time| Runner::new(Departures::new(most), config(time)).run(scene.clone());
    // Those with fewer first: what fails is then told by the plainest order that it fails in.
    let all = (0..=departures).fold(0, |_, most| run(most, None));
    let time = var("TIELINE_INTERLEAVINGS").ok().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let further = time.map_or(0, |time| run(departures + 1, Some(time)));
    let mut drawn = draw(Some(1), random, &scene);
    let begun = Instant::now();
    // In whole lots: a scheduler that is stopped within one prints its seed as if it had failed.
    while time.is_some_and(|time| begun.elapsed() < time) {
        drawn += draw(None, 1_000, &scene);
    }
    println!(
        "{name}: all {all} orders with at most {departures} departures, {further} with one more, {drawn} random ones"
    );
}

/// Runs a scene in so many random orders, which are others each time without a seed.
fn draw(seed: Option<u64>, orders: usize, scene: &(impl Fn() + Send + Sync + Clone + 'static)) -> usize {
    let (half, depth) = (orders / 2, 4);
    let (random, pct) = match seed {
        Some(seed) => (RandomScheduler::new_from_seed(seed, half), PctScheduler::new_from_seed(seed, depth, half)),
        None => (RandomScheduler::new(half), PctScheduler::new(depth, half)),
    };
    Runner::new(random, config(None)).run(scene.clone()) + Runner::new(pct, config(None)).run(scene.clone())
}

fn config(time: Option<Duration>) -> Config {
    let mut config = Config::new();
    config.stack_size = 0x2_0000;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.max_time = time;
    config.silence_warnings = true;
    config
}

/// Runs all orders with at most so many departures, one after the other.
struct Departures {
    most: usize,
    /// The choices of this order so far, and behind them those of the one before.
    choices: Vec<Choice>,
    step: usize,
    left: usize,
    has_begun: bool,
}

/// What was chosen where there was a choice.
struct Choice {
    taken: usize,
    of: usize,
}

impl Departures {
    fn new(most: usize) -> Self {
        Self { most, choices: Vec::new(), step: 0, left: most, has_begun: false }
    }
}

impl Scheduler for Departures {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.has_begun {
            while self.choices.last().is_some_and(|choice| choice.taken + 1 == choice.of) {
                self.choices.pop();
            }
            self.choices.last_mut()?.taken += 1;
        }
        self.has_begun = true;
        self.step = 0;
        self.left = self.most;
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let stays = |task: &&&Task| !is_yielding && Some(task.id()) == current;
        let first = runnable.iter().position(|task| stays(&task)).unwrap_or(0);
        if runnable.len() == 1 || self.left == 0 {
            return Some(runnable[first].id());
        }
        if self.step == self.choices.len() {
            self.choices.push(Choice { taken: 0, of: runnable.len() });
        }
        let choice = &self.choices[self.step];
        assert_eq!(choice.of, runnable.len(), "the scene isn't the same each time");
        self.step += 1;
        self.left -= usize::from(choice.taken > 0);
        Some(runnable[(first + choice.taken) % runnable.len()].id())
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("scenes draw nothing")
    }
}
