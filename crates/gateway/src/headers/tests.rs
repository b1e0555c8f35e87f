use super::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    headers
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

/// W8, H3: whatever an operator calls it.
#[test]
fn removes_the_certificate_header_from_trailers_in_every_spelling() {
    let name = HeaderName::from_static("partner-certificate");
    let sent = [
        ("partner-certificate", "forged"),
        ("partner_certificate", "forged"),
        ("connection", "checksum-of-hop"),
        ("checksum-of-hop", "1"),
        ("checksum", "1"),
    ];
    let mut trailers = headers(&sent);
    clean_request_trailers(&mut trailers, Some(&name));
    assert_eq!(names(&trailers), ["checksum"]);
    let mut trailers = headers(&sent);
    clean_request_trailers(&mut trailers, None);
    assert_eq!(
        names(&trailers),
        ["checksum", "partner-certificate", "partner_certificate"]
    );
}

/// H3, H11, X5.
#[test]
fn removes_identity_fields_in_every_spelling() {
    for name in [
        "Client-Cert",
        "CLIENT-CERT",
        "client_cert",
        "Client_Cert_Chain",
        "Client-Cert-Chain",
        "SSL-CLIENT-CERT",
        "SSL_CLIENT_CERT",
        "SSL-CLIENT-S-DN",
        "ssl-client-verify",
        "X-SSL-Client-Cert",
        "X_SSL_CERT",
        "x-ssl",
        "X-Client-Cert",
        "x-client-certificate",
        "X-Client-Verify",
        "X-Forwarded-Client-Cert",
        "x_forwarded_client_cert",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x_forwarded-proto",
        "X-Forwarded-Tls-Client-Cert",
        "Forwarded",
        "X-Real-IP",
        "x_real_ip",
        "X-WSO2-CLIENT-CERTIFICATE",
        "x_wso2_client_certificate",
        "X-Amzn-Mtls-Clientcert",
        "X-Amzn-Mtls-Clientcert-Leaf",
        "X-ARR-ClientCert",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Request-Id",
        "Proxy",
        "Client-IP",
        "client_ip",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "Fastly-Client-IP",
        "X-Envoy-External-Address",
        "X-Envoy-Peer-Metadata",
        "X-Auth-Request-User",
        "x_auth_request_email",
        "X-Ms-Client-Principal",
        "X-Ms-Client-Principal-Id",
        "X-Goog-Authenticated-User-Email",
        "X-Goog-IAP-JWT-Assertion",
        "X-WebAuth-User",
    ] {
        let mut request = headers(&[(name, "forged"), (name, "twice"), ("accept", "*/*")]);
        clean_request(&mut request);
        assert_eq!(names(&request), ["accept"], "{name}");
        let mut trailers = headers(&[(name, "forged"), ("checksum", "1")]);
        clean_request_trailers(&mut trailers, None);
        assert_eq!(names(&trailers), ["checksum"], "{name}");
    }
}

/// What the gateway says itself is written beside what is left, and said once.
#[test]
fn leaves_nothing_that_the_gateway_says_itself() {
    for name in OWN.iter().chain([&AUTHORIZATION]) {
        let mut request = headers(&[(name.as_str(), "forged"), ("accept", "*/*")]);
        clean_request(&mut request);
        assert_eq!(names(&request), ["accept"], "{name}");
    }
}

/// H11: some servers would take it for the field that ends the body, and the rest of the body for a request.
#[test]
fn removes_what_could_be_taken_for_a_field_of_the_request_itself() {
    for name in [
        "Content_Length",
        "Transfer_Encoding",
        "content_type",
        "keep_alive",
    ] {
        let mut request = headers(&[(name, "1"), ("content-length", "2"), ("x_api_version", "1")]);
        clean_request(&mut request);
        assert_eq!(names(&request), ["content-length", "x_api_version"], "{name}");
    }
    for name in [
        "Content-Length",
        "Content_Length",
        "Host",
        "Cookie",
        "Content-Type",
    ] {
        let mut trailers = headers(&[(name, "1"), ("checksum", "1")]);
        clean_request_trailers(&mut trailers, None);
        assert_eq!(names(&trailers), ["checksum"], "{name}");
    }
}

