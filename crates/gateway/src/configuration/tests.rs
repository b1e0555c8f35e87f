use super::*;
use crate::resource::Resources;

pub(super) const MINIMAL: &str = r#"
    [[passthrough]]
    host = "login.example.com"
    upstream = "127.0.0.1:8444"

    [tls]
    certificate = "certs/api.tls.pem"
    key = "certs/api.tls.key"

    [client_certificates]
    trust = ["certs/root.pem"]
    crl = ["certs/root.crl.pem"]

    [introspection]
    endpoint = "https://localhost:8444/oauth/v2/oauth-introspect"

    [[issuers]]
    issuer = "https://login.example.com/oauth/v2/oauth-anonymous"
    jwks_uri = "https://localhost:8443/oauth/v2/oauth-anonymous/jwks"

    [[routes]]
    host = "API.example.com"
    path = "/api/transactions"
    upstream = ["https://localhost:3001"]
    audience = "api.example.com"
    scope = "transactions"

    [outbound_tls]
    trust = ["certs/root.pem"]
    certificate = "certs/gateway.client.pem"
    key = "certs/gateway.client.key"
"#;

/// What comes of these routes in an otherwise minimal file.
pub(crate) fn configured(routes: &str) -> (Resources, Routes) {
    let (before, rest) = MINIMAL.split_once("[[routes]]").unwrap();
    let (_, after) = rest.split_once("[outbound_tls]").unwrap();
    let text = format!("{before}{routes}[outbound_tls]{after}");
    let configuration = Configuration::from_toml(&text).unwrap();
    let issuers: Vec<_> = configuration
        .issuers
        .into_iter()
        .map(|issuer| issuer.issuer)
        .collect();
    let resources = Resources::describe(&configuration.routes, &issuers);
    (resources, configuration.routes)
}

pub(super) fn problems_of(text: &str) -> Vec<String> {
    let error = Configuration::from_toml(text).unwrap_err();
    error
        .problems()
        .iter()
        .map(|problem| problem.key.clone())
        .collect()
}

#[test]
fn accepts_a_minimal_file_with_the_strict_defaults() {
    let configuration = Configuration::from_toml(MINIMAL).unwrap();
    assert_eq!(configuration.listen.public.to_string(), "127.0.0.1:3000");
    assert_eq!(configuration.admin_address().to_string(), "127.0.0.1:9102");
    assert_eq!(
        configuration.client_certificates.client_certificate,
        ClientCertificatePolicy::Required
    );
    assert!(configuration.client_certificates.require_client_eku);
    assert_eq!(configuration.cache.max_age, Duration::from_secs(60));
    let host = HostName::parse("api.example.com").unwrap();
    let route = configuration.routes.find(&host, "/api/transactions").unwrap();
    assert_eq!(route.binding, oauth_core::confirmation::BindingPolicy::Required);
    assert_eq!(route.client_cert_header, crate::route::ClientCertHeader::NotSent);
}

#[test]
fn the_demo_is_valid_and_listens_on_loopback_alone() {
    let demo = Configuration::try_from(ConfigurationFile::demo().unwrap()).unwrap();
    assert!(demo.listen.public.ip().is_loopback() && demo.listen.admin.ip().is_loopback());
    let login = HostName::parse("login.example.com").unwrap();
    assert_eq!(demo.passthrough.get(&login).unwrap().upstream, "127.0.0.1:8444");
    let api = HostName::parse("api.example.com").unwrap();
    let route = demo.routes.find(&api, "/api/transactions").unwrap();
    assert_eq!(
        (route.audience.as_str(), route.scope.to_string().as_str()),
        ("api.example.com", "transactions")
    );
    assert_eq!(route.client_cert_header, crate::route::ClientCertHeader::Sent);
}

#[test]
fn refuses_keys_that_are_not_implemented_as_unknown() {
    let header = "[client_certificates]\nheader = { encoding = 'rfc9440', trust = [] }\n";
    let text = MINIMAL.replacen("[client_certificates]\n", header, 1);
    let message = Configuration::from_toml(&text).unwrap_err().to_string();
    assert!(message.contains("unknown field"), "{message}");
}

/// W10: only by an explicit switch.
#[test]
fn hexadecimal_thumbprints_are_refused_unless_they_are_accepted() {
    let configuration = Configuration::from_toml(MINIMAL).unwrap();
    assert_eq!(configuration.hex_thumbprints, HexThumbprints::Refused);
    let configuration =
        Configuration::from_toml(&format!("accept_hex_thumbprint = true\n{MINIMAL}")).unwrap();
    assert_eq!(configuration.hex_thumbprints, HexThumbprints::Accepted);
}

