//! Self-signed certificates: let in one by one, and never without the proof that the peer holds the key.

use std::sync::Arc;

use mtls::{Alert, ClientCertificates, SelfSignedCertificates};
use oauth_core::thumbprint::CertificateThumbprint;
use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};

use crate::pki::{Authority, Leaf};
use crate::support::{Server, credentials, exchange, thumbprint, verification};

fn registering(registered: &[&Leaf]) -> Server {
    let thumbprints = registered
        .iter()
        .map(|leaf| CertificateThumbprint::of_der(credentials(leaf).leaf_der()));
    let verification =
        verification(&Authority::new("clients")).admit_self_signed(SelfSignedCertificates::new(thumbprints));
    Server::start(&ClientCertificates::Optional(verification))
}

/// M16, T17.
#[tokio::test]
async fn accepts_a_registered_certificate_over_both_versions_of_tls() {
    let own = Leaf::self_signed(|_| ());
    let server = registering(&[&own]);
    assert_eq!(server.ask(Some(&own)).await.unwrap(), thumbprint(&own));
    let config = server.tls_1_2_client(Some(credentials(&own)));
    let answer = exchange(server.address, config.into()).await.unwrap();
    assert_eq!(answer, thumbprint(&own));
}

/// M16: as `openssl req -x509` makes them, and whatever their dates: who it belongs to decides about those.
#[tokio::test]
async fn accepts_a_registered_certificate_that_calls_itself_an_authority_or_has_expired() {
    let authority = Leaf::self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let expired = Leaf::self_signed(|params| params.not_after = date_time_ymd(2021, 1, 1));
    let server = registering(&[&authority, &expired]);
    for own in [&authority, &expired] {
        assert_eq!(server.ask(Some(own)).await.unwrap(), thumbprint(own));
    }
}

/// M16, T17: those with a chain go on as before.
#[tokio::test]
async fn verifies_the_chain_of_every_other_certificate() {
    let authority = Authority::new("clients");
    let registered = CertificateThumbprint::of_der(credentials(&Leaf::self_signed(|_| ())).leaf_der());
    let server = Server::start(&ClientCertificates::Optional(
        verification(&authority).admit_self_signed(SelfSignedCertificates::new([registered])),
    ));
    let good = authority.client(|_| ());
    assert_eq!(server.ask(Some(&good)).await.unwrap(), thumbprint(&good));
    let expired = authority.client(|params| params.not_after = date_time_ymd(2021, 1, 1));
    assert_eq!(
        server.refusal(Some(&expired)).await,
        Some(Alert::CertificateExpired)
    );
}

/// M17.
#[tokio::test]
async fn refuses_a_self_signed_certificate_that_is_not_registered() {
    let stranger = Leaf::self_signed(|_| ());
    let server = registering(&[&Leaf::self_signed(|_| ())]);
    assert_eq!(server.refusal(Some(&stranger)).await, Some(Alert::UnknownCa));
}

/// M16: where no client is registered with one, none is let in.
#[tokio::test]
async fn refuses_every_self_signed_certificate_where_none_is_registered() {
    let own = Leaf::self_signed(|_| ());
    assert_eq!(registering(&[]).refusal(Some(&own)).await, Some(Alert::UnknownCa));
}

/// M16, M20: where nobody can list them beforehand; and a certificate of an authority is verified as ever.
#[tokio::test]
async fn accepts_any_self_signed_certificate_where_that_is_asked_for_and_no_other_stranger() {
    let (own, foreign) = (Leaf::self_signed(|_| ()), Authority::new("others").client(|_| ()));
    let admitted = SelfSignedCertificates::default();
    admitted.admit_any();
    let verification = verification(&Authority::new("clients")).admit_self_signed(admitted.clone());
    let server = Server::start(&ClientCertificates::Optional(verification));
    assert_eq!(server.ask(Some(&own)).await.unwrap(), thumbprint(&own));
    assert_eq!(server.refusal(Some(&foreign)).await, Some(Alert::UnknownCa));
    admitted.replace([]);
    assert_eq!(server.refusal(Some(&own)).await, Some(Alert::UnknownCa));
}

/// M20: registrations change while the server runs.
#[tokio::test]
async fn follows_the_list_as_it_changes() {
    let (old, new) = (Leaf::self_signed(|_| ()), Leaf::self_signed(|_| ()));
    let [of_old, of_new] =
        [&old, &new].map(|leaf| CertificateThumbprint::of_der(credentials(leaf).leaf_der()));
    let list = SelfSignedCertificates::new([of_old]);
    let verification = verification(&Authority::new("clients")).admit_self_signed(list.clone());
    let server = Server::start(&ClientCertificates::Optional(verification));
    assert!(server.ask(Some(&old)).await.is_ok());
    list.replace([of_new]);
    assert!(server.ask(Some(&new)).await.is_ok());
    assert_eq!(server.refusal(Some(&old)).await, Some(Alert::UnknownCa));
}

/// T17: only self-signed certificates are excused from having a chain.
#[tokio::test]
async fn refuses_a_registered_certificate_of_an_unknown_authority() {
    let foreign = Authority::new("rogues").client(|_| ());
    assert_eq!(
        registering(&[&foreign]).refusal(Some(&foreign)).await,
        Some(Alert::UnknownCa)
    );
}

/// A certificate that is public, and a key that is not its own.
#[derive(Debug)]
pub(crate) struct Stolen(Arc<CertifiedKey>);

impl Stolen {
    pub(crate) fn new(certificate: &Leaf, key: &Leaf) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.key.as_bytes()).unwrap();
        let key = mtls::crypto_provider()
            .key_provider
            .load_private_key(key)
            .unwrap();
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }
}

impl ResolvesClientCert for Stolen {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// T12, T17: knowing somebody's certificate is not holding its key.
#[tokio::test]
async fn refuses_a_registered_certificate_without_its_key_over_both_versions_of_tls() {
    let own = Leaf::self_signed(|_| ());
    let stolen = Arc::new(Stolen::new(&own, &Leaf::self_signed(|_| ())));
    let server = registering(&[&own]);
    for mut config in [server.client(None), server.tls_1_2_client(None)] {
        config.client_auth_cert_resolver = Arc::clone(&stolen) as Arc<dyn ResolvesClientCert>;
        let error = exchange(server.address, Arc::<ClientConfig>::new(config))
            .await
            .unwrap_err();
        assert_eq!(mtls::peer_alert(&error), Some(Alert::DecryptError), "{error}");
    }
}
