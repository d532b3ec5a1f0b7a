//! The gates in numbers: what Tieline promises of safety, measured on the real server and compared with what others do.
//!
//! Each gate starts `tieline serve` as a process of its own on loopback, does to it what it promises to bear, and
//! makes a [`row::Row`] of what it measured. Times are judged as ratios within one run, in rounds that take turns,
//! because machines are noisy and shared.
//!
//! | module | what it holds |
//! |---|---|
//! | [`gates`] | the gates, by name |
//! | [`row`] | a row of the table, the table, and the same in JSON |
//! | [`process`] | the server as a process: its memory, its CPU time, its wake-ups, its descriptors |
//! | [`certs`] | certificates for servers that speak TLS |
//! | [`raw`] | a client that speaks in single frames, cheap by the ten thousand, right or wrong |
//! | [`http2`] | a client of HTTP/2 that writes single frames, as small as it likes |
//! | [`bystander`] | an honest client with the library, and how long its requests take |
//! | [`crowd`] | attackers of every class, and the honest clients among them |
//! | [`stats`] | medians, percentiles, spread |
//! | [`cases`] | the table of the hostile cases, of what the tests write down |
#![forbid(unsafe_code)]

pub mod bystander;
pub mod cases;
pub mod certs;
pub mod crowd;
pub mod gates;
pub mod http2;
pub mod process;
pub mod raw;
pub mod row;
pub mod stats;