#[test]
fn names_every_problem_at_once_by_its_key() {
    let text = MINIMAL
        .replace("127.0.0.1:8444\"", "127.0.0.1\"")
        .replace("https://localhost:8444/", "http://localhost:8444/")
        .replace("https://localhost:3001", "ftp://localhost:3001")
        .replace("/api/transactions", "api/../transactions")
        .replace(
            "scope = \"transactions\"",
            "scope = \"a  b\"\nmethods = [\"get\"]",
        );
    assert_eq!(
        problems_of(&text),
        [
            "passthrough[0].upstream",
            "routes[0].path",
            "routes[0].scope",
            "routes[0].methods[0]",
            "routes[0].upstream[0]",
            "introspection.endpoint",
        ]
    );
}

/// A minimal file in a directory of its own, where the files are that it names.
struct OnDisk(tempfile::TempDir);

impl OnDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certs = directory.path().join("certs");
        std::fs::create_dir(&certs).unwrap();
        let set = pki::DemoSet::create(pki::KeyAlgorithm::EcdsaP256, crate::clock::now()).unwrap();
        let write = |name: &str, text: String| std::fs::write(certs.join(name), text).unwrap();
        write("root.pem", set.root().certificate().pem().unwrap());
        write("root.crl.pem", set.revocation_list().pem().unwrap());
        for (member, name) in [
            (pki::Member::Api, "api.tls"),
            (pki::Member::Gateway, "gateway.client"),
        ] {
            let identity = set.identity(member);
            write(&format!("{name}.pem"), identity.certificate_pem().unwrap());
            write(&format!("{name}.key"), identity.key_pem().to_string());
        }
        Self(directory)
    }

    fn load(&self, text: &str) -> Result<Configuration, ConfigurationError> {
        let path = self.0.path().join("gateway.toml");
        let certs = format!("\"{}/certs/", self.0.path().display());
        std::fs::write(&path, text.replace("\"certs/", &certs)).unwrap();
        Configuration::load(ConfigurationSource::File(path))
    }

    fn problems_of(&self, text: &str) -> Vec<String> {
        let error = self.load(text).unwrap_err();
        let keys = error.problems().iter().map(|problem| problem.key.clone());
        keys.collect()
    }
}

#[test]
fn names_values_and_files_at_fault_at_once() {
    let disk = OnDisk::new();
    let configuration = disk.load(MINIMAL).unwrap();
    assert!(configuration.origin.is_some());
    let wrong = MINIMAL
        .replace("certs/api.tls.pem", "certs/absent.pem")
        .replace("certs/api.tls.key", "certs/absent.key")
        .replace("certs/root.crl.pem", "certs/absent.crl.pem")
        .replace("trust = [\"certs/root.pem\"]", "trust = []")
        .replace("certs/gateway.client.key", "certs/api.tls.key")
        .replace("scope = \"transactions\"", "scope = \"a  b\"")
        .replace("https://localhost:8444/", "http://localhost:8444/");
    assert_eq!(
        disk.problems_of(&wrong),
        [
            "tls.certificate",
            "tls.key",
            "outbound_tls.trust",
            "outbound_tls.key",
            "client_certificates.trust",
            "client_certificates.crl",
            "routes[0].scope",
            "introspection.endpoint",
        ]
    );
}

#[test]
fn names_the_one_file_at_fault() {
    let disk = OnDisk::new();
    for (right, wrong, key) in [
        ("certs/api.tls.key", "certs/root.pem", "tls.key"),
        ("certs/api.tls.pem", "certs/api.tls.key", "tls.certificate"),
        (
            "certs/gateway.client.key",
            "certs/root.crl.pem",
            "outbound_tls.key",
        ),
        ("certs/root.crl.pem", "certs/root.pem", "client_certificates.crl"),
    ] {
        assert_eq!(disk.problems_of(&MINIMAL.replace(right, wrong)), [key], "{wrong}");
    }
}

#[test]
fn refuses_a_host_that_is_both_passed_through_and_routed() {
    assert_eq!(
        problems_of(&MINIMAL.replace("API.example.com", "LOGIN.example.com")),
        ["routes[0].host"]
    );
}

