//! What stands between an address and whoever reaches it, and whether that is enough for a network.

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Protection {
    /// What is said on TCP is encrypted.
    pub(super) tls: bool,
    /// Whoever connects must have a token.
    pub(super) tokens: bool,
    /// It was said that less than both is meant.
    pub(super) insecure: bool,
}

impl Protection {
    /// Whether addresses that other machines reach may be listened on.
    pub(super) const fn is_for_networks(self) -> bool {
        self.insecure || (self.tls && self.tokens)
    }

    /// What is missing, and what follows from that; `None` if nothing is.
    pub(super) const fn lack(self) -> Option<&'static str> {
        match (self.tls, self.tokens) {
            (true, true) => None,
            (true, false) => Some("no tokens: whoever reaches an address may send and receive"),
            (false, true) => Some("no TLS: whoever is on the way can read tokens and bodies"),
            (false, false) => Some("no TLS, no tokens: whoever reaches an address may send and receive"),
        }
    }
}
