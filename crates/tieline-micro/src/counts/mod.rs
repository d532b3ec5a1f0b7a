//! Instructions of a scenario, counted by callgrind and compared with those that are committed.
//!
//! | module | what it holds |
//! |---|---|
//! | `run` | starts this program under valgrind, for one scenario |
//! | `callgrind` | reads what it counted |
//! | `machine` | what the counts depend on beside the source |
//! | `baseline` | the committed file |
//! | `judge` | what has risen or fallen, and the table |

mod baseline;
mod callgrind;
mod judge;
mod machine;
mod run;

pub use baseline::Baseline;
pub use judge::{Table, Verdict};
pub use machine::Machine;
pub use run::count;

/// What one of a scenario costs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cost {
    /// Instructions of Rust code: the crates, their dependencies, the standard library.
    pub own: u64,
    /// Memory that was asked for anew or for more of, in calls.
    pub allocations: f64,
    /// All instructions, with those of the C library: its allocator, and its copies of bytes.
    pub all: u64,
}