/// H11: a name that only looks alike is the API's business.
#[test]
fn keeps_fields_that_tell_nothing_of_the_caller() {
    let kept = [
        ("accept", "*/*"),
        ("content-length", "2"),
        ("content-type", "application/json"),
        ("cookie", "a=b"),
        ("forwardedness", "1"),
        ("idempotency-key", "1"),
        ("traceparent", "00-1-1-01"),
        ("trailer", "checksum"),
        ("x-api-version", "1"),
        ("x-client-id", "1"),
        ("x-sslx", "1"),
        ("x-user-agent", "1"),
    ];
    let mut request = headers(&kept);
    clean_request(&mut request);
    assert_eq!(names(&request), kept.map(|(name, _)| name));
}

/// P9.
#[test]
fn removes_the_opaque_token_and_the_expectation() {
    let mut request = headers(&[
        ("Authorization", "Bearer opaque"),
        ("Expect", "100-continue"),
        ("accept", "*/*"),
    ]);
    clean_request(&mut request);
    assert_eq!(names(&request), ["accept"]);
    let mut trailers = headers(&[("Authorization", "Bearer opaque")]);
    clean_request_trailers(&mut trailers, None);
    assert!(trailers.is_empty());
}

/// P9. RFC 9110 §7.6.1.
#[test]
fn removes_what_belongs_to_one_hop_and_what_connection_nominates() {
    let fields = [
        ("Connection", "close, X-Secret"),
        ("Connection", "x-other"),
        ("X-Secret", "1"),
        ("X-Other", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic x"),
        ("TE", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "websocket"),
        ("Trailer", "checksum"),
        ("Accept", "*/*"),
    ];
    let mut request = headers(&fields);
    clean_request(&mut request);
    assert_eq!(names(&request), ["accept", "trailer"]);
    let mut response = headers(&fields);
    clean_response(&mut response);
    assert_eq!(names(&response), ["accept", "trailer"]);
}

/// RFC 9110 §10.1.4.
#[test]
fn keeps_the_wish_for_trailers_alone() {
    let mut request = headers(&[("TE", "gzip;q=0.5, Trailers"), ("Connection", "TE")]);
    clean_request(&mut request);
    assert_eq!(request[TE], "trailers");
    assert_eq!(names(&request), ["te"]);
}

/// RFC 9110 §6.5.1: what says how a message is read, or asks for something, comes before it.
#[test]
fn nothing_that_must_stand_in_the_head_is_a_trailer() {
    for name in [
        "Cache-Control",
        "Content-Encoding",
        "Content-Range",
        "Content-Type",
        "Cookie",
        "Max-Forwards",
        "Set-Cookie",
        "Trailer",
        "Transfer-Encoding",
    ] {
        let mut trailers = headers(&[(name, "1"), ("checksum", "1")]);
        clean_request_trailers(&mut trailers, None);
        assert_eq!(names(&trailers), ["checksum"], "{name}");
    }
}

/// RFC 9113 §8.2.3.
#[test]
fn joins_the_pieces_of_a_cookie_that_http_2_splits() {
    let mut request = headers(&[("cookie", "a=b"), ("accept", "*/*"), ("cookie", "c=d; e=f")]);
    request.append(COOKIE, HeaderValue::from_bytes(b"g=\xe4").unwrap());
    clean_request(&mut request);
    let cookies: Vec<_> = request
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    assert_eq!(cookies, [b"a=b; c=d; e=f; g=\xe4"]);
    let mut request = headers(&[("cookie", "a=b; c=d")]);
    clean_request(&mut request);
    assert_eq!(request[COOKIE], "a=b; c=d");
}

/// H4.
#[test]
fn removes_the_client_certificate_from_responses_alone() {
    let mut response = headers(&[
        ("Client-Cert", ":ZGVy:"),
        ("client_cert_chain", ":ZGVy:"),
        ("x-request-id", "upstream's"),
        ("etag", "1"),
    ]);
    clean_response(&mut response);
    assert_eq!(names(&response), ["etag", "x-request-id"]);
    let mut trailers = headers(&[("Client-Cert", ":ZGVy:"), ("checksum", "1")]);
    clean_response_trailers(&mut trailers);
    assert_eq!(names(&trailers), ["checksum"]);
}

/// H7.
#[test]
fn tells_caches_that_a_response_chosen_by_the_certificate_varies_by_everything() {
    for value in ["Client-Cert", "accept, client-cert", "Client-Cert-Chain , Accept"] {
        let mut response = headers(&[("Vary", "Origin"), ("Vary", value)]);
        clean_response(&mut response);
        assert_eq!(
            response.get_all(VARY).iter().collect::<Vec<_>>(),
            ["*"],
            "{value}"
        );
    }
    let mut response = headers(&[("Vary", "Accept, Origin")]);
    clean_response(&mut response);
    assert_eq!(response[VARY], "Accept, Origin");
}
