//! Certificates that a load balancer hands on in a header: worth as much as a handshake from a trusted peer, and
//! nothing from anybody else.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use demo::{
    actor::{Actor, Answer},
    configuration::Settings,
};
use integration_tests::{Ground, TestSystem, log, raw::RawClient, upstream::RecordingUpstream};
use mtls::{Alpn, Credentials};
use oauth_core::{client_cert_header, time::Timestamp};
use pki::{KeyAlgorithm, Member, Root};
use reqwest::{StatusCode, header::HeaderMap};

/// The gateway's own client certificate plays the balancer's.
const BALANCER: Member = Member::Gateway;
const BY_NAME: &str = r#"[{ san_dns = "gateway-internal.example.com" }]"#;
const HEADER: &str = "x-client-certificate";

fn settings(trusted_peers: &str, further: &str) -> Settings {
    Settings {
        gateway_client_certificates: format!(
            r#"{further}
            [client_certificates.header]
            name = "X-Client-Certificate"
            encoding = "rfc9440"
            trusted_peers = {trusted_peers}
            "#
        ),
        ..Settings::default()
    }
}

async fn system(trusted_peers: &str) -> TestSystem {
    TestSystem::start_with(settings(trusted_peers, "")).await
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

async fn call(peer: &Actor, token: &str, fields: &[(&'static str, &str)]) -> Answer {
    peer.call(Some(token), headers(fields)).await
}

fn assert_accepted(answer: &Answer) {
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
}

async fn assert_refused(answer: &Answer, status: StatusCode, reason: &str) {
    assert_eq!(answer.status(), Some(status), "{answer}");
    let expected = match status {
        StatusCode::BAD_REQUEST => "invalid_request",
        _ => "invalid_token",
    };
    assert_eq!(answer.error().as_deref(), Some(expected));
    let request_id = answer.header("x-request-id").unwrap();
    assert_eq!(log::field_of_request(request_id, "reason").await, reason);
}

async fn assert_unauthorized(answer: &Answer, reason: &str) {
    assert_refused(answer, StatusCode::UNAUTHORIZED, reason).await;
}

/// W2, W5, W12, W13: asked again with every request, over HTTP/2 and over HTTP/1.1.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_in_a_trusted_balancers_header_is_the_clients() {
    let system = system(BY_NAME).await;
    let token = system.partner_token().await;
    let partner = system.client_cert_value(Member::Example);
    let other = system.client_cert_value(Member::Other);
    for balancer in [
        system.actor(Some(BALANCER)).unwrap(),
        system.http1_actor(Some(BALANCER)).unwrap(),
    ] {
        for _ in 0..2 {
            assert_accepted(&call(&balancer, &token, &[(HEADER, &partner)]).await);
            let stolen = call(&balancer, &token, &[(HEADER, &other)]).await;
            assert_unauthorized(&stolen, "certificate_mismatch").await;
            // The balancer's own certificate is nobody's.
            assert_unauthorized(&call(&balancer, &token, &[]).await, "certificate_missing").await;
            let empty = call(&balancer, &token, &[(HEADER, "")]).await;
            assert_unauthorized(&empty, "certificate_missing").await;
        }
    }
}

/// W2, W3, W5, H3, H6: whoever is not trusted speaks for himself alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_header_from_anybody_else_is_ignored() {
    let system = system(BY_NAME).await;
    let token = system.partner_token().await;
    let partner = system.client_cert_value(Member::Example);
    let stolen = call(&system.other(), &token, &[(HEADER, &partner)]).await;
    assert_unauthorized(&stolen, "certificate_mismatch").await;
    let other = system.client_cert_value(Member::Other);
    assert_accepted(&call(&system.partner(), &token, &[(HEADER, &other)]).await);
    assert_accepted(&call(&system.partner(), &token, &[(HEADER, "no certificate")]).await);
}

/// W2, W3: by address alone, where the balancer has no certificate of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_without_certificate_is_told_by_its_address() {
    for (network, trusted) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let peers = format!(r#"["{network}"]"#);
        let system = TestSystem::start_with(settings(&peers, r#"client_certificate = "optional""#)).await;
        let token = system.partner_token().await;
        let partner = system.client_cert_value(Member::Example);
        let balancer = system.actor(None).unwrap();
        let answer = call(&balancer, &token, &[(HEADER, &partner)]).await;
        match trusted {
            true => assert_accepted(&answer),
            false => assert_unauthorized(&answer, "certificate_missing").await,
        }
    }
}

/// W2: neither is enough without the other.
#[tokio::test(flavor = "multi_thread")]
async fn address_and_certificate_must_both_be_the_balancers_where_both_are_configured() {
    for (network, trusted) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let peers = format!(r#"[{{ network = "{network}", san_dns = "gateway-internal.example.com" }}]"#);
        let system = system(&peers).await;
        let token = system.partner_token().await;
        let partner = system.client_cert_value(Member::Example);
        let balancer = system.actor(Some(BALANCER)).unwrap();
        let answer = call(&balancer, &token, &[(HEADER, &partner)]).await;
        match trusted {
            true => assert_accepted(&answer),
            false => assert_unauthorized(&answer, "certificate_mismatch").await,
        }
        let other = call(&system.other(), &token, &[(HEADER, &partner)]).await;
        assert_unauthorized(&other, "certificate_mismatch").await;
    }
}

/// W6: and the log says what was seen instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_cannot_be_read_is_the_balancers_fault_and_a_bad_request() {
    let system = system(BY_NAME).await;
    let token = system.partner_token().await;
    let balancer = system.actor(Some(BALANCER)).unwrap();
    let partner = system.client_cert_value(Member::Example);
    let bare = partner.trim_matches(':');
    for (value, detail) in [
        (bare, "it is encoded as base64-der"),
        (":MAA=:", "not the DER encoding of an X.509 certificate"),
        (
            "-----BEGIN CERTIFICATE-----",
            "nor in any other encoding known here",
        ),
    ] {
        let answer = call(&balancer, &token, &[(HEADER, value)]).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "client_cert_header_malformed").await;
        let request_id = answer.header("x-request-id").unwrap();
        let logged = log::field_of_request(request_id, "reason.detail").await;
        assert!(logged.contains(detail), "{value}: {logged}");
    }
    assert_accepted(&call(&balancer, &token, &[(HEADER, &partner)]).await);
}

