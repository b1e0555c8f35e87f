use oauth_core::jwt::SignatureAlgorithm;

use super::*;

fn with(line: &str, replacement: &str) -> Result<Configuration, ConfigurationError> {
    assert!(DEMO.contains(line), "{line}");
    Configuration::from_toml(&DEMO.replacen(line, replacement, 1))
}

fn keys(result: Result<Configuration, ConfigurationError>) -> Vec<String> {
    result
        .unwrap_err()
        .problems()
        .iter()
        .map(|problem| problem.key.clone())
        .collect()
}

#[test]
fn accepts_the_demo_and_listens_on_loopback_alone() {
    let demo = Configuration::from_toml(DEMO).unwrap();
    assert_eq!(demo.listen, ListenSection::default());
    for (address, port) in [
        (demo.listen.tls, 8443),
        (demo.listen.mutual_tls, 8444),
        (demo.listen.admin, 9101),
    ] {
        assert!(address.ip().is_loopback() && address.port() == port);
    }
    assert_eq!(demo.signing.algorithm, SignatureAlgorithm::ES256);
    assert_eq!(demo.tokens, TokensSection::default());
    for client in ["partner-client", "other-client", "gateway", "introspect-client"] {
        assert!(demo.clients.find(client).is_some(), "{client}");
    }
    assert_eq!(demo.clients.iter().count(), 4);
}

#[test]
fn accepts_every_key() {
    let text = DEMO
        .replace("[signing]", "[signing]\nalgorithm = \"PS256\"")
        .replace(
            "[store]",
            "[listen]\ntls = \"127.0.0.1:1\"\nmutual_tls = \"127.0.0.1:2\"\nadmin = \"127.0.0.1:3\"\n\
         [tokens]\nlifetime = \"5m\"\nrevocation_window = \"0s\"\n[store]",
        );
    let configuration = Configuration::from_toml(&text).unwrap();
    assert_eq!(configuration.listen.mutual_tls.port(), 2);
    assert_eq!(configuration.signing.algorithm, SignatureAlgorithm::PS256);
    assert_eq!(configuration.tokens.lifetime, Duration::from_secs(300));
    assert_eq!(configuration.tokens.revocation_window, Duration::ZERO);
}

