//! Who may watch: everybody who reaches the door, or only tokens with the right to.

use tieline_protocol::Violation;

use super::Observe;
use crate::access::Source;

impl Observe {
    /// Judges whether who came from there with this token, or without any, may see what the server does. Wrong tokens
    /// count against the address as in a hello.
    ///
    /// # Errors
    /// *unauthorized* without a token that is known, *forbidden-channel* with one that may not watch, *overloaded*
    /// if too many wrong ones came from there.
    pub fn admit(&self, token: Option<&[u8]>, source: Source) -> Result<(), Violation> {
        self.hub.access.may_watch(token, source, self.hub.config().wrong_tokens, self.now())
    }
}
