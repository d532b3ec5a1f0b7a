//! A model check of the routing core: the real [`tieline_broker::Core`] with the real outboxes, and every order of
//! what clients, writers, links and the clock may do within a small bound.
//!
//! | module | what it holds |
//! |---|---|
//! | [`bound`], [`bounds`] | what a run may contain, and the bounds that are explored |
//! | [`action`] | what may happen |
//! | [`rules`], [`sights`] | what must hold in every state; what must have been seen somewhere |
//! | [`model`], [`explore`], [`story`] | the exploration itself, and how a counterexample is told |
//! | [`merges`] | whether states that are taken for the same go on alike |
//! | `world`, `line`, `ledger`, `frames` | the core, its outboxes, and what clients know |
//! | `enabled`, `happen`, `hear` | what may happen next; what it does; a client gets a frame, and judges it |
//! | `rest`, `meddling` | how all comes to an end from any state; whether strangers change anything |
#![forbid(unsafe_code)]

pub mod action;
pub mod bound;
pub mod bounds;
mod enabled;
pub mod explore;
mod frames;
mod happen;
mod hear;
mod ledger;
mod line;
mod meddling;
pub mod merges;
pub mod model;
mod quiet;
mod rest;
pub mod rules;
pub mod sights;
pub mod story;
mod world;