#[test]
fn refuses_two_routes_of_the_same_host_and_path() {
    let route = MINIMAL
        .split("[[routes]]")
        .nth(1)
        .and_then(|rest| rest.split("[outbound_tls]").next())
        .unwrap();
    assert_eq!(
        problems_of(&format!("{MINIMAL}\n[[routes]]\n{route}")),
        ["routes[1].path"]
    );
    for spelling in ["/API/transactions", "/api/transactions;v=1", "/api/transactions."] {
        let other = route.replace("/api/transactions", spelling);
        let text = format!("{MINIMAL}\n[[routes]]\n{other}");
        assert_eq!(problems_of(&text), ["routes[1].path"], "{spelling}");
    }
    let other = route.replace("/api/transactions", "/api");
    assert!(Configuration::from_toml(&format!("{MINIMAL}\n[[routes]]\n{other}")).is_ok());
}

/// S1.
#[test]
fn accepts_resources_of_the_routes_host_alone_and_each_at_a_place_of_its_own() {
    let with = |resource: &str| {
        MINIMAL.replace(
            "audience = \"api.example.com\"",
            &format!("audience = \"api.example.com\"\nresource = {resource:?}"),
        )
    };
    for resource in [
        "https://api.example.com",
        "https://API.example.com:8443/v1",
        "https://api.example.com/api/transactions",
    ] {
        assert!(Configuration::from_toml(&with(resource)).is_ok(), "{resource}");
    }
    for resource in [
        "http://api.example.com",
        "api.example.com",
        "https://other.example.com",
        "https://api.example.com.other.example.com/",
        "https://api.example.com?v=1",
        "https://api.example.com/a/../b",
        "",
    ] {
        assert_eq!(problems_of(&with(resource)), ["routes[0].resource"], "{resource}");
    }
    let second = "\n[[routes]]\nhost = 'api.example.com'\npath = '/other'\nupstream = ['https://localhost:1']\n\
                  audience = 'a'\nscope = ''\n";
    let text = format!("{}{second}", with("https://api.example.com/"));
    assert_eq!(problems_of(&text), ["routes[1].resource"]);
    let text = format!("{}{second}", with("https://api.example.com/v1"));
    assert!(Configuration::from_toml(&text).is_ok());
}

#[test]
fn refuses_limits_that_let_nobody_in() {
    for key in ["connections", "connections_per_address", "workers"] {
        let with = |limit: usize| format!("{MINIMAL}\n[listen]\n{key} = {limit}\n");
        assert_eq!(problems_of(&with(0)), [format!("listen.{key}")]);
        assert!(Configuration::from_toml(&with(1)).is_ok(), "{key}");
    }
}

/// T40.
#[test]
fn refuses_to_believe_anybody_about_addresses() {
    const KEY: &str = "listen.proxy_protocol.trusted_peers";
    let with =
        |peers: &str| format!("{MINIMAL}\n[listen]\nproxy_protocol = {{ trusted_peers = [{peers}] }}\n");
    let configuration = Configuration::from_toml(&with("'10.0.0.0/24', '::1'")).unwrap();
    let proxy = "10.0.0.7".parse().unwrap();
    assert!(configuration.proxies.contain(proxy));
    assert!(!Configuration::from_toml(MINIMAL).unwrap().proxies.contain(proxy));
    for wrong in ["", "'::/0'", "'balancer'", "'0.0.0.0/1', '128.0.0.0/1'"] {
        assert_eq!(problems_of(&with(wrong)), [KEY], "{wrong}");
    }
}

#[test]
fn refuses_waits_for_an_api_that_are_none_or_without_end() {
    for (key, longest, too_long) in [
        ("connect_timeout", "60s", "61s"),
        ("answer_timeout", "1h", "3601s"),
    ] {
        let with =
            |wait: &str| MINIMAL.replace("[outbound_tls]", &format!("{key} = '{wait}'\n[outbound_tls]"));
        for wait in ["0s", too_long] {
            assert_eq!(problems_of(&with(wait)), [format!("routes[0].{key}")], "{wait}");
        }
        assert!(Configuration::from_toml(&with(longest)).is_ok(), "{key}");
    }
}

