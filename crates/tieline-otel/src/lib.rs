//! Tieline's spans for OpenTelemetry: of requests that a server has routed, and of what senders and receivers do. They
//! are gathered in a bounded queue and sent to a collector by OTLP over HTTP; whoever makes them never waits for it.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{sync::Arc, time::Duration};
//! use tieline_otel::{Options, Roots};
//!
//! let mut config = tieline_server::Config::default();
//! // As the variables OTEL_* say; nothing is exported unless they name an endpoint.
//! let exporting = Options::from_env("tieline", Roots::Never)?.map(tieline_otel::start).transpose()?;
//! if let Some((spans, _)) = &exporting {
//!     config.tracer = Some(Arc::new(spans.clone()));
//! }
//! // Serve; then give what is left the time to leave.
//! if let Some((_, exporting)) = exporting {
//!     exporting.finish(Duration::from_secs(5)).await;
//! }
//! # Ok(()) }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `options` | what the variables `OTEL_*` say |
//! | `sampler` | which requests get a span |
//! | `spans` | where spans are put: a server's requests, and one's own work |
//! | `convention` | how a span looks, by the semantic conventions for messaging |
//! | `export` | the task that sends them, in batches |
//! | `client` | its HTTP, over TCP or TLS |
//! | `trust` | whose certificate is accepted, and which one is shown |
#![forbid(unsafe_code)]

mod client;
mod convention;
mod export;
mod options;
mod sampler;
mod spans;
mod trust;

pub use export::{Exporting, start};
pub use options::{Options, OptionsError};
pub use sampler::{Roots, Sampler};
pub use spans::{Ended, Role, Span, Spans};
pub use trust::Trust;
