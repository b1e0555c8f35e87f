//! The steps of WSO2's page on certificate-bound access tokens, against a gateway configured from our table
//! (`docs/coming-from-wso2.md`): with JWTs of the identity provider of one's choice and with opaque tokens, the
//! certificate in the connection, in WSO2's header, in a renamed one; from a trusted balancer, and from anybody.

use std::{ops::Deref, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use demo::{
    actor::{Actor, Answer},
    configuration::Settings,
};
use integration_tests::{
    Ground, TestSystem,
    issuer::{Issuer, Profile},
    log,
    nginx::Nginx,
    upstream::RecordingUpstream,
};
use mtls::Alpn;
use oauth_core::certificate::ClientCertificate;
use pki::Member;
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Value, json};

/// The gateway's own client certificate plays the balancer's.
const BALANCER: Member = Member::Gateway;
/// `certificate_header` as it is, and as the page changes it.
const DEFAULT: &str = "X-WSO2-CLIENT-CERTIFICATE";
const RENAMED: &str = "SSL-CLIENT-CERT";

/// How the partner comes by a token for the story that follows.
#[derive(Clone, Copy, Debug)]
enum Token {
    /// From our authorization server, to be introspected.
    Opaque,
    /// From another identity provider, to be verified by the gateway itself.
    Jwt(Profile),
}

impl Token {
    const ALL: [Self; 3] = [
        Self::Opaque,
        Self::Jwt(Profile::AccessToken),
        Self::Jwt(Profile::Plain),
    ];

    async fn of_partner(self, system: &Migrated) -> String {
        match self {
            Self::Opaque => system.partner_token().await,
            Self::Jwt(profile) => {
                let thumbprint = thumbprint(system, Member::Example);
                let cnf = json!({ "x5t#S256": thumbprint.to_string() });
                system.issuer.token(profile, &cnf)
            }
        }
    }
}

fn thumbprint(system: &Migrated, member: Member) -> oauth_core::thumbprint::CertificateThumbprint {
    let credentials = system.credentials(member).unwrap();
    *ClientCertificate::from_der(credentials.leaf_der())
        .unwrap()
        .thumbprint()
}

/// What was WSO2's, with the API behind it and an identity provider that both trust.
struct Migrated {
    system: TestSystem,
    issuer: Issuer,
    upstream: RecordingUpstream,
}

impl Migrated {
    async fn start(settings: Settings) -> Self {
        let ground = Ground::new();
        let issuer = Issuer::start(&ground);
        let upstream = RecordingUpstream::start(&ground, HeaderMap::new());
        let introspection = format!(
            r#"
            client_id = "gateway"
            issuer = "https://login.example.com/oauth/v2/oauth-anonymous"
            {}
            "#,
            issuer.configuration()
        );
        let settings = Settings {
            gateway_introspection: Some(introspection),
            gateway_upstream: Some(upstream.url()),
            gateway_routes: r#"tokens = ["opaque", "jwt"]"#.to_owned(),
            ..settings
        };
        Self {
            system: TestSystem::on(ground, settings).await,
            issuer,
            upstream,
        }
    }
}

impl Deref for Migrated {
    type Target = TestSystem;

    fn deref(&self) -> &TestSystem {
        &self.system
    }
}

fn settings(name: Option<&str>, encoding: &str) -> Settings {
    let name = name.map_or_else(String::new, |name| format!("name = {name:?}"));
    Settings {
        gateway_client_certificates: format!(
            r#"
            [client_certificates.header]
            {name}
            encoding = "{encoding}"
            trusted_peers = [{{ network = "127.0.0.0/8", san_dns = "gateway-internal.example.com" }}]
            "#
        ),
        ..Settings::default()
    }
}

fn pem_of(ground: &Ground, member: Member) -> Vec<u8> {
    let file = format!("certs/{}.pem", member.path());
    std::fs::read(ground.path().join(file)).unwrap()
}

/// The header of the page's call: base64 of the PEM file.
fn header(name: &str, system: &Migrated, member: Member) -> HeaderMap {
    let value = STANDARD.encode(pem_of(system.ground(), member));
    HeaderMap::from_iter([(name.parse::<HeaderName>().unwrap(), value.parse().unwrap())])
}

fn assert_accepted(answer: &Answer) {
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
}

