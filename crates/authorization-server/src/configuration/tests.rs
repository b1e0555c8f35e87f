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
    let demo = Configuration::demo().unwrap();
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
