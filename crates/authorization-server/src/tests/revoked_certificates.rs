//! A certificate that its authority revokes takes the tokens with it that were issued to it, as soon as a list says so.

use std::path::PathBuf;

use mtls::{Alpn, ClientCertificatesSection, CrlPolicy, Presence, ServerFiles, ServerTls, TlsSection};
use oauth_core::confirmation::Confirmation;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};

use super::several::server;
use super::*;
use crate::token_store::tests::shared::Database;

/// An authority, with its revocation list on the listener of a server.
struct Publisher {
    authority: CertifiedIssuer<'static, KeyPair>,
    tls: ServerTls,
    crl: PathBuf,
    _directory: TempDir,
}

impl Publisher {
    fn for_server(harness: &Harness) -> Self {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name);
        let authority = authority("root");
        std::fs::write(file("root.pem"), authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(file("server.pem"), server.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(file("server.key"), key.serialize_pem()).unwrap();
        let crl = file("root.crl.pem");
        std::fs::write(&crl, list(&authority, &[])).unwrap();
        let files = ServerFiles::new(TlsSection {
            certificate: file("server.pem"),
            key: file("server.key"),
        });
        let section = ClientCertificatesSection {
            trust: vec![file("root.pem")],
            crl: vec![crl.clone()],
            crl_policy: CrlPolicy::Require,
            require_client_eku: false,
        };
        let files = files
            .asking_for(section, Presence::Optional)
            .tell_revocations(harness.server.revocations());
        Self {
            tls: ServerTls::load(files, Alpn::Http2OrHttp1).unwrap(),
            authority,
            crl,
            _directory: directory,
        }
    }

    fn certificate(&self, common_name: &str) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        issued(&params, &self.authority)
    }

    fn publish(&self, revoked: &[&ClientCertificate]) {
        std::fs::write(&self.crl, list(&self.authority, revoked)).unwrap();
        self.tls.reload(now()).unwrap();
    }
}

fn list(authority: &CertifiedIssuer<'_, KeyPair>, revoked: &[&ClientCertificate]) -> String {
    let now = SystemTime::now();
    let revoked = revoked.iter().map(|certificate| RevokedCertParams {
        serial_number: SerialNumber::from_slice(certificate.serial()),
        revocation_time: now.into(),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: now.into(),
        next_update: (now + Duration::from_secs(60 * 60)).into(),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(authority).unwrap().pem().unwrap()
}

async fn lose_their_tokens(harness: Harness) {
    let publisher = Publisher::for_server(&harness);
    let (lost, renewed) = (
        publisher.certificate("demo-partner"),
        publisher.certificate("demo-partner"),
    );
    let (token, kept) = (harness.token(&lost).await, harness.token(&renewed).await);
    // Its token is not bound, and was issued to the certificate all the same.
    let request = post(TOKEN, "grant_type=client_credentials&client_id=unbound-partner");
    let unbound = harness.send(request, Some(&lost)).await.json();
    let unbound = unbound["access_token"].as_str().unwrap();
    for token in [&token, &kept, unbound] {
        assert!(harness.is_active(token).await);
    }

    publisher.publish(&[&lost]);
    for token in [&token, unbound] {
        let answer = harness.introspect(token, "application/json").await;
        assert_eq!(answer.body, r#"{"active":false}"#);
        let answer = harness.introspect(token, "application/jwt").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert!(harness.is_active(&kept).await);

    // A certificate that was put on hold may come back.
    publisher.publish(&[]);
    assert!(harness.is_active(&token).await);
}

/// I5, I16.
#[tokio::test]
async fn lose_their_tokens_on_the_embedded_store() {
    lose_their_tokens(Harness::new()).await;
}

/// I5, I16.
#[tokio::test]
async fn lose_their_tokens_on_the_shared_store() {
    if let Some(database) = Database::new().await {
        lose_their_tokens(server(&database.configuration()).await).await;
    }
}

/// I5: what an older version stored does not say which certificate, so any may be meant.
#[tokio::test]
async fn take_the_bound_tokens_of_an_older_version_with_them_and_no_unbound_ones() {
    let harness = Harness::new();
    let publisher = Publisher::for_server(&harness);
    let certificate = publisher.certificate("demo-partner");
    let older = harness
        .stored_token(|record| record.confirmation = Some(Confirmation::of(&certificate)))
        .await;
    let unbound = harness.stored_token(|_| ()).await;
    publisher.publish(&[]);
    assert!(harness.is_active(&older).await, "nobody is revoked");
    publisher.publish(&[&publisher.certificate("somebody else")]);
    assert!(!harness.is_active(&older).await);
    assert!(harness.is_active(&unbound).await);
}
