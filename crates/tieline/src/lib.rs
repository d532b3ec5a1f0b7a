//! The client library of Tieline, a message bus for requests: a request is streamed to exactly one free receiver, and
//! its response streamed back.
//!
//! A *sender* sends a request on a *channel*; a *receiver* that is ready takes it and answers. Both bodies may be of
//! any size, and both may run at the same time. One [`Client`] has one connection, which carries any number of
//! requests, sent and received; a slow one never holds up the others.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use tieline_server::{Config, Stop};
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?.to_string();
//! # let stop = Stop::new();
//! # let server = tokio::spawn(tieline_server::run(vec![listener.into()], Config::default(), stop.clone()));
//! use tieline::{Client, Request};
//!
//! // A receiver: four requests at once, each answered in capitals.
//! let worker = Client::connect(&address).await?;
//! let receiver = worker.receive("upper").await?;
//! tokio::spawn(receiver.serve(4, |mut request: Request| async move {
//!     let body = request.body().bytes(1 << 20).await?;
//!     request.reply(body.to_ascii_uppercase()).await
//! }));
//!
//! // A sender, here or anywhere else.
//! let client = Client::connect(&address).await?;
//! let response = client.send("upper").body("hello").await?;
//! assert_eq!(response.bytes(1 << 20).await?, "HELLO");
//!
//! client.close().await;
//! worker.close().await;
//! # stop.now();
//! # server.await??;
//! # Ok(()) }
//! ```
//!
//! # What it promises
//! - A response that ends without an error is complete: its receiver closed it. What was cut off ends with an error.
//! - An [`Error`] says what became of the request. [`Outcome::Unstarted`] is certain; what isn't known is called so.
//! - Nothing is sent again that may have run, unless it is marked [idempotent](SendRequest::idempotent).
//! - Dropping a response, or the future that waits for one, cancels the request at its receiver.
//! - A receiver is given a request only when it is ready for one.
//!
//! # Where things are
//! | to | use |
//! |---|---|
//! | connect | [`Client`], [`ClientBuilder`], [`Address`], [`TlsOptions`], [`Https`], [`Token`], [`Status`] |
//! | send | [`SendRequest`], [`Body`], [`BodySender`], [`Retry`] |
//! | read a response | [`Response`], [`Upload`] |
//! | receive | [`ReceiveBuilder`], [`Receiver`] |
//! | answer | [`Request`], [`RequestBody`], [`Responder`], [`ResponseWriter`] |
//! | follow a request | [`TraceParent`]: [`SendRequest::trace`], [`Request::trace`] |
//! | handle errors | [`Error`], [`Outcome`], [`Code`], [`Fault`], [`TlsTrouble`] |
//!
//! # How it is made
//! | module | what it holds |
//! |---|---|
//! | `client` | the handle, and how it is made |
//! | `link` | one connection at a time for new work, made anew when it is lost |
//! | `conn` | a connection: its state, and the task that moves its bytes |
//! | `send`, `body`, `response` | the sender's side |
//! | `receive` | the receiver's side |
//! | `tls` | encryption: whom to trust, what to show, what goes wrong (feature `tls`, on by default) |
//! | `error`, `trouble`, `token` | what goes wrong, and what of TLS; the secret |
//!
//! The rules of the protocol are in `tieline-protocol`; nothing here knows how a server routes.
#![forbid(unsafe_code)]

mod address;
mod body;
mod client;
mod conn;
mod error;
mod link;
mod receive;
mod response;
mod send;
#[cfg_attr(not(feature = "tls"), path = "tls/absent.rs")]
mod tls;
mod token;
mod trouble;

pub use address::Address;
pub use body::Body;
pub use body::channel::BodySender;
pub use client::{Client, ClientBuilder};
pub use conn::Upload;
pub use error::{Error, Outcome};
pub use link::Status;
pub use receive::request::{Request, RequestBody};
pub use receive::respond::{Responder, ResponseWriter};
pub use receive::{ReceiveBuilder, Receiver};
pub use response::Response;
pub use send::SendRequest;
pub use send::retry::Retry;
#[cfg(feature = "tls")]
pub use tls::{Https, TlsOptions};
pub use token::Token;
pub use trouble::TlsTrouble;

pub use tieline_protocol::trace::TraceParentError;
pub use tieline_protocol::{ChannelId, Code, Fault, Metadata, MetadataError, RequestId, TraceParent};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
