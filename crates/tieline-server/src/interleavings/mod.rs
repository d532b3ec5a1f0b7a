//! Who wakes whom, in very many orders of the threads: no wake-up may be lost in any of them.
//!
//! Built with the feature `interleavings` alone, by which the locks and atomics of `crate::sync` are a checker's: it runs
//! the threads of a scene one at a time, chooses at each use of one who goes on, and fails if all wait. `just
//! interleavings` runs these tests; all others need `std`'s locks and fail under the feature.
//!
//! | module | what it holds |
//! |---|---|
//! | `clients` | connections of a hub, and clients that send what a scene says |
//! | `connection` | scenes of whole connections around a hub, to their end |
//! | `explore` | which orders are run |
//! | `fake` | a socket that is full now and then |
//! | `memory` | scenes of connections that wait for memory, while some comes free |
//! | `peer` | scenes of a peer: its task and those that write in its place |

mod clients;
mod connection;
mod explore;
mod fake;
mod memory;
mod peer;

pub(crate) use fake::Fake;
