//! New private keys, as PKCS#8 PEM.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use oauth_core::jwt::SignatureAlgorithm;
use zeroize::Zeroizing;

/// Characters of base64 in a line of PEM. RFC 7468 §2
const PEM_LINE: usize = 64;

/// A new private key, as PKCS#8 PEM. Version 1 throughout: an Ed25519 key of version 2 cannot be read back.
pub(super) fn generate(algorithm: SignatureAlgorithm) -> Result<Zeroizing<String>, Unspecified> {
    match algorithm {
        SignatureAlgorithm::ES256 => Ok(pem(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?
            .to_pkcs8v1()?
            .as_ref())),
        SignatureAlgorithm::PS256 | SignatureAlgorithm::RS256 => {
            let key: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            Ok(pem(key.as_ref()))
        }
        SignatureAlgorithm::EdDSA => Ok(pem(Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref())),
    }
}

fn pem(pkcs8: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(pkcs8));
    // Made as long as it gets, so that no copy of the key is left behind by a reallocation.
    let mut pem = Zeroizing::new(String::with_capacity(
        encoded.len() + encoded.len() / PEM_LINE + 64,
    ));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, following) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = following;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
