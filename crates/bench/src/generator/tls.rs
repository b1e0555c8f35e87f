//! TLS of the generator's own: one cipher and one key exchange, so that all systems of a job have the same to do.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Which key exchange the generator offers, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyExchange {
    /// X25519: what every system under measurement has.
    X25519,
    /// X25519 with ML-KEM-768: what certbound prefers.
    Hybrid,
}

/// Whether a session is taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Never: every handshake is a full one.
    Never,
    /// Wherever the server gave a ticket.
    WhereOffered,
}

/// Makes client configurations with one client certificate.
#[derive(Clone, Debug)]
pub(crate) struct TlsMaker(ClientConfig);

impl TlsMaker {
    /// With the certificate `NAME.pem` and the key `NAME.key` in `certificates`, trusting `root.pem` there.
    pub(crate) fn new(certificates: &Path, name: &str, key_exchange: KeyExchange) -> anyhow::Result<Self> {
        let file = |suffix: &str| {
            let path = certificates.join(format!("{name}.{suffix}"));
            fs::read(&path).with_context(|| path.display().to_string())
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&file("pem")?)
            .collect::<Result<_, _>>()
            .context("a certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&file("key")?).context("a private key")?;
        let root = CertificateDer::from_pem_file(certificates.join("root.pem")).context("root.pem")?;
        Self::from_der(chain, key, root, key_exchange)
    }

    /// With a certificate and a key from memory.
    pub(crate) fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        root: CertificateDer<'static>,
        key_exchange: KeyExchange,
    ) -> anyhow::Result<Self> {
        let mut trust = RootCertStore::empty();
        trust.add(root)?;
        let config = ClientConfig::builder_with_provider(Arc::new(provider(key_exchange)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(trust)
            .with_client_auth_cert(chain, key)?;
        Ok(Self(config))
    }

    /// A configuration that shares no session with any other.
    pub(crate) fn make(&self, resume: Resume) -> Arc<ClientConfig> {
        let mut config = self.0.clone();
        config.resumption = match resume {
            Resume::Never => Resumption::disabled(),
            Resume::WhereOffered => Resumption::in_memory_sessions(8),
        };
        Arc::new(config)
    }
}

fn provider(key_exchange: KeyExchange) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![match key_exchange {
            KeyExchange::X25519 => kx_group::X25519,
            KeyExchange::Hybrid => kx_group::X25519MLKEM768,
        }],
        ..aws_lc_rs::default_provider()
    }
}