/// H2.
#[test]
fn refuses_a_chain_without_its_certificate_and_upgrades_that_there_are_not() {
    let with = |keys: &str| MINIMAL.replace("[outbound_tls]", &format!("{keys}\n[outbound_tls]"));
    let chain = "client_cert_chain_header = true";
    assert_eq!(problems_of(&with(chain)), ["routes[0].client_cert_chain_header"]);
    assert!(Configuration::from_toml(&with(&format!("{chain}\nclient_cert_header = true"))).is_ok());
    assert_eq!(
        problems_of(&with("upgrade = ['websocket', 'h2c']")),
        ["routes[0].upgrade[1]"]
    );
    assert!(Configuration::from_toml(&with("upgrade = ['websocket']")).is_ok());
}

const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";

fn with_introspection(keys: &str) -> String {
    MINIMAL.replacen("[introspection]\n", &format!("[introspection]\n{keys}\n"), 1)
}

fn with_tokens(kinds: &str) -> String {
    MINIMAL.replacen("scope = ", &format!("tokens = {kinds}\nscope = "), 1)
}

fn without(text: &str, section: &str) -> String {
    let (before, rest) = text.split_once(section).unwrap();
    let after = rest.split_once("\n    [").unwrap().1;
    format!("{before}[{after}")
}

#[test]
fn an_answer_is_an_issuers_whose_keys_are_known() {
    let second = |name: &str| format!("[[issuers]]\nissuer = \"{name}\"\n");
    let two = format!("{MINIMAL}\n{}", second("https://other.example.com"));
    assert_eq!(problems_of(&two), ["introspection.issuer"]);
    assert_eq!(
        problems_of(&without(MINIMAL, "[[issuers]]")),
        ["introspection.issuer"]
    );
    assert_eq!(
        problems_of(&format!("{MINIMAL}\n{}", second(ISSUER))),
        ["issuers[1].issuer", "introspection.issuer"]
    );
    for issuer in [ISSUER, "https://other.example.com"] {
        let named = two.replacen(
            "[introspection]\n",
            &format!("[introspection]\nissuer = \"{issuer}\"\n"),
            1,
        );
        let configuration = Configuration::from_toml(&named).unwrap();
        assert_eq!(configuration.introspection.unwrap().issuer, issuer);
    }
    let unknown = with_introspection("issuer = \"https://unknown.example.com\"");
    assert_eq!(problems_of(&unknown), ["introspection.issuer"]);
    let json = with_introspection("issuer = \"https://unknown.example.com\"\nrepresentation = \"json\"");
    assert!(Configuration::from_toml(&json).is_ok());
    assert!(Configuration::from_toml(&without(&json, "[[issuers]]")).is_ok());
}

#[test]
fn every_kind_of_token_that_a_route_takes_has_a_source() {
    let jwt_alone = without(&with_tokens("[\"jwt\"]"), "[introspection]");
    let configuration = Configuration::from_toml(&jwt_alone).unwrap();
    assert!(configuration.introspection.is_none());
    for kinds in ["[\"opaque\"]", "[\"jwt\", \"opaque\"]"] {
        let text = without(&with_tokens(kinds), "[introspection]");
        let message = Configuration::from_toml(&text).unwrap_err().to_string();
        assert!(
            message.contains("introspection: ") && message.contains("routes[0].tokens"),
            "{message}"
        );
    }
    let text = without(&jwt_alone, "[[issuers]]");
    let message = Configuration::from_toml(&text).unwrap_err().to_string();
    assert!(
        message.contains("issuers: ") && message.contains("routes[0].tokens"),
        "{message}"
    );
    assert_eq!(problems_of(&with_tokens("[]")), ["routes[0].tokens"]);
    let unknown = Configuration::from_toml(&with_tokens("[\"saml\"]")).unwrap_err();
    assert!(
        unknown.to_string().contains("unknown variant `saml`"),
        "{unknown}"
    );
}