async fn assert_refused(answer: &Answer, reason: &str) {
    assert_eq!(answer.status(), Some(StatusCode::UNAUTHORIZED), "{answer}");
    assert_eq!(answer.error().as_deref(), Some("invalid_token"));
    let request_id = answer.header("x-request-id").unwrap();
    assert_eq!(log::field_of_request(request_id, "reason").await, reason);
}

/// M35, M36, W5, W12: "Invoke an API secured with Certificate Bound Access Token", more than once.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_accepted_with_its_certificate_in_the_connection() {
    let system = Migrated::start(settings(None, "base64-pem")).await;
    for token in Token::ALL {
        let token = token.of_partner(&system).await;
        for _ in 0..2 {
            assert_accepted(&system.partner().call(Some(&token), HeaderMap::new()).await);
            let stolen = system.other().call(Some(&token), HeaderMap::new()).await;
            assert_refused(&stolen, "certificate_mismatch").await;
        }
    }
    assert_eq!(system.upstream.requests().len(), 2 * Token::ALL.len());
}

/// A JWT of either profile that says `cnf`, shown by its holder and by the thief: in the connection, and in the header
/// of the balancer.
async fn answers_to(system: &Migrated, cnf: &Value) -> Vec<(Member, Answer)> {
    let balancer = system.actor(Some(BALANCER)).unwrap();
    let mut answers = Vec::new();
    for profile in [Profile::AccessToken, Profile::Plain] {
        let token = system.issuer.token(profile, cnf);
        for member in [Member::Example, Member::Other] {
            let peer = system.actor(Some(member)).unwrap();
            answers.push((member, peer.call(Some(&token), HeaderMap::new()).await));
            let headers = header(DEFAULT, system, member);
            answers.push((member, balancer.call(Some(&token), headers).await));
        }
    }
    answers
}

fn settings_accepting_hex(accepted: bool) -> Settings {
    Settings {
        gateway: format!("accept_hex_thumbprint = {accepted}"),
        ..settings(None, "base64-pem")
    }
}

/// W10: the thumbprint of the page's example, where it is accepted and where it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_thumbprint_in_hexadecimal_digits_counts_only_where_that_is_accepted() {
    for accepted in [false, true] {
        let system = Migrated::start(settings_accepting_hex(accepted)).await;
        let cnf = json!({ "x5t#S256": thumbprint(&system, Member::Example).to_hex() });
        for (member, answer) in answers_to(&system, &cnf).await {
            match (accepted, member) {
                (false, _) => assert_refused(&answer, "thumbprint_in_hex").await,
                (true, Member::Example) => assert_accepted(&answer),
                (true, _) => assert_refused(&answer, "certificate_mismatch").await,
            }
        }
    }
}

/// W11: a `cnf` that is a string, as the page writes it, is never taken for none.
#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_written_as_a_string_is_refused() {
    let system = Migrated::start(settings_accepting_hex(true)).await;
    let thumbprint = thumbprint(&system, Member::Example);
    for thumbprint in [thumbprint.to_string(), thumbprint.to_hex()] {
        let cnf = json!({ "x5t#S256": thumbprint });
        for (_, answer) in answers_to(&system, &Value::String(cnf.to_string())).await {
            assert_refused(&answer, "jwt_claims_malformed").await;
        }
        let accepted = answers_to(&system, &cnf).await.into_iter();
        accepted
            .filter(|(member, _)| *member == Member::Example)
            .for_each(|(_, answer)| assert_accepted(&answer));
    }
}

/// W1, W2, W4, W13: "Using MTLS Header to invoke APIs", with the default name and with another.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_accepted_with_its_certificate_in_the_header_of_a_trusted_balancer() {
    for (configured, sent) in [
        (None, DEFAULT),
        (None, "x-wso2-client-certificate"),
        (Some(RENAMED), RENAMED),
        (Some("ssl-client-cert"), RENAMED),
    ] {
        let system = Migrated::start(settings(configured, "base64-pem")).await;
        let balancer = system.actor(Some(BALANCER)).unwrap();
        for token in Token::ALL {
            let token = token.of_partner(&system).await;
            let call = async |headers| balancer.call(Some(&token), headers).await;
            assert_accepted(&call(header(sent, &system, Member::Example)).await);
            assert_refused(
                &call(header(sent, &system, Member::Other)).await,
                "certificate_mismatch",
            )
            .await;
            assert_refused(&call(HeaderMap::new()).await, "certificate_missing").await;
        }
    }
}

