//! What can be wrong with TLS, for programs that tell one from the other.

/// Why no connection over TLS comes about, however often it is tried.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TlsTrouble {
    /// The server's certificate is signed by no authority that is trusted here.
    UnknownAuthority,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate has expired or isn't valid yet, as the clock here has it.
    Expired,
    /// The server's certificate can't be accepted for another reason.
    BadCertificate,
    /// The server wants a certificate of the client, or doesn't accept the one it was shown.
    ClientCertificate,
    /// Whoever listens there doesn't speak TLS.
    NotSpoken,
    /// Both speak TLS, but have no version, cipher or protocol in common.
    NotAgreed,
}
