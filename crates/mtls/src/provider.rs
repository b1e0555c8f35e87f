//! The one cryptographic provider and what it may negotiate.
//!
//! AWS-LC everywhere, hybrid post-quantum key exchange first, TLS 1.3 first and TLS 1.2 with ephemeral keys and
//! authenticated encryption only. Everything in this crate asks here; nothing relies on a process-wide default.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};

/// The provider every TLS configuration of this project is built with.
///
/// TLS 1.2 is limited to the suites RFC 9325 recommends; TLS 1.0 and 1.1 do not exist here. RFC 9325 §4.2.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(restricted_provider()));
    Arc::clone(&PROVIDER)
}

/// Makes [`crypto_provider`] the process default, for code that asks rustls for one; called first by every `main`.
///
/// Calling it again changes nothing.
pub fn install_crypto_provider() {
    // An error only says that a default is installed already, and nothing here depends on which.
    let _already_installed = restricted_provider().install_default();
}

/// The application protocols a configuration offers. RFC 7301 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 preferred, HTTP/1.1 accepted.
    Http2OrHttp1,
    /// HTTP/1.1 alone.
    Http1,
    /// No protocol named: for connectors that set their own.
    Unset,
}

impl Alpn {
    pub(crate) fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http2OrHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Unset => Vec::new(),
        }
    }
}

fn restricted_provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_a_hybrid_post_quantum_key_exchange_first() {
        let groups = crypto_provider()
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect::<Vec<_>>();
        assert_eq!(groups.first(), Some(&rustls::NamedGroup::X25519MLKEM768));
        assert!(
            groups.contains(&rustls::NamedGroup::secp256r1),
            "partners without ML-KEM still connect"
        );
    }

    /// T19.
    #[test]
    fn offers_no_suite_without_forward_secrecy_and_authenticated_encryption() {
        for suite in &crypto_provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
            assert!(
                name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"),
                "{name}"
            );
        }
    }

    /// F1: of those for TLS 1.2 the four that RFC 9325 §4.2 recommends, and no other.
    #[test]
    fn offers_with_tls_1_2_the_recommended_suites_alone() {
        let suites = crypto_provider()
            .cipher_suites
            .iter()
            .map(|suite| format!("{:?}", suite.suite()))
            .filter(|name| !name.starts_with("TLS13_"))
            .collect::<Vec<_>>();
        assert_eq!(
            suites,
            [
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            ]
        );
    }

    #[test]
    fn installing_the_provider_twice_changes_nothing() {
        install_crypto_provider();
        install_crypto_provider();
        assert!(CryptoProvider::get_default().is_some());
    }
}
