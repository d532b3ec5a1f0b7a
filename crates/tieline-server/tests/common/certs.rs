//! Authorities and certificates for tests, made anew each time.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tieline_server::TlsConfig;

/// A certificate with its key, in PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
}

/// What every server and every client of this process use that have no reason to differ.
pub static USUAL: LazyLock<(TlsConfig, Arc<ClientConfig>)> = LazyLock::new(|| {
    let authority = Authority::new();
    (authority.config(), authority.trusting(None, &["tieline/1"]))
});

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // By a name of its own, or it could be taken for another that signs wrongly.
        let key = KeyPair::generate().unwrap();
        let name = format!("{:?}", key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, &name[..60]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { chain, key: key.serialize_pem() }
    }

    pub fn server(&self) -> Pair {
        self.sign(&["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub fn client(&self) -> Pair {
        self.sign(&["worker"], ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// What a server of this authority is configured with.
    pub fn config(&self) -> TlsConfig {
        let pair = self.server();
        TlsConfig::from_pem(pair.chain.as_bytes(), pair.key.as_bytes(), None).unwrap()
    }

    /// The same, taking only clients of `clients`.
    pub fn config_for(&self, clients: &Self) -> TlsConfig {
        let pair = self.server();
        TlsConfig::from_pem(pair.chain.as_bytes(), pair.key.as_bytes(), Some(clients.pem().as_bytes())).unwrap()
    }

    /// What a client is configured with that trusts this authority.
    pub fn trusting(&self, identity: Option<&Pair>, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = vec![CertificateDer::from_pem_slice(pair.chain.as_bytes()).unwrap()];
                builder
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                    .unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
