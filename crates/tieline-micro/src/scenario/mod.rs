//! The ways whose instructions are counted and whose time is taken.

mod bodies;
mod crowd;
mod exchanges;
mod small;

use std::fmt;

pub use crowd::Crowd;
pub use exchanges::{Framed, Small, Waiting};

use crate::library::{Library, Load};
use crate::rig::Rig;

/// A way, ready to be gone again and again.
pub trait Course {
    /// Goes it once.
    fn run(&mut self);

    /// From now on what it does is counted.
    fn begin_counting(&mut self);

    /// The server that it leads through, if it leads through one.
    fn rig(&mut self) -> Option<&mut Rig> {
        None
    }
}

/// A way with a name.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// In the table and on the command line.
    pub name: &'static str,
    /// What is counted as one.
    pub what: &'static str,
    /// How many of those a run of the course is.
    pub each: u32,
    /// How many runs it takes until everything has its usual size and every name is known.
    pub before: u32,
    /// How many runs are counted.
    pub runs: u32,
    /// Sets the course up.
    pub start: fn() -> Box<dyn Course>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scenario").field(&self.name).finish()
    }
}

impl Scenario {
    /// The scenario of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Goes the way as often as it takes until nothing is new, then the runs that count.
    pub fn count(&self) {
        let mut course = (self.start)();
        for _ in 0..self.before {
            course.run();
        }
        course.begin_counting();
        for _ in 0..self.runs {
            course.run();
        }
    }
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "small-exchange",
        what: "128 B each way, a frame each, as a client writes them",
        each: 1,
        before: 128,
        runs: 512,
        start: || Box::new(Small::new(Crowd::ALONE, 1)),
    },
    Scenario {
        name: "small-exchange-16",
        what: "the same, 16 in a read",
        each: 16,
        before: 16,
        runs: 64,
        start: || Box::new(Small::new(Crowd::ALONE, 16)),
    },
    Scenario {
        name: "small-exchange-crowd",
        what: "the same, one at a time, among 10,000 channels and 2,000 connections",
        each: 1,
        before: 10_000,
        runs: 2048,
        start: || Box::new(Small::new(Crowd { channels: 10_000, connections: 2_000 }, 1)),
    },
    Scenario {
        name: "small-exchange-queued",
        what: "the same behind 10,000 that wait on the channel",
        each: 1,
        before: 128,
        runs: 512,
        start: || Box::new(Waiting::new(10_000)),
    },
    Scenario {
        name: "framed-exchange",
        what: "start, accept, chunk, end; start, chunk, end: each a read of its own, 128 B each way",
        each: 1,
        before: 128,
        runs: 512,
        start: || Box::new(Framed::new(Crowd::ALONE)),
    },
    Scenario {
        name: "chunk-16k",
        what: "a chunk of 16 KiB of a request's body, with its part of the grants",
        each: 32,
        before: 8,
        runs: 16,
        start: || Box::new(bodies::Stream::new(16 * 1024, 32)),
    },
    Scenario {
        name: "chunk-64k",
        what: "a chunk of 64 KiB of a request's body, with its part of the grants",
        each: 8,
        before: 8,
        runs: 32,
        start: || Box::new(bodies::Stream::new(64 * 1024, 8)),
    },
    Scenario {
        name: "receive",
        what: "a receive is opened on a channel of its own, and withdrawn",
        each: 1,
        before: 128,
        runs: 512,
        start: || Box::new(small::Receive::new()),
    },
    Scenario {
        name: "cancel",
        what: "a request waits, and is cancelled",
        each: 1,
        before: 128,
        runs: 512,
        start: || Box::new(small::Cancel::new()),
    },
    Scenario {
        name: "hello",
        what: "a connection comes, greets, and is gone",
        each: 1,
        before: 128,
        runs: 512,
        start: || Box::new(small::Greeting::new()),
    },
    Scenario {
        name: "library-small",
        what: "128 B each way through the client library, sender and receiver together, one after the other",
        each: 32,
        before: 8,
        runs: 16,
        start: || Box::new(Library::new(Load::Small { at_once: 1, each: 32 })),
    },
    Scenario {
        name: "library-small-16",
        what: "the same, 16 at once",
        each: 16 * 8,
        before: 4,
        runs: 8,
        start: || Box::new(Library::new(Load::Small { at_once: 16, each: 8 })),
    },
    Scenario {
        name: "library-64k",
        what: "64 KiB of a long body through the client library, sender and receiver together",
        each: 256,
        before: 2,
        runs: 4,
        start: || Box::new(Library::new(Load::Stream { pieces: 256 })),
    },
];

#[cfg(test)]
mod tests;