/// W7, H10, X5: a balancer that passes on what its client wrote is not believed either.
#[tokio::test(flavor = "multi_thread")]
async fn two_headers_and_other_spellings_are_refused() {
    let system = system(BY_NAME).await;
    let token = system.partner_token().await;
    let balancer = system.actor(Some(BALANCER)).unwrap();
    let value = system.client_cert_value(Member::Example);
    let value = value.as_str();
    let two = format!("{value}, {value}");
    for fields in [
        &[(HEADER, value), (HEADER, value)][..],
        &[(HEADER, value), ("x_client_certificate", value)],
        &[("x_client_certificate", value)],
        &[("x-client_certificate", value)],
        &[(HEADER, &two)],
    ] {
        let answer = call(&balancer, &token, fields).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "client_cert_header_malformed").await;
    }
    assert_accepted(&call(&balancer, &token, &[(HEADER, value)]).await);
}

/// W2, T3, T5, T13: what no handshake would let in, no header lets in.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_a_handshake_would_refuse_is_refused_in_the_header() {
    let system = system(BY_NAME).await;
    let token = system.partner_token().await;
    let balancer = system.actor(Some(BALANCER)).unwrap();
    for (member, reason) in [
        (Member::Rogue, "certificate_untrusted"),
        (Member::Revoked, "certificate_untrusted"),
        (Member::ServerOnly, "certificate_untrusted"),
        (Member::Expired, "certificate_expired"),
        (Member::NotYetValid, "certificate_expired"),
    ] {
        let value = system.client_cert_value(member);
        assert_unauthorized(&call(&balancer, &token, &[(HEADER, &value)]).await, reason).await;
    }
}

/// T13, T21: a certificate revoked while the balancer's connection is open, and one that was remembered.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_in_the_header_is_refused_once_it_is_revoked() {
    let system = system(BY_NAME).await;
    let token = system.partner_token().await;
    let others = system.other().request_token("other-client").await;
    let others = others.access_token().unwrap();
    let balancer = system.actor(Some(BALANCER)).unwrap();
    let (partner, other) = (
        system.client_cert_value(Member::Example),
        system.client_cert_value(Member::Other),
    );
    assert_accepted(&call(&balancer, &token, &[(HEADER, &partner)]).await);
    assert_accepted(&call(&balancer, &others, &[(HEADER, &other)]).await);

    system.revoke(Member::Example);
    let answer = call(&balancer, &token, &[(HEADER, &partner)]).await;
    assert_unauthorized(&answer, "certificate_untrusted").await;
    assert_accepted(&call(&balancer, &others, &[(HEADER, &other)]).await);

    // The balancer's own: nothing it says counts any more.
    system.revoke(BALANCER);
    let answer = call(&balancer, &others, &[(HEADER, &other)]).await;
    assert_unauthorized(&answer, "certificate_untrusted").await;
}

