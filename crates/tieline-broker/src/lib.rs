//! Tieline's routing core: an event and the present time go in, frames for connections come out.
//!
//! | module | what it holds |
//! |---|---|
//! | `core` | the state, and the methods for a driver: begin with [`Core`] |
//! | `opening`, `requesting`, `responding`, `receiving` | what each frame does |
//! | `assigning` | requests and ready receivers meet; return and hand-over |
//! | `granting` | credit is passed on as far as memory can be reserved |
//! | `ending` | all the ways in which an exchange ends |
//! | `exchange`, `channel` | what there is: requests, channels and receives |
//! | `turns`, `few` | queues in turn; ordered maps that mostly have one entry |
//! | `budget`, `principal` | memory that was promised; the requests of one who has several connections |
//! | `sync` | the budget's atomics, which a checker can take the place of |
//! | `place` | how many receives may be open |
//! | `flood`, `meter` | a bound on what costs the server and not the peer; how rates are measured |
//! | `port`, `config` | the connections' outboxes as the core sees them; what can be set |
//! | `check`, `digest` | the invariants as formulas that run; which states are the same |
//! | `standing`, `look` | where an exchange stands, what a channel has, for whoever watches |
//! | `life` | the life of a single request, for who follows it |
//! | `tally`, `histogram` | what is counted: outcomes, times, bytes, stalls |
//!
//! The crate reads no clock, draws no random number, opens no socket and starts no thread; `clippy.toml` and a test
//! keep it so.
#![forbid(unsafe_code)]

mod assigning;
mod budget;
mod channel;
mod check;
mod config;
mod core;
mod digest;
mod ending;
mod exchange;
mod few;
mod flood;
mod granting;
mod histogram;
mod keyed;
mod life;
mod look;
mod meter;
mod opening;
mod place;
mod port;
mod principal;
mod receiving;
mod requesting;
mod responding;
mod standing;
mod sync;
mod tally;
mod turns;

pub use budget::{ADMISSION, Account, Budget, Reservation, SHARE_MIN, admission};
pub use config::{CHANNEL_PLACES_DEFAULT, CoreConfig};
pub use core::{Core, Counts};
pub use flood::{FLOOD_BURST, FLOOD_RATE, FloodMeter};
pub use histogram::{Bound, Histogram};
pub use life::{Follower, Life, Moment, Told};
pub use look::{ChannelLook, ReceiverLook, RequestLook};
pub use meter::{Meter, Rate};
pub use opening::PLACES_MIN;
pub use place::{RECEIVE, RECEIVES_MIN, receives_max};
pub use port::{ConnKey, Port};
pub use principal::Principal;
pub use standing::{Body, Progress, Standing};
pub use tally::{Dropped, Outcome, Side, Totals};
