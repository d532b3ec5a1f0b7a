//! The atomics of the memory budget, by which the cores of a server wake each other: `std`'s, unless the crate is built with
//! the feature `interleavings`. Then they are a checker's, under which the server's scenes run them in very many orders, and
//! which work nowhere else.

#[cfg(not(feature = "interleavings"))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};

#[cfg(feature = "interleavings")]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64};
