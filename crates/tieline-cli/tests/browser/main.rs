//! The pages, in a real browser: the client for pages over `/ws`, and the dashboard.
//!
//! They need Chromium (`apt-get install chromium`), so they run only when they are named: `scripts/test` does, and
//! `just browser`. `TIELINE_BLESS=1` takes the pictures of the dashboard that stand in the documents anew.

mod bus;
mod chromium;
mod dashboard;
mod load;
mod responsive;
#[path = "../support/mod.rs"]
mod support;