/// W1: the header that is configured, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_header_means_nothing_once_another_is_configured() {
    let system = Migrated::start(settings(Some(RENAMED), "base64-pem")).await;
    let balancer = system.actor(Some(BALANCER)).unwrap();
    let token = system.partner_token().await;
    let headers = header(DEFAULT, &system, Member::Example);
    assert_refused(&balancer.call(Some(&token), headers).await, "certificate_missing").await;
    let headers = header(RENAMED, &system, Member::Example);
    assert_accepted(&balancer.call(Some(&token), headers).await);
}

/// W2, W3, W5: where WSO2 with `enable_client_validation = false` believes anybody.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_header_from_an_untrusted_peer_is_refused() {
    for (configured, sent) in [(None, DEFAULT), (Some(RENAMED), RENAMED)] {
        let system = Migrated::start(settings(configured, "base64-pem")).await;
        for token in Token::ALL {
            let token = token.of_partner(&system).await;
            let headers = header(sent, &system, Member::Example);
            let stolen = system.other().call(Some(&token), headers.clone()).await;
            assert_refused(&stolen, "certificate_mismatch").await;
            let stranger = system.actor(None).unwrap().call(Some(&token), headers).await;
            assert_eq!(stranger.status(), None, "{stranger}");
        }
    }
}

/// The server of an nginx that ends mutual TLS for `api.example.com` and tells the gateway who called, as
/// `$ssl_client_escaped_cert`; to which it shows a certificate of its own.
fn balancing(system: &Migrated, header: &str) -> String {
    let certs = system.ground().path().join("certs");
    let file = |name: &str| path(&certs, name);
    let own = BALANCER.path();
    format!(
        r#"
        server_name api.example.com;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_client_certificate {root};
        ssl_verify_client optional;
        location / {{
            proxy_pass https://{gateway};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host api.example.com;
            proxy_set_header {header} $ssl_client_escaped_cert;
            proxy_ssl_server_name on;
            proxy_ssl_name api.example.com;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {root};
            proxy_ssl_certificate {own_certificate};
            proxy_ssl_certificate_key {own_key};
        }}
        "#,
        certificate = file("api.tls.pem"),
        key = file("api.tls.key"),
        root = file("root.pem"),
        gateway = system.gateway(),
        own_certificate = file(&format!("{own}.pem")),
        own_key = file(&format!("{own}.key")),
    )
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

fn behind(nginx: &Nginx, system: &Migrated, member: Option<Member>) -> Actor {
    let credentials = member.map(|member| system.credentials(member).unwrap());
    Actor::new(
        system.trust().unwrap(),
        credentials,
        Alpn::Http2OrHttp1,
        nginx.address(),
    )
    .unwrap()
}

/// W1, W2, W4, W6, W12, W13: nginx from Debian is the balancer.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_hands_on_the_certificates_of_its_clients() {
    for (configured, sent) in [(None, DEFAULT), (Some(RENAMED), RENAMED)] {
        let system = Migrated::start(settings(configured, "url-encoded-pem")).await;
        let Some(nginx) = Nginx::start(&balancing(&system, sent)) else {
            return;
        };
        let [partner, other] =
            [Member::Example, Member::Other].map(|member| behind(&nginx, &system, Some(member)));
        for token in Token::ALL {
            let token = token.of_partner(&system).await;
            for _ in 0..2 {
                assert_accepted(&partner.call(Some(&token), HeaderMap::new()).await);
                let stolen = other.call(Some(&token), HeaderMap::new()).await;
                assert_refused(&stolen, "certificate_mismatch").await;
            }
            let stranger = behind(&nginx, &system, None)
                .call(Some(&token), HeaderMap::new())
                .await;
            assert_refused(&stranger, "certificate_missing").await;
            // nginx writes over what its own client claims.
            let lie = header(sent, &system, Member::Example);
            let liar = other.call(Some(&token), lie).await;
            assert_refused(&liar, "certificate_mismatch").await;
        }
        let expected =
            oauth_core::client_cert_header::encode(system.credentials(Member::Example).unwrap().leaf_der());
        for request in system.upstream.requests() {
            assert_eq!(request.values("client-cert"), [expected.as_str()]);
            assert!(request.values(sent).is_empty());
        }
    }
}
