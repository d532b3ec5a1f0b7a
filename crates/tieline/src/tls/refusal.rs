//! Failures of TLS that trying again doesn't mend, and what is said of them.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::speech::Speech;
use crate::trouble::TlsTrouble;

/// What is wrong, if the error says that the same handshake would end the same way.
pub(crate) fn refusal(error: &io::Error, speech: Speech) -> Option<(TlsTrouble, String)> {
    let error = error.get_ref()?.downcast_ref::<TlsError>()?;
    let (trouble, words) = match error {
        TlsError::InvalidCertificate(error) => certificate(error),
        TlsError::AlertReceived(alert) => alerted(*alert, speech)?,
        TlsError::InvalidMessage(_) => {
            let words = format!("it does not speak TLS there; without TLS it is {}", speech.in_the_clear());
            (TlsTrouble::NotSpoken, words)
        }
        TlsError::PeerIncompatible(why) => (TlsTrouble::NotAgreed, format!("it does not speak TLS 1.3 ({why:?})")),
        _ => return None,
    };
    Some((trouble, words))
}

/// What this side doesn't take of the server's certificate.
fn certificate(error: &CertificateError) -> (TlsTrouble, String) {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidForName,
        NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match error {
        // Another authority of the same name signs wrongly, as this side sees it.
        UnknownIssuer | BadSignature => (
            TlsTrouble::UnknownAuthority,
            "its certificate is signed by no authority that is trusted here; give the one that signed it".to_owned(),
        ),
        NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let words = format!("its certificate is for {}, not for {}", names.join(", "), expected.to_str());
            (TlsTrouble::WrongName, words)
        }
        NotValidForName => (TlsTrouble::WrongName, "its certificate is for another name".to_owned()),
        Expired | ExpiredContext { .. } => {
            (TlsTrouble::Expired, "its certificate has expired, or the clock here is wrong".to_owned())
        }
        NotValidYet | NotValidYetContext { .. } => {
            (TlsTrouble::Expired, "its certificate is not valid yet, or the clock here is wrong".to_owned())
        }
        InvalidPurpose | InvalidPurposeContext { .. } => {
            (TlsTrouble::BadCertificate, "its certificate is not one for servers".to_owned())
        }
        error => (TlsTrouble::BadCertificate, format!("its certificate can't be accepted: {error}")),
    }
}

/// What the server said that it doesn't take.
fn alerted(alert: AlertDescription, speech: Speech) -> Option<(TlsTrouble, String)> {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        DecryptError, HandshakeFailure, InsufficientSecurity, NoApplicationProtocol, ProtocolVersion, UnknownCA,
        UnsupportedCertificate,
    };
    match alert {
        CertificateRequired => Some((
            TlsTrouble::ClientCertificate,
            "it lets in only clients that show a certificate, and this one has none to show".to_owned(),
        )),
        BadCertificate
        | CertificateExpired
        | CertificateRevoked
        | CertificateUnknown
        | UnknownCA
        | UnsupportedCertificate
        | AccessDenied
        | DecryptError => Some((
            TlsTrouble::ClientCertificate,
            format!("it does not accept the certificate that this client shows ({alert:?})"),
        )),
        NoApplicationProtocol => Some((TlsTrouble::NotAgreed, format!("it speaks TLS, but not {}", speech.name()))),
        HandshakeFailure | InsufficientSecurity | ProtocolVersion => {
            Some((TlsTrouble::NotAgreed, format!("it agrees to no TLS that is spoken here ({alert:?})")))
        }
        _ => None,
    }
}

/// `DnsName("a")` as people write it.
fn bare(name: &str) -> &str {
    name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(error: TlsError) -> Option<TlsTrouble> {
        refusal(&io::Error::new(io::ErrorKind::InvalidData, error), Speech::Bus).map(|(trouble, _)| trouble)
    }

    #[test]
    fn what_would_end_the_same_way_is_told_from_what_may_go_better() {
        for (error, trouble) in [
            (TlsError::InvalidCertificate(CertificateError::UnknownIssuer), Some(TlsTrouble::UnknownAuthority)),
            (TlsError::InvalidCertificate(CertificateError::Revoked), Some(TlsTrouble::BadCertificate)),
            (TlsError::AlertReceived(AlertDescription::CertificateRequired), Some(TlsTrouble::ClientCertificate)),
            (TlsError::AlertReceived(AlertDescription::InternalError), None),
            (TlsError::AlertReceived(AlertDescription::UserCanceled), None),
            (TlsError::DecryptError, None),
        ] {
            assert_eq!(judged(error), trouble);
        }
        assert_eq!(refusal(&io::ErrorKind::ConnectionRefused.into(), Speech::Bus), None);
        assert_eq!(refusal(&io::Error::other("another"), Speech::Bus), None);
    }

    #[test]
    fn names_are_written_as_people_write_them() {
        assert_eq!((bare("DnsName(\"a.b\")"), bare("IpAddress(::1)"), bare("odd")), ("a.b", "::1", "odd"));
    }
}
