//! Certificates that are let in without an authority that vouches for them: one by one, or every one; never without the
//! proof that the peer holds the key.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mtls::{Alert, ClientCertificates, PinnedCertificates, Verification, peer_alert};
use rcgen::date_time_ymd;
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;

use crate::pki::{Authority, Leaf};
use crate::self_signed::Stolen;
use crate::support::{Server, credentials, exchange, thumbprint, verification};

/// The certificate of RFC 8705, Appendix A; of version 1.
const RFC_8705_APPENDIX_A: &str = "-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
";

fn pinning(verification: Verification, pinned: &[&Leaf]) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pinned.pem");
    let pems: Vec<&str> = pinned.iter().map(|leaf| leaf.certificate.as_str()).collect();
    std::fs::write(&file, pems.concat()).unwrap();
    let pinned = PinnedCertificates::from_pem_files(&[file]).unwrap();
    Server::start(&ClientCertificates::Required(verification.pin(pinned)))
}

async fn refusal_of_stolen(server: &Server, certificate: &Leaf) -> Vec<Option<Alert>> {
    let stolen = Arc::new(Stolen::new(certificate, &Leaf::self_signed(|_| ())));
    let mut alerts = Vec::new();
    for mut config in [server.client(None), server.tls_1_2_client(None)] {
        config.client_auth_cert_resolver = Arc::clone(&stolen) as Arc<dyn ResolvesClientCert>;
        let refused = exchange(server.address, Arc::<ClientConfig>::new(config)).await;
        alerts.push(peer_alert(&refused.unwrap_err()));
    }
    alerts
}

/// W15: a leaf, whoever issued it, and a self-signed certificate; and the authority of neither.
#[tokio::test]
async fn accepts_pinned_certificates_and_no_other_of_their_authority() {
    let (authority, foreign) = (Authority::new("clients"), Authority::new("rogues"));
    let (leaf, own) = (foreign.client(|_| ()), Leaf::self_signed(|_| ()));
    let server = pinning(verification(&authority), &[&leaf, &own]);
    for pinned in [&leaf, &own, &authority.client(|_| ())] {
        assert_eq!(server.ask(Some(pinned)).await.unwrap(), thumbprint(pinned));
    }
    for stranger in [&foreign.client(|_| ()), &Leaf::self_signed(|_| ())] {
        assert_eq!(server.refusal(Some(stranger)).await, Some(Alert::UnknownCa));
    }
}

/// W15.
#[tokio::test]
async fn accepts_nobody_but_the_pinned_where_no_authority_is_trusted() {
    let authority = Authority::new("clients");
    let leaf = authority.client(|_| ());
    let server = pinning(Verification::pinned_alone(), &[&leaf]);
    assert_eq!(server.ask(Some(&leaf)).await.unwrap(), thumbprint(&leaf));
    let sibling = authority.client(|_| ());
    assert_eq!(server.refusal(Some(&sibling)).await, Some(Alert::UnknownCa));
    assert_eq!(server.refusal(None).await, Some(Alert::CertificateRequired));
}

/// T3, T4, W15: no authority looks after their dates, so we do.
#[tokio::test]
async fn refuses_a_pinned_certificate_outside_of_its_validity() {
    let expired = Leaf::self_signed(|params| params.not_after = date_time_ymd(2021, 1, 1));
    let early = Leaf::self_signed(|params| params.not_before = date_time_ymd(2110, 1, 1));
    let server = pinning(Verification::pinned_alone(), &[&expired, &early]);
    for leaf in [&expired, &early] {
        assert_eq!(server.refusal(Some(leaf)).await, Some(Alert::CertificateExpired));
    }
}

/// T12, W15.
#[tokio::test]
async fn refuses_a_pinned_certificate_without_its_key() {
    let own = Leaf::self_signed(|_| ());
    let server = pinning(Verification::pinned_alone(), &[&own]);
    assert_eq!(
        refusal_of_stolen(&server, &own).await,
        [Some(Alert::DecryptError); 2]
    );
}

/// M43: whoever issued it, and though it calls itself nothing.
#[tokio::test]
async fn accepts_every_valid_certificate_where_only_its_key_is_to_be_proven() {
    let server = Server::start(&ClientCertificates::Required(Verification::proof_of_possession()));
    let silent = Leaf::self_signed(|params| params.extended_key_usages = Vec::new());
    for leaf in [&silent, &Authority::new("unheard of").client(|_| ())] {
        assert_eq!(server.ask(Some(leaf)).await.unwrap(), thumbprint(leaf));
        let config = server.tls_1_2_client(Some(credentials(leaf)));
        let answer = exchange(server.address, config.into()).await.unwrap();
        assert_eq!(answer, thumbprint(leaf));
    }
}

/// M43, T1, T3, T12.
#[tokio::test]
async fn refuses_an_expired_certificate_and_one_without_its_key_where_only_the_key_is_to_be_proven() {
    let server = Server::start(&ClientCertificates::Required(Verification::proof_of_possession()));
    let expired = Leaf::self_signed(|params| params.not_after = date_time_ymd(2021, 1, 1));
    assert_eq!(
        server.refusal(Some(&expired)).await,
        Some(Alert::CertificateExpired)
    );
    assert_eq!(server.refusal(None).await, Some(Alert::CertificateRequired));
    let own = Leaf::self_signed(|_| ());
    assert_eq!(
        refusal_of_stolen(&server, &own).await,
        [Some(Alert::DecryptError); 2]
    );
}

/// T9: RFC 8705's and WSO2's samples; nobody has their keys, and the handshake does not get as far as to miss them.
#[tokio::test]
async fn refuses_certificates_of_version_1() {
    let wso2 = include_str!("../../../oauth-core/src/client_cert_header/encoding/wso2_sample.txt");
    let wso2 = String::from_utf8(STANDARD.decode(wso2.trim_end()).unwrap()).unwrap();
    let server = Server::start(&ClientCertificates::Required(verification(&Authority::new(
        "clients",
    ))));
    for certificate in [RFC_8705_APPENDIX_A.to_owned(), wso2] {
        let version_1 = Leaf {
            certificate,
            key: String::new(),
        };
        let alerts = refusal_of_stolen(&server, &version_1).await;
        assert_eq!(alerts, [Some(Alert::CertificateUnknown); 2]);
    }
}