#[test]
fn how_the_gateway_authenticates_is_configured_whole() {
    for (keys, problems) in [
        (
            "endpoint_auth_method = \"client_secret_basic\"",
            &["introspection.client_secret_file"][..],
        ),
        (
            "endpoint_auth_method = \"private_key_jwt\"",
            &["introspection.client_assertion_key"],
        ),
        (
            "client_secret_file = \"s\"",
            &["introspection.client_secret_file"],
        ),
        (
            "client_assertion_key = \"k\"\nendpoint_auth_signing_alg = \"ES256\"",
            &[
                "introspection.client_assertion_key",
                "introspection.endpoint_auth_signing_alg",
            ],
        ),
    ] {
        assert_eq!(problems_of(&with_introspection(keys)), problems, "{keys}");
    }
    for (keys, authentication) in [
        ("", EndpointAuthentication::Certificate),
        (
            "endpoint_auth_method = \"self_signed_tls_client_auth\"",
            EndpointAuthentication::Certificate,
        ),
        (
            "endpoint_auth_method = \"client_secret_basic\"\nclient_secret_file = \"s\"",
            EndpointAuthentication::Secret { file: "s".into() },
        ),
        (
            "endpoint_auth_method = \"private_key_jwt\"\nclient_assertion_key = \"k\"",
            EndpointAuthentication::Assertion {
                key: "k".into(),
                algorithm: SignatureAlgorithm::ES256,
            },
        ),
    ] {
        let configuration = Configuration::from_toml(&with_introspection(keys)).unwrap();
        assert_eq!(
            configuration.introspection.unwrap().authentication,
            authentication,
            "{keys}"
        );
    }
}

#[test]
fn what_an_answer_must_say_fits_its_representation() {
    for (keys, expected) in [
        ("", ExpectedAnswer::AccessTokenJwt),
        (
            "representation = \"json\"\naudience_if_absent = \"api.example.com\"",
            ExpectedAnswer::Json {
                audience_if_absent: Some("api.example.com".to_owned()),
            },
        ),
        (
            "representation = \"introspection-jwt\"",
            ExpectedAnswer::IntrospectionJwt {
                audience: "gateway".to_owned(),
                audience_if_absent: None,
            },
        ),
        (
            "representation = \"introspection-jwt\"\nresponse_audience = \"api\"",
            ExpectedAnswer::IntrospectionJwt {
                audience: "api".to_owned(),
                audience_if_absent: None,
            },
        ),
    ] {
        let configuration = Configuration::from_toml(&with_introspection(keys)).unwrap();
        assert_eq!(configuration.introspection.unwrap().expected, expected, "{keys}");
    }
    for (keys, problem) in [
        ("audience_if_absent = \"api\"", "introspection.audience_if_absent"),
        ("response_audience = \"api\"", "introspection.response_audience"),
        (
            "representation = \"json\"\nresponse_audience = \"api\"",
            "introspection.response_audience",
        ),
        (
            "representation = \"json\"\naudience_if_absent = \"\"",
            "introspection.audience_if_absent",
        ),
        ("concurrency = 0", "introspection.concurrency"),
    ] {
        assert_eq!(problems_of(&with_introspection(keys)), [problem], "{keys}");
    }
}

#[test]
fn an_issuers_keys_are_where_the_configuration_or_its_metadata_says() {
    let discovered = MINIMAL.replacen("jwks_uri = ", "# jwks_uri = ", 1);
    let configuration = Configuration::from_toml(&discovered).unwrap();
    assert_eq!(configuration.issuers[0].jwks_uri, None);
    assert_eq!(configuration.issuers[0].profile, JwtProfile::AccessToken);
    let plain = MINIMAL.replacen("[[issuers]]\n", "[[issuers]]\naccept_plain_jwt = true\n", 1);
    let configuration = Configuration::from_toml(&plain).unwrap();
    assert_eq!(configuration.issuers[0].profile, JwtProfile::Plain);
    for (from, to, problem) in [
        ("jwks_uri = \"https:", "jwks_uri = \"http:", "issuers[0].jwks_uri"),
        ("issuer = \"https:", "issuer = \"http:", "issuers[0].issuer"),
    ] {
        assert_eq!(problems_of(&MINIMAL.replacen(from, to, 1)), [problem]);
    }
}

/// A8.
#[test]
fn a_route_takes_tokens_of_issuers_that_are_trusted() {
    let with = |names: &str| MINIMAL.replacen("scope = ", &format!("issuers = {names}\nscope = "), 1);
    let configuration = Configuration::from_toml(&with(&format!("['{ISSUER}']"))).unwrap();
    let route = configuration.routes.iter().next().unwrap();
    assert!(route.takes_from(ISSUER) && !route.takes_from("https://other.example.com"));
    let by_default = Configuration::from_toml(MINIMAL).unwrap();
    assert!(
        by_default
            .routes
            .iter()
            .all(|route| route.takes_from("https://other.example.com"))
    );
    assert_eq!(problems_of(&with("[]")), ["routes[0].issuers"]);
    let twice = with(&format!("['{ISSUER}', '{ISSUER}/']"));
    assert_eq!(problems_of(&twice), ["routes[0].issuers[1]"]);
}
