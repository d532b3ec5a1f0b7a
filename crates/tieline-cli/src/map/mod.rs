//! `tieline map CHANNEL FILES…`: each file a request, so many at a time; the pool as a distributed `xargs`.
//!
//! [`list`] says which files, [`place`] where their responses go, [`job`] sends one of them; [`run`] has them begun,
//! settled, written in [`order`] and entered into the [`joblog`]. [`spool`] keeps responses whose turn hasn't come,
//! [`tally`] counts, [`progress`] shows it.

mod args;
mod job;
mod joblog;
mod list;
mod order;
mod place;
mod progress;
mod run;
mod spool;
mod tally;

pub(crate) use self::args::Args;
pub(crate) use self::run::run;
