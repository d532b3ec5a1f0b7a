//! An authority of one's own, and the certificates that it signs. Its key is forgotten once they are made.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// How long they are good, in days: long enough for a piece of work, short enough that nobody comes to rely on them.
pub(super) const DAYS: u64 = 90;

/// Clocks may differ by so much.
const BEFORE: Duration = Duration::from_hours(1);

/// The file of the authority.
pub(super) const CA: &str = "ca.pem";
/// The file of the server's certificate.
pub(super) const SERVER: &str = "server.pem";
/// The file of the server's private key.
pub(super) const SERVER_KEY: &str = "server-key.pem";

/// A file to be written.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) pem: String,
    /// Whether only the owner may read it.
    pub(super) is_secret: bool,
    /// What it is, for people.
    pub(super) about: String,
}

/// The file of a client's certificate.
pub(super) fn client(name: &str) -> String {
    format!("client-{name}.pem")
}

/// The file of a client's private key.
pub(super) fn client_key(name: &str) -> String {
    format!("client-{name}-key.pem")
}

/// An authority, a certificate for the server with these names, and one for each client.
///
/// # Errors
/// If a name can't be in a certificate, in words.
pub(super) fn development(hosts: &[String], clients: &[String]) -> Result<Vec<Made>, String> {
    let authority = authority().map_err(|error| error.to_string())?;
    let mut all = vec![public(CA, authority.pem(), "the authority: what each side trusts")];
    let server = signed(&authority, "Tieline development server", hosts, ExtendedKeyUsagePurpose::ServerAuth);
    let (chain, key) = server.map_err(|error| error.to_string())?;
    all.push(public(SERVER, chain, "the server's certificate"));
    all.push(secret(SERVER_KEY, key, "its private key: keep it to yourself"));
    for name in clients {
        let made = signed(&authority, name, &[], ExtendedKeyUsagePurpose::ClientAuth);
        let (chain, key) = made.map_err(|error| error.to_string())?;
        all.push(public(client(name), chain, format!("the certificate of the client {name}")));
        all.push(secret(client_key(name), key, "its private key: keep it to yourself"));
    }
    Ok(all)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let key = KeyPair::generate()?;
    // A name of its own, so that the next authority isn't taken for this one.
    let digest = Sha256::digest(key.public_key_raw());
    let name =
        format!("Tieline development authority {:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    let mut params = dated(&name, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, key)
}

/// A certificate and its key, in PEM.
fn signed(
    authority: &CertifiedIssuer<'_, KeyPair>,
    name: &str,
    hosts: &[String],
    usage: ExtendedKeyUsagePurpose,
) -> Result<(String, String), rcgen::Error> {
    let mut params = dated(name, hosts)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn dated(name: &str, hosts: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BEFORE;
    params.not_after = now + Duration::from_hours(24 * DAYS);
    Ok(params)
}

fn public(name: impl Into<String>, pem: String, about: impl Into<String>) -> Made {
    Made { name: name.into(), pem, is_secret: false, about: about.into() }
}

fn secret(name: impl Into<String>, pem: String, about: impl Into<String>) -> Made {
    Made { is_secret: true, ..public(name, pem, about) }
}
