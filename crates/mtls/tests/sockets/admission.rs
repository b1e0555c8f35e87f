//! Whom a listener lets in: accept and refuse.

use mtls::{Alert, ClientCertificates, ClientEku, CrlPolicy, RevocationLists, Verification};
use rcgen::{ExtendedKeyUsagePurpose, SanType, date_time_ymd};

use crate::pki::Authority;
use crate::support::{Server, exchange, thumbprint, trust, verification};

fn required(authority: &Authority) -> Server {
    Server::start(&ClientCertificates::Required(verification(authority)))
}

fn optional(authority: &Authority) -> Server {
    Server::start(&ClientCertificates::Optional(verification(authority)))
}

#[tokio::test]
async fn accepts_a_client_with_a_certificate_and_knows_it() {
    let authority = Authority::new("clients");
    let client = authority.client(|_| ());
    let answer = required(&authority).ask(Some(&client)).await.unwrap();
    assert_eq!(answer, thumbprint(&client));
}

/// T1.
#[tokio::test]
async fn refuses_a_client_without_a_certificate_where_one_is_required() {
    let server = required(&Authority::new("clients"));
    assert_eq!(server.refusal(None).await, Some(Alert::CertificateRequired));
}

/// T2.
#[tokio::test]
async fn refuses_a_client_without_a_certificate_over_tls_1_2_too() {
    let server = required(&Authority::new("clients"));
    let config = server.tls_1_2_client(None);
    let error = exchange(server.address, config.into()).await.unwrap_err();
    let alert = mtls::peer_alert(&error);
    assert!(
        matches!(alert, Some(Alert::CertificateRequired | Alert::HandshakeFailure)),
        "{alert:?}"
    );
}

/// T15.
#[tokio::test]
async fn accepts_a_client_without_a_certificate_where_it_is_optional() {
    let server = optional(&Authority::new("clients"));
    assert_eq!(server.ask(None).await.unwrap(), "anonymous");
}

#[tokio::test]
async fn knows_the_client_that_sends_an_optional_certificate() {
    let authority = Authority::new("clients");
    let client = authority.client(|_| ());
    assert_eq!(
        optional(&authority).ask(Some(&client)).await.unwrap(),
        thumbprint(&client)
    );
}

/// T16: a certificate that is sent must be good, also where none would do.
#[tokio::test]
async fn refuses_a_bad_certificate_where_it_is_optional() {
    let authority = Authority::new("clients");
    let expired = authority.client(|params| params.not_after = date_time_ymd(2021, 1, 1));
    assert_eq!(
        optional(&authority).refusal(Some(&expired)).await,
        Some(Alert::CertificateExpired)
    );
}

#[tokio::test]
async fn asks_no_certificate_where_none_is_requested() {
    let client = Authority::new("clients").client(|_| ());
    let server = Server::start(&ClientCertificates::NotRequested);
    assert_eq!(server.ask(Some(&client)).await.unwrap(), "anonymous");
}

/// T3.
#[tokio::test]
async fn refuses_an_expired_certificate() {
    let authority = Authority::new("clients");
    let expired = authority.client(|params| params.not_after = date_time_ymd(2021, 1, 1));
    assert_eq!(
        required(&authority).refusal(Some(&expired)).await,
        Some(Alert::CertificateExpired)
    );
}

/// T4.
#[tokio::test]
async fn refuses_a_certificate_that_is_not_yet_valid() {
    let authority = Authority::new("clients");
    let early = authority.client(|params| params.not_before = date_time_ymd(2110, 1, 1));
    assert_eq!(
        required(&authority).refusal(Some(&early)).await,
        Some(Alert::CertificateExpired)
    );
}

/// T5: the name of the authority is not what is trusted.
#[tokio::test]
async fn refuses_a_certificate_of_another_authority_of_the_same_name() {
    let rogue = Authority::new("clients").client(|_| ());
    let alert = required(&Authority::new("clients")).refusal(Some(&rogue)).await;
    assert!(
        matches!(alert, Some(Alert::UnknownCa | Alert::DecryptError)),
        "{alert:?}"
    );
}

/// T5.
#[tokio::test]
async fn refuses_a_certificate_of_an_unknown_authority() {
    let rogue = Authority::new("rogues").client(|_| ());
    assert_eq!(
        required(&Authority::new("clients")).refusal(Some(&rogue)).await,
        Some(Alert::UnknownCa)
    );
}

/// T6.
#[tokio::test]
async fn refuses_a_certificate_for_servers_alone() {
    let authority = Authority::new("clients");
    let server_only =
        authority.client(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(
        required(&authority).refusal(Some(&server_only)).await,
        Some(Alert::UnsupportedCertificate)
    );
}

/// T7.
#[tokio::test]
async fn refuses_a_certificate_that_names_no_usage_where_one_is_required() {
    let authority = Authority::new("clients");
    let plain = authority.client(|params| params.extended_key_usages = Vec::new());
    assert_eq!(
        required(&authority).refusal(Some(&plain)).await,
        Some(Alert::UnsupportedCertificate)
    );
}

/// T7.
#[tokio::test]
async fn accepts_a_certificate_that_names_no_usage_where_none_is_required() {
    let authority = Authority::new("clients");
    let plain = authority.client(|params| params.extended_key_usages = Vec::new());
    let revocation = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
    let lenient = Verification::new(trust(&authority), revocation, ClientEku::RequiredIfPresent);
    let server = Server::start(&ClientCertificates::Required(lenient));
    assert_eq!(server.ask(Some(&plain)).await.unwrap(), thumbprint(&plain));
}

/// T8.
#[tokio::test]
async fn refuses_the_certificate_of_an_authority() {
    let authority = Authority::new("clients");
    let ca =
        authority.client(|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    assert_eq!(
        required(&authority).refusal(Some(&ca)).await,
        Some(Alert::CertificateUnknown)
    );
}

#[tokio::test]
async fn admits_only_the_names_it_is_told_to() {
    let authority = Authority::new("clients");
    let named = |name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        authority.client(|params| params.subject_alt_names = vec![name])
    };
    let verification = verification(&authority).admit_san_dns(vec!["gateway-internal.example.com".into()]);
    let server = Server::start(&ClientCertificates::Required(verification));
    for admitted in ["gateway-internal.example.com", "Gateway-Internal.example.com"] {
        assert!(server.ask(Some(&named(admitted))).await.is_ok(), "{admitted}");
    }
    for other in [
        "gateway-internal.example.com.example.net",
        "x.gateway-internal.example.com",
        "*.example.com",
    ] {
        assert_eq!(
            server.refusal(Some(&named(other))).await,
            Some(Alert::AccessDenied),
            "{other}"
        );
    }
    let unnamed = authority.client(|_| ());
    assert_eq!(server.refusal(Some(&unnamed)).await, Some(Alert::AccessDenied));
}

#[tokio::test]
async fn admits_nobody_when_the_list_of_names_is_empty() {
    let authority = Authority::new("clients");
    let server = Server::start(&ClientCertificates::Required(
        verification(&authority).admit_san_dns(Vec::new()),
    ));
    assert_eq!(
        server.refusal(Some(&authority.client(|_| ()))).await,
        Some(Alert::AccessDenied)
    );
}
