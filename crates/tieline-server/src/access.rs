//! Who may connect. Today everybody who reaches the listener, which is a loopback address unless its owner said
//! otherwise; tokens and their permissions are judged here, before a connection is given anything.

use tieline_protocol::Fault;
use tieline_protocol::session::Hello;

/// Judges a hello.
///
/// # Errors
/// What the client is told before it is closed.
#[expect(clippy::unnecessary_wraps, reason = "the place where tokens will be refused")]
pub(crate) fn admit(_hello: &Hello) -> Result<(), Fault> {
    Ok(())
}
