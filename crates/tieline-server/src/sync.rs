//! The locks and atomics by which connections wake each other: `std`'s, unless the crate is built with the feature
//! `interleavings`. Then they are a checker's, under which `crate::interleavings` runs them in very many orders, and which
//! work nowhere else.

#[cfg(not(feature = "interleavings"))]
pub(crate) use std::sync::{
    Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(feature = "interleavings")]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
