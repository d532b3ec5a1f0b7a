//! `tieline bench CHANNEL`: how fast a channel answers, and who limits it.
//!
//! [`run`] has the load made: at a rate by [`pace`], or so many requests at a time; [`load`] sends one of them, with
//! [`bodies`] that can be verified, perhaps to [`receivers`] in this process. [`record`] keeps latencies, [`meter`] says
//! what this process and the machine used, [`limit`] which side was the limit, [`report`] all of it.

mod args;
mod bodies;
mod limit;
mod load;
mod meter;
mod pace;
mod receivers;
mod record;
mod report;
mod run;

pub(crate) use self::args::Args;
pub(crate) use self::run::run;
