//! The demo PKI in memory, made once for all tests.

use std::sync::LazyLock;
use std::time::SystemTime;

use mtls::{ClientTls, Credentials, TrustAnchors};
use oauth_core::certificate::ClientCertificate;
use oauth_core::jwt::{SignatureAlgorithm, SigningKey};
use oauth_core::time::Timestamp;
use pki::{DemoSet, KeyAlgorithm, Member, PrivateKey};

pub(crate) static PKI: LazyLock<DemoSet> =
    LazyLock::new(|| DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap());

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

pub(crate) fn new_signing_key() -> SigningKey {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    SigningKey::from_pkcs8_pem(key.pem().as_bytes(), SignatureAlgorithm::ES256).unwrap()
}

pub(crate) fn trust() -> TrustAnchors {
    TrustAnchors::from_pem(PKI.root().certificate().pem().unwrap().as_bytes()).unwrap()
}

pub(crate) fn credentials(member: Member) -> Credentials {
    let identity = PKI.identity(member);
    Credentials::from_pem(
        identity.certificate_pem().unwrap().as_bytes(),
        identity.key_pem().as_bytes(),
    )
    .unwrap()
}

pub(crate) fn certificate_of(member: Member) -> ClientCertificate {
    ClientCertificate::from_der(PKI.identity(member).certificate().der()).unwrap()
}

pub(crate) fn client_tls(member: Option<Member>) -> ClientTls {
    let tls = ClientTls::new(trust());
    member.map_or(tls.clone(), |member| tls.with_credentials(credentials(member)))
}
