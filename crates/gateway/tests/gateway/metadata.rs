//! What the gateway says of the resources behind it, and to whom.

use mtls::Alpn;
use oauth_core::metadata::{ProtectedResourceMetadata, ResourceIdentifier};
use pki::Member;

use crate::support::{API, Answered, Harness, ISSUER, Variation, connect_tls, get_plain, send, with_token};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn request(request: &str) -> String {
    format!("{request} HTTP/1.1\nHost: {API}\nConnection: close\n\n")
}

fn assert_describes_the_api(answered: &Answered) {
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.header("content-type"), Some("application/json"));
    assert_eq!(answered.header("cache-control"), Some("public, max-age=300"));
    let document: ProtectedResourceMetadata = serde_json::from_str(&answered.body).unwrap();
    let resource: ResourceIdentifier = format!("https://{API}").parse().unwrap();
    assert_eq!(document.verify(&resource), Ok(()));
    assert_eq!(document.authorization_servers[0], ISSUER);
    assert_eq!(document.scopes_supported, ["admin", "transactions"]);
    assert_eq!(document.bearer_methods_supported, ["header"]);
    assert!(document.tls_client_certificate_bound_access_tokens);
}

async fn where_certificates_are(client_certificate: &'static str) -> Harness {
    Harness::start_with(Variation {
        client_certificate,
        ..Variation::default()
    })
    .await
}

/// S1, S2, S3, S6.
#[tokio::test]
async fn describes_the_resource_to_everybody_where_a_certificate_is_optional() {
    let harness = where_certificates_are("optional").await;
    let mut anonymous = connect_tls(harness.public, API, None, Alpn::Http1).await.unwrap();
    let answered = send(&mut anonymous, &request(&format!("GET {WELL_KNOWN}"))).await;
    assert_describes_the_api(&answered);
    let with_certificate = request(&format!("GET {WELL_KNOWN}?x=y"));
    assert_describes_the_api(&harness.exchange(Member::Example, &with_certificate).await);
}

/// S1.
#[tokio::test]
async fn takes_no_other_method_and_describes_nothing_elsewhere() {
    let harness = Harness::start().await;
    for method in ["POST", "PUT", "DELETE"] {
        let asked = request(&format!("{method} {WELL_KNOWN}"));
        let answered = harness.exchange(Member::Example, &asked).await;
        assert_eq!(
            (answered.status, answered.header("allow")),
            (405, Some("GET, HEAD"))
        );
        assert!(!answered.body.contains(ISSUER));
    }
    let head = request(&format!("HEAD {WELL_KNOWN}"));
    let answered = harness.exchange(Member::Example, &head).await;
    assert_eq!((answered.status, answered.body.as_str()), (200, ""));
    for path in ["/api", "/", "/x", ";x"] {
        let asked = request(&format!("GET {WELL_KNOWN}{path}"));
        assert_eq!(
            harness.exchange(Member::Example, &asked).await.status,
            401,
            "{path}"
        );
    }
}

/// S4: the answer leads to the document, and the document to whoever issues tokens.
#[tokio::test]
async fn leads_from_a_refusal_to_the_metadata() {
    let harness = where_certificates_are("optional").await;
    let mut anonymous = connect_tls(harness.public, API, None, Alpn::Http1).await.unwrap();
    let refused = send(&mut anonymous, &request("GET /api/transactions")).await;
    let unknown = harness.call(Member::Example, "made-up").await;
    let elsewhere = harness
        .exchange(Member::Example, &with_token("GET /elsewhere", "made-up", ""))
        .await;
    for refused in [refused, unknown, elsewhere] {
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap();
        let (_, url) = challenge.split_once("resource_metadata=\"").unwrap();
        let url = url.strip_suffix('"').unwrap();
        let path = url.strip_prefix(&format!("https://{API}")).unwrap();
        let described = harness
            .exchange(Member::Example, &request(&format!("GET {path}")))
            .await;
        assert_describes_the_api(&described);
    }
}

/// S6.
#[tokio::test]
async fn describes_the_resource_on_the_admin_listener_where_a_certificate_is_required() {
    let harness = where_certificates_are("required").await;
    let mut refused = connect_tls(harness.public, API, None, Alpn::Http1).await;
    if let Ok(stream) = &mut refused {
        // With TLS 1.3 the client learns of the refusal when it reads.
        let read = tokio::io::AsyncReadExt::read(stream, &mut [0; 1]).await;
        assert!(read.is_err(), "{read:?}");
    }
    assert_describes_the_api(&get_plain(harness.admin, WELL_KNOWN).await);
    let elsewhere = get_plain(harness.admin, &format!("{WELL_KNOWN}/api")).await;
    assert_eq!(elsewhere.status, 404);
}