#[test]
fn refuses_unknown_keys_everywhere() {
    for section in [
        "[tls]",
        "[client_certificates]",
        "[store]",
        "[signing]",
        "[[clients]]",
    ] {
        let error = with(section, &format!("{section}\nunheard_of = 1"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field `unheard_of`"), "{error}");
    }
    for key in ["url = \"postgres://localhost\"", "danger = 1"] {
        assert!(with("[store]", &format!("[store]\n{key}")).is_err());
    }
}

/// The demo with these lines for its section `[store]`, and no directory of keys.
fn with_store(lines: &str) -> Result<Configuration, ConfigurationError> {
    let text = DEMO
        .replace("path = \"data/authorization-server/tokens.redb\"", lines)
        .replace("keys = \"data/authorization-server/keys\"", "");
    Configuration::from_toml(&text)
}

#[test]
fn accepts_a_database_on_this_machine_or_behind_tls_or_where_plain_text_is_asked_for() {
    for lines in [
        "url = \"postgres://certbound@localhost/certbound\"",
        "url = \"postgresql://certbound:pass%2Fword@127.0.0.1:5433/certbound\"",
        "url = \"postgres://certbound@[::1]/certbound?sslmode=disable\"",
        "url = \"postgres://certbound@%2Frun%2Fpostgresql/certbound\"",
        "url = \"postgres://certbound@db.example.com/certbound\"\ntrust = [\"db.pem\"]",
        "url = \"postgres://certbound@db1.example.com,db2.example.com/certbound?sslmode=require\"\ntrust = [\"db.pem\"]",
        "url = \"postgres://certbound@db.example.com/certbound\"\ndanger_plain_text = true",
        "url = \"postgres://certbound@localhost/certbound\"\npassword_file = \"password\"",
    ] {
        let configuration = with_store(lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
        assert!(matches!(configuration.store, StoreConfiguration::Postgres(_)));
    }
}

#[test]
fn refuses_a_database_that_is_not_safely_reached() {
    let certbound = "url = \"postgres://certbound";
    for (lines, key) in [
        (format!("{certbound}@db.example.com/certbound\""), "store.trust"),
        (
            format!("{certbound}@localhost,db.example.com/certbound\""),
            "store.trust",
        ),
        (
            format!("{certbound}@localhost/certbound?hostaddr=192.0.2.1\""),
            "store.trust",
        ),
        (
            format!("{certbound}@localhost/certbound?sslmode=require\""),
            "store.trust",
        ),
        (
            format!("{certbound}@db.example.com/certbound?sslmode=disable\"\ntrust = [\"db.pem\"]"),
            "store.trust",
        ),
        (
            format!("{certbound}@db.example.com/certbound\"\ntrust = [\"db.pem\"]\ndanger_plain_text = true"),
            "store.trust",
        ),
        (
            format!("{certbound}@%2Frun%2Fpostgresql/certbound\"\ntrust = [\"db.pem\"]"),
            "store.trust",
        ),
        (
            format!("{certbound}:word@localhost/certbound\"\npassword_file = \"password\""),
            "store.password_file",
        ),
    ] {
        assert_eq!(keys(with_store(&lines)), [key], "{lines}");
    }
}

#[test]
fn refuses_a_url_that_is_none_and_shows_no_part_of_it() {
    for url in [
        "host=localhost user=certbound password=se-cret",
        "mysql://certbound:se-cret@localhost/certbound",
        "postgres://certbound:se-cret@localhost:many/certbound",
        "postgres:///certbound",
    ] {
        let error = with_store(&format!("url = \"{url}\"")).unwrap_err();
        assert!(
            !error.to_string().contains("cret") && !format!("{error:?}").contains("cret"),
            "{error}"
        );
        assert_eq!(keys(Err(error)), ["store.url"], "{url}");
    }
}

#[test]
fn refuses_two_stores_none_and_keys_that_belong_to_the_other() {
    let (path, url) = (
        "path = \"tokens.redb\"",
        "url = \"postgres://certbound@localhost/certbound\"",
    );
    for (store, signing, expected) in [
        (String::new(), "keys = \"keys\"", vec!["store"]),
        (format!("{path}\n{url}"), "", vec!["store"]),
        (path.to_owned(), "", vec!["signing.keys"]),
        (url.to_owned(), "keys = \"keys\"", vec!["signing.keys"]),
        (
            format!("{path}\ntrust = [\"db.pem\"]\npassword_file = \"p\"\ndanger_plain_text = true"),
            "keys = \"keys\"",
            vec!["store.password_file", "store.trust", "store.danger_plain_text"],
        ),
    ] {
        let text = DEMO
            .replace("path = \"data/authorization-server/tokens.redb\"", &store)
            .replace("keys = \"data/authorization-server/keys\"", signing);
        assert_eq!(
            keys(Configuration::from_toml(&text)),
            expected,
            "{store} {signing}"
        );
    }
}

#[test]
fn refuses_lifetimes_out_of_bounds_and_accepts_the_bounds() {
    let tokens = |lines: &str| with("[store]", &format!("[tokens]\n{lines}\n[store]"));
    for (lines, key) in [
        ("lifetime = \"0s\"", "tokens.lifetime"),
        ("lifetime = \"999ms\"", "tokens.lifetime"),
        ("lifetime = \"25h\"", "tokens.lifetime"),
        ("revocation_window = \"2h\"", "tokens.revocation_window"),
    ] {
        assert_eq!(keys(tokens(lines)), [key], "{lines}");
    }
    for lines in [
        "lifetime = \"1s\"",
        "lifetime = \"24h\"",
        "revocation_window = \"1h\"",
    ] {
        assert!(tokens(lines).is_ok(), "{lines}");
    }
}

#[test]
fn refuses_limits_that_let_nobody_in_and_accepts_the_bounds() {
    let limits = |lines: &str| with("[store]", &format!("[limits]\n{lines}\n[store]"));
    for key in ["token_requests_per_client", "token_requests_per_address"] {
        for wrong in ["0", "1000001"] {
            let refused = limits(&format!("{key} = {wrong}"));
            assert_eq!(keys(refused), [format!("limits.{key}")]);
        }
        assert!(limits(&format!("{key} = 1")).is_ok() && limits(&format!("{key} = 1000000")).is_ok());
    }
    assert_eq!(
        Configuration::from_toml(DEMO).unwrap().limits,
        LimitsSection::default()
    );
}

/// M46, J8: each with the member at fault.
#[test]
fn refuses_members_of_clients_that_mean_nothing_or_are_not_offered() {
    let secret = "token_endpoint_auth_method = \"client_secret_basic\"\n\
        client_secret_hash = \"sha256:GVE_3J2k-3KkoF62aRdUjTyQ_5TVQZ4fI2PuqJ3-4d0\"";
    let api = "resource_server = \"api.example.com\"";
    let grant = "grant_types = [\"client_credentials\"]\naudience = \"api.example.com\"";
    for (lines, member) in [
        (format!("{grant}\nlifetime = \"25h\""), "lifetime"),
        (format!("{grant}\nlifetime = \"0s\""), "lifetime"),
        (format!("{api}\nlifetime = \"1h\""), "lifetime"),
        (format!("{api}\nscope = \"a\""), "scope"),
        (format!("{api}\naudience = \"api.example.com\""), "audience"),
        (
            format!("{api}\ntls_client_certificate_bound_access_tokens = true"),
            "tls_client_certificate_bound_access_tokens",
        ),
        (
            format!("{api}\nresource_server_scope = \"a  b\""),
            "resource_server_scope",
        ),
        (
            format!("{grant}\nresource_server_scope = \"a\""),
            "resource_server_scope",
        ),
        (
            format!("{grant}\nintrospection_signed_response_alg = \"ES256\""),
            "introspection_signed_response_alg",
        ),
        (
            format!("{api}\nintrospection_encrypted_response_alg = \"ECDH-ES\""),
            "introspection_encrypted_response_alg",
        ),
        (
            format!("{api}\nintrospection_encrypted_response_enc = \"A256GCM\""),
            "introspection_encrypted_response_enc",
        ),
    ] {
        let error = with_client(&format!("{secret}\n{lines}")).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(&format!("{member}: ")), "{lines}: {shown}");
    }
    for lines in [
        format!(
            "{grant}\nlifetime = \"24h\"\nscope = \"a\"\ntls_client_certificate_bound_access_tokens = false"
        ),
        format!("{api}\nresource_server_scope = \"a b\"\nintrospection_signed_response_alg = \"EdDSA\""),
    ] {
        assert!(with_client(&format!("{secret}\n{lines}")).is_ok(), "{lines}");
    }
    let none = format!("{secret}\n{api}\nintrospection_signed_response_alg = \"none\"");
    assert!(with_client(&none).unwrap_err().to_string().contains("ES256"));
}

/// F5, F6, F12: each with its key; and without the profile all of it is accepted.
#[test]
fn refuses_under_the_profile_fapi2_what_that_does_not_admit() {
    let (no_secrets, _) = DEMO
        .split_once("[[clients]]\nclient_id = \"introspect-client\"")
        .unwrap();
    let fapi2 = |text: &str| Configuration::from_toml(&format!("profile = \"fapi2\"\n{text}"));
    let admitted = fapi2(no_secrets).unwrap();
    assert_eq!(admitted.profile, Profile::Fapi2);
    assert_eq!(keys(fapi2(DEMO)), ["clients[3] (introspect-client)"]);
    for (line, replacement, key) in [
        (
            "[signing]",
            "[signing]\nalgorithm = \"RS256\"",
            "signing.algorithm",
        ),
        (
            "tls_client_certificate_bound_access_tokens = true",
            "tls_client_certificate_bound_access_tokens = false",
            "clients[0] (partner-client)",
        ),
        (
            "resource_server =",
            "introspection_signed_response_alg = \"RS256\"\nresource_server =",
            "clients[2] (gateway)",
        ),
    ] {
        assert!(no_secrets.contains(line), "{line}");
        let changed = no_secrets.replacen(line, replacement, 1);
        assert_eq!(keys(fapi2(&changed)), [key], "{replacement}");
        assert!(Configuration::from_toml(&changed).is_ok(), "{replacement}");
    }
    let error = Configuration::from_toml(&format!("profile = \"fapi1\"\n{no_secrets}")).unwrap_err();
    assert!(error.to_string().contains("fapi2"), "{error}");
}

/// M6.
#[test]
fn lists_every_problem_by_its_key() {
    let text = DEMO
        .replacen("https://login", "http://login", 1)
        .replacen("tls_client_auth_subject_dn = \"CN=demo-partner\"", "", 1)
        .replacen("client_id = \"other-client\"", "client_id = \"gateway\"", 1)
        .replacen("[store]", "[tokens]\nlifetime = \"48h\"\n[store]", 1);
    assert_eq!(
        keys(Configuration::from_toml(&text)),
        [
            "issuer",
            "tokens.lifetime",
            "clients[0] (partner-client)",
            "clients[2] (gateway)"
        ]
    );
}

#[test]
fn refuses_an_algorithm_that_is_none_and_names_those_that_are() {
    let error = with("[signing]", "[signing]\nalgorithm = \"none\"")
        .unwrap_err()
        .to_string();
    assert!(error.contains("ES256") && error.contains("EdDSA"), "{error}");
}

/// A registration beside those of the demo.
fn with_client(lines: &str) -> Result<Configuration, ConfigurationError> {
    Configuration::from_toml(&format!(
        "{DEMO}\n[[clients]]\nclient_id = \"one-more\"\n{lines}\n"
    ))
}

/// The JWK of RFC 8705 Appendix A.
const APPENDIX_A: &str = r#"{ kty = "EC", crv = "P-256", x = "1yfLHCpXqFjxCeHHHMVDTcLscpb07KUxudBmOMn8C7Q", y = "8_coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8", x5c = ["MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY="] }"#;

/// M16, K1: keys as a table, and as JSON text.
#[test]
fn accepts_clients_with_keys() {
    for method in ["self_signed_tls_client_auth", "private_key_jwt"] {
        let lines = format!("token_endpoint_auth_method = \"{method}\"\njwks = {{ keys = [{APPENDIX_A}] }}");
        let configuration = with_client(&lines).unwrap();
        let client = configuration.clients.find("one-more").unwrap();
        assert_eq!(client.authentication.as_str(), method);
    }
    let json = APPENDIX_A.replace(" = ", ": ");
    let json = ["kty", "crv", "x", "y", "x5c"].iter().fold(json, |json, member| {
        json.replacen(&format!(" {member}:"), &format!(" \"{member}\":"), 1)
    });
    let lines = format!("token_endpoint_auth_method = \"private_key_jwt\"\njwks = '{{\"keys\": [{json}]}}'");
    assert!(with_client(&lines).is_ok());
}

/// M18, M19, M21: where the key is, and what to do about it.
#[test]
fn refuses_clients_whose_keys_cannot_be_used() {
    let jwks = |jwk: &str| {
        format!("token_endpoint_auth_method = \"self_signed_tls_client_auth\"\njwks = {{ keys = [{jwk}] }}")
    };
    let without_certificate = r#"{ kty = "EC", crv = "P-256", x = "AQ", y = "AQ" }"#;
    for (lines, message) in [
        (
            jwks(without_certificate),
            "keys[0]: self_signed_tls_client_auth needs",
        ),
        (jwks(&APPENDIX_A.replace("x = \"1y", "x = \"2y")), "another key"),
        (
            "token_endpoint_auth_method = \"private_key_jwt\"".to_owned(),
            "jwks: give the client's public keys",
        ),
    ] {
        let error = with_client(&lines).unwrap_err();
        let [problem] = error.problems() else {
            panic!("{error}")
        };
        assert_eq!(problem.key, "clients[4] (one-more)");
        assert!(problem.message.contains(message), "{}", problem.message);
    }
    let both = format!(
        "{}\njwks_uri = \"https://partner.example/jwks\"",
        jwks(APPENDIX_A)
    );
    assert!(with_client(&both).unwrap_err().to_string().contains("jwks_uri"));
}

/// M20, F13: without an authority to believe nobody's keys are fetched.
#[test]
fn refuses_a_client_that_publishes_its_keys_where_no_authority_is_named_for_its_server() {
    let client =
        "token_endpoint_auth_method = \"private_key_jwt\"\njwks_uri = \"https://partner.example/jwks\"";
    let problems = |configuration: &Configuration| {
        let mut problems = Problems::new();
        ClientsPublishedKeys::load(&configuration.clients, &configuration.outbound_tls, &mut problems);
        keys(problems.into_result(configuration.clone()))
    };
    let mut configuration = with_client(client).unwrap();
    assert_eq!(problems(&configuration), ["outbound_tls.trust"]);
    configuration.outbound_tls.trust = vec!["absent.pem".into()];
    assert_eq!(problems(&configuration), ["outbound_tls.trust"]);
}

/// M14.
#[test]
fn names_the_client_whose_trust_anchor_is_not_there() {
    let directory = tempfile::TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = directory.path().join("root.pem");
    std::fs::write(&root, params.self_signed(&key).unwrap().pem()).unwrap();
    let key_file = directory.path().join("key.pem");
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let checked = |anchor: &Path| {
        let client = "[[clients]]\nclient_id = \"one-more\"\ntoken_endpoint_auth_method = \"tls_client_auth\"\n\
            tls_client_auth_subject_dn = \"CN=a\"";
        let text = DEMO
            .replace("certs/login.tls.pem", &root.display().to_string())
            .replace("certs/login.tls.key", &key_file.display().to_string())
            .replace("certs/root.pem", &root.display().to_string())
            .replace("crl = [\"certs/root.crl.pem\"]", "crl_policy = \"if-present\"");
        loaded(&format!("{text}\n{client}\ntrust = [\"{}\"]\n", anchor.display()))
    };
    assert!(checked(&root).is_ok());
    let error = checked(&directory.path().join("absent.pem")).unwrap_err();
    let [problem] = error.problems() else {
        panic!("{error}")
    };
    assert_eq!(problem.key, "clients[4] (one-more).trust");
    assert!(problem.message.contains("absent.pem"), "{}", problem.message);
}

/// As `--check-config` does it.
fn loaded(text: &str) -> Result<Configuration, ConfigurationError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Configuration::load(ConfigurationSource::File(file.path().to_path_buf()))
}

/// Whoever mends one finds no other behind it.
#[test]
fn lists_values_and_files_at_once_by_their_keys() {
    let text = DEMO
        .replacen("https://login", "http://login", 1)
        .replacen("certs/", "absent/", 4)
        .replacen("[store]", "[limits]\ntoken_requests_per_client = 0\n[store]", 1)
        .replacen("scope = \"transactions\"", "scope = \"trans\\\\actions\"", 1)
        .replacen(
            "resource_server =",
            "trust = [\"absent.pem\"]\nresource_server =",
            1,
        );
    assert_eq!(
        keys(loaded(&text)),
        [
            "tls.certificate",
            "client_certificates.trust",
            "client_certificates.crl",
            "clients[2] (gateway).trust",
            "issuer",
            "limits.token_requests_per_client",
            "clients[0] (partner-client)",
        ]
    );
    let shared = DEMO
        .replacen(
            "path = \"data/authorization-server/tokens.redb\"",
            "url = \"postgres://certbound@db.example.com/certbound\"\npassword_file = \"absent\"\ntrust = [\"absent.pem\"]",
            1,
        )
        .replacen("certs/", "absent/", 4);
    let found = keys(loaded(&shared));
    for key in [
        "tls.certificate",
        "store.password_file",
        "store.trust",
        "signing.keys",
    ] {
        assert!(found.iter().any(|found| found == key), "{key}: {found:?}");
    }
}

/// T40.
#[test]
fn refuses_a_listener_of_proxies_that_would_believe_nobody_or_anybody() {
    let with = |peers: &str| {
        let section = format!("[listen.proxied]\naddress = '127.0.0.1:8445'\ntrusted_peers = [{peers}]\n");
        Configuration::from_toml(&format!("{DEMO}\n{section}"))
    };
    let configuration = with("'10.0.0.0/24'").unwrap();
    assert!(configuration.proxies.contain("10.0.0.7".parse().unwrap()));
    assert_eq!(configuration.listen.proxied.unwrap().address.port(), 8445);
    for wrong in ["", "'0.0.0.0/0'", "'gateway'"] {
        assert_eq!(keys(with(wrong)), ["listen.proxied.trusted_peers"], "{wrong}");
    }
}