/// W8, H3, H5, X5: the API gets the header if the operator says so, from trusted peers alone, and `Client-Cert` as the
/// route has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_header_reaches_the_api_only_where_it_is_to() {
    for (forward, expected) in [(false, 0), (true, 1)] {
        let ground = Ground::new();
        let upstream = RecordingUpstream::start(&ground, HeaderMap::new());
        let mut settings = settings(BY_NAME, "");
        settings.gateway_client_certificates += &format!("forward = {forward}\n");
        settings.gateway_upstream = Some(upstream.url());
        let system = TestSystem::on(ground, settings).await;
        let token = system.partner_token().await;
        let partner = system.client_cert_value(Member::Example);
        let lie = system.client_cert_value(Member::Other);

        let balancer = system.actor(Some(BALANCER)).unwrap();
        let fields = [
            (HEADER, partner.as_str()),
            ("client-cert", &lie),
            ("ssl_client_cert", &lie),
        ];
        assert_accepted(&call(&balancer, &token, &fields).await);
        let fields = [(HEADER, lie.as_str()), ("x_client_certificate", &lie)];
        assert_accepted(&call(&system.partner(), &token, &fields).await);

        let requests = upstream.requests();
        let [from_balancer, from_partner] = requests.as_slice() else {
            panic!("two requests were forwarded: {requests:?}");
        };
        assert_eq!(from_balancer.values(HEADER), vec![partner.as_str(); expected]);
        assert!(from_partner.values(HEADER).is_empty());
        for request in [from_balancer, from_partner] {
            assert_eq!(request.values("client-cert"), [partner.as_str()]);
            assert!(request.values("ssl_client_cert").is_empty());
            assert!(request.values("x_client_certificate").is_empty());
        }
    }
}

/// W8, H3, H4: whatever an operator calls it, nobody writes it behind the body, nor has it taken away or kept by naming it
/// in `Connection`.
#[tokio::test(flavor = "multi_thread")]
async fn the_header_does_not_reach_the_api_in_trailers_or_through_connection_options() {
    let ground = Ground::new();
    let upstream = RecordingUpstream::start(&ground, HeaderMap::new());
    let settings = Settings {
        gateway_client_certificates: format!(
            r#"
            [client_certificates.header]
            name = "Partner-Certificate"
            encoding = "rfc9440"
            trusted_peers = {BY_NAME}
            "#
        ),
        gateway_upstream: Some(upstream.url()),
        ..Settings::default()
    };
    let system = TestSystem::on(ground, settings).await;
    let token = system.partner_token().await;
    let partner = system.client_cert_value(Member::Example);
    let lie = system.client_cert_value(Member::Other);
    for (peer, said) in [(BALANCER, &partner), (Member::Example, &lie)] {
        let request = format!(
            "POST /api/transactions HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {token}\r\n\
             Partner-Certificate: {said}\r\nConnection: close, partner-certificate, partner_certificate\r\n\
             TE: trailers\r\nTrailer: checksum\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\
             Checksum: 1\r\nPartner-Certificate: {lie}\r\nPARTNER_CERTIFICATE: {lie}\r\n\
             Connection: checksum-of-hop\r\nChecksum-Of-Hop: 1\r\n\r\n"
        );
        let answer = RawClient::new(&system, Some(peer))
            .exchange("api.example.com", request, |_| false)
            .await
            .unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{:?}", answer.escape_ascii());
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.values("client-cert"), [partner.as_str()]);
        assert_eq!(request.body.as_ref(), b"body");
        assert_eq!(request.trailers.keys().collect::<Vec<_>>(), ["checksum"]);
        for name in ["partner-certificate", "partner_certificate"] {
            assert!(request.values(name).is_empty());
        }
    }
}

