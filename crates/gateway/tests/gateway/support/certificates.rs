//! The demo PKI in memory, made once for all tests.

use std::sync::LazyLock;
use std::time::SystemTime;

use mtls::{ClientTls, Credentials, TrustAnchors};
use oauth_core::certificate::ClientCertificate;
use oauth_core::jwt::{SignatureAlgorithm, SigningKey};
use oauth_core::time::Timestamp;
use pki::{
    Days, DemoSet, Identity, KeyAlgorithm, Leaf, Member, PrivateKey, SubjectAlternativeName, Validity,
};

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
    credentials_of(PKI.identity(member))
}

/// Of the right root, and for a host that nobody asked for.
pub(super) fn server_of_another_name() -> Credentials {
    let leaf = Leaf {
        subject: "CN=elsewhere".parse().unwrap(),
        subject_alternative_names: vec![SubjectAlternativeName::dns("elsewhere.example.com").unwrap()],
        validity: Validity::starting(Days::SERVER, now()),
    };
    credentials_of(&PKI.root().issue_server(&leaf, KeyAlgorithm::EcdsaP256).unwrap())
}

/// For the right host, and of a root that nobody trusts.
pub(super) fn server_of_another_root() -> Credentials {
    let other = DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap();
    credentials_of(other.identity(Member::Login))
}

fn credentials_of(identity: &Identity) -> Credentials {
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
