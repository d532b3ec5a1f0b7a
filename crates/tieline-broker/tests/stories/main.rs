//! Stories about the routing core, told as the frames that clients write and get. Each module is one theme; [`world`]
//! is what they play in.

mod assignment;
mod counting;
mod credit;
mod deadlines;
mod drain;
mod effects;
mod endings;
mod fairness;
mod floods;
mod following;
mod handing_out_again;
mod idempotent;
mod initial_window;
mod memory;
mod old_faults;
mod ownership;
#[allow(dead_code, reason = "the fuzz target of the core plays hostile clients in it too")]
mod play;
mod policy;
mod random;
mod receives;
mod world;