/// A certificate that its own key signed, and the JWKS that registers it.
fn self_signed() -> (Credentials, String, String) {
    let now = Timestamp::from(std::time::SystemTime::now());
    let root = Root::create(KeyAlgorithm::EcdsaP256, now).unwrap();
    let pem = root.certificate().pem().unwrap();
    let der = root.certificate().der();
    // The key: a BIT STRING of 66 bytes that holds an uncompressed point.
    let start = der.windows(4).position(|bytes| bytes == [3, 66, 0, 4]).unwrap() + 4;
    let (x, y) = der[start..start + 64].split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let x5c = STANDARD.encode(der);
    let jwk = format!(r#"{{ kty = "EC", crv = "P-256", x = "{x}", y = "{y}", x5c = ["{x5c}"] }}"#);
    let credentials = Credentials::from_pem(pem.as_bytes(), root.key().pem().as_bytes()).unwrap();
    (credentials, pem, format!("{{ keys = [{jwk}] }}"))
}

fn registration(jwks: &str) -> String {
    format!(
        r#"
        [[clients]]
        client_id = "self-signed"
        token_endpoint_auth_method = "self_signed_tls_client_auth"
        jwks = {jwks}
        grant_types = ["client_credentials"]
        scope = "transactions"
        audience = "api.example.com"
        "#
    )
}

/// W15: in the connection and in the header; and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_certificate_is_let_in_without_an_authority() {
    for is_pinned in [true, false] {
        let (credentials, pem, jwks) = self_signed();
        let header = client_cert_header::encode(credentials.leaf_der());
        let ground = Ground::new();
        let file = ground.path().join("pinned.pem");
        std::fs::write(&file, pem).unwrap();
        let pinned = if is_pinned {
            format!("pinned = [{file:?}]")
        } else {
            String::new()
        };
        let mut settings = settings(BY_NAME, &pinned);
        settings.clients = registration(&jwks);
        let system = TestSystem::on(ground, settings).await;
        let trust = system.trust().unwrap();
        let client = Actor::new(trust, Some(credentials), Alpn::Http2OrHttp1, system.gateway()).unwrap();
        let token = client.request_token("self-signed").await.access_token().unwrap();
        let balancer = system.actor(Some(BALANCER)).unwrap();
        let directly = call(&client, &token, &[]).await;
        let handed_on = call(&balancer, &token, &[(HEADER, &header)]).await;
        if is_pinned {
            assert_accepted(&directly);
            assert_accepted(&handed_on);
        } else {
            assert_eq!(directly.status(), None, "{directly}");
            assert_unauthorized(&handed_on, "certificate_untrusted").await;
        }
        let other = system.partner_token().await;
        let stolen = call(&balancer, &other, &[(HEADER, &header)]).await;
        assert_eq!(stolen.status(), Some(StatusCode::UNAUTHORIZED), "{stolen}");
    }
}

/// M43: where nobody needs to vouch for a certificate, the token's does, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn where_possession_is_proof_enough_the_bound_certificate_opens_the_door_and_no_other() {
    let (credentials, _, jwks) = self_signed();
    let (others, ..) = self_signed();
    let settings = Settings {
        gateway_trust: Some(r#"verify = "proof-of-possession""#.to_owned()),
        clients: registration(&jwks),
        ..Settings::default()
    };
    let system = TestSystem::start_with(settings).await;
    let showing = |credentials: &Credentials| {
        let trust = system.trust().unwrap();
        Actor::new(
            trust,
            Some(credentials.clone()),
            Alpn::Http2OrHttp1,
            system.gateway(),
        )
        .unwrap()
    };
    let (holder, thief) = (showing(&credentials), showing(&others));
    let token = holder.request_token("self-signed").await.access_token().unwrap();
    for _ in 0..2 {
        assert_accepted(&call(&holder, &token, &[]).await);
        assert_unauthorized(&call(&thief, &token, &[]).await, "certificate_mismatch").await;
        assert_unauthorized(&call(&system.other(), &token, &[]).await, "certificate_mismatch").await;
    }
    // What an authority vouches for, and that of nobody known, are one here: the token alone decides.
    let partner = system.partner_token().await;
    assert_accepted(&call(&system.partner(), &partner, &[]).await);
    assert_unauthorized(&call(&holder, &partner, &[]).await, "certificate_mismatch").await;
    let nobody = system.actor(None).unwrap();
    assert_eq!(call(&nobody, &token, &[]).await.status(), None);
}
