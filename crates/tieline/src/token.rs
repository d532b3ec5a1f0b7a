//! The secret by which a server knows a client.

use std::fmt;

/// A secret that the server asks for. It is never printed: neither by `Debug` nor in logs.
///
/// ```
/// let token = tieline::Token::new("s3cret");
/// assert_eq!(format!("{token:?}"), "Token(hidden)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token that is this text.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Its text, for those who show it elsewhere than on the bus.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}
