//! Authorities and certificates for tests, made anew each time.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tieline_server::TlsConfig;
use time::OffsetDateTime;

/// A certificate with its key, in PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Pair {
    /// What a server of this certificate is configured with, that takes only clients of an authority if one is given.
    pub(crate) fn config(&self, clients: Option<&Authority>) -> TlsConfig {
        let clients = clients.map(Authority::pem);
        let clients = clients.as_deref().map(str::as_bytes);
        TlsConfig::from_pem(self.chain.as_bytes(), self.key.as_bytes(), clients).unwrap()
    }
}

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // By a name of its own, or it could be taken for another that signs wrongly.
        let name = format!("{:?}", key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, &name[..60]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn server(&self, names: &[&str]) -> Pair {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, OffsetDateTime::now_utc() + Duration::from_hours(1))
    }

    pub(crate) fn expired(&self) -> Pair {
        let yesterday = OffsetDateTime::now_utc() - Duration::from_hours(24);
        self.sign(&["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth, yesterday)
    }

    pub(crate) fn client(&self) -> Pair {
        let soon = OffsetDateTime::now_utc() + Duration::from_hours(1);
        self.sign(&["worker"], ExtendedKeyUsagePurpose::ClientAuth, soon)
    }

    fn sign(&self, names: &[&str], usage: ExtendedKeyUsagePurpose, until: OffsetDateTime) -> Pair {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![usage];
        params.not_after = until;
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { chain, key: key.serialize_pem() }
    }
}
