use super::*;
use crate::configuration::Configuration;
use crate::configuration::tests::{MINIMAL, problems_of};
use crate::host::HostName;
use crate::issuers::JwtProfile;
use crate::token_kind::TokenKind;

const BALANCER: &str = r#"{ san_dns = "balancer.example.com" }"#;

/// The minimal file with further keys in `[client_certificates]`.
fn with(keys: &str) -> String {
    MINIMAL.replacen(
        "[client_certificates]\n",
        &format!("[client_certificates]\n{keys}\n"),
        1,
    )
}

fn with_header(keys: &str) -> String {
    format!("{MINIMAL}\n[client_certificates.header]\n{keys}\n")
}

fn with_peers(peers: &str) -> String {
    with_header(&format!("encoding = \"rfc9440\"\ntrusted_peers = [{peers}]"))
}

fn rules(text: &str) -> CertificateHeaderRules {
    Configuration::from_toml(text)
        .unwrap()
        .certificate_header
        .unwrap()
}

/// W1, W8: WSO2's name unless it is given, in any letter case; not forwarded unless it is said.
#[test]
fn the_header_is_wso2s_unless_another_is_named() {
    let text = with_peers(BALANCER);
    assert_eq!(rules(&text).name.as_str(), "x-wso2-client-certificate");
    assert_eq!(rules(&text).forwarding, Forwarding::NotForwarded);
    let text = with_header(&format!(
        "name = 'SSL-Client-CERT'\nencoding = 'base64-pem'\ntrusted_peers = [{BALANCER}]\nforward = true"
    ));
    let rules = rules(&text);
    assert_eq!(rules.name.as_str(), "ssl-client-cert");
    assert_eq!(rules.encoding, HeaderEncoding::Base64Pem);
    assert_eq!(rules.forwarding, Forwarding::Forwarded);
}

#[test]
fn there_is_no_header_unless_it_is_configured() {
    assert!(
        Configuration::from_toml(MINIMAL)
            .unwrap()
            .certificate_header
            .is_none()
    );
}

/// W3: nobody, everybody, and everybody in parts.
#[test]
fn refuses_to_trust_a_header_from_anybody() {
    assert_eq!(
        problems_of(&with_header("encoding = \"rfc9440\"")),
        ["client_certificates.header.trusted_peers"]
    );
    assert_eq!(
        problems_of(&with_peers("")),
        ["client_certificates.header.trusted_peers"]
    );
    for everybody in [r#""0.0.0.0/0""#, r#""::/0""#] {
        assert_eq!(
            problems_of(&with_peers(everybody)),
            ["client_certificates.header.trusted_peers[0]"]
        );
    }
    assert_eq!(
        problems_of(&with_peers(
            r#"{ network = "0.0.0.0/0", san_dns = "balancer.example.com" }"#
        )),
        ["client_certificates.header.trusted_peers[0].network"]
    );
    assert_eq!(
        problems_of(&with_peers(r#""0.0.0.0/1", { network = "128.0.0.0/1" }"#)),
        ["client_certificates.header.trusted_peers"]
    );
    assert_eq!(
        problems_of(&with_peers("{}")),
        ["client_certificates.header.trusted_peers[0]"]
    );
    for somebody in [
        r#""10.0.0.0/24", "2001:db8::/64", "192.0.2.7""#,
        BALANCER,
        r#"{ "x5t#S256" = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" }"#,
        r#"{ subject_dn = "CN=balancer,O=Example", network = "10.0.0.0/24" }"#,
    ] {
        assert!(
            Configuration::from_toml(&with_peers(somebody)).is_ok(),
            "{somebody}"
        );
    }
}

#[test]
fn names_the_key_of_a_peer_that_cannot_be_read() {
    let text = with_peers(
        r#""balancer", { network = "10.0.0.7/24" }, { "x5t#S256" = "83151bd0" }, { subject_dn = "/CN=x" }, { san_dns = "" }"#,
    );
    let problems = problems_of(&text);
    let keys = [
        "[0]",
        "[1].network",
        "[2].x5t#S256",
        "[3].subject_dn",
        "[4].san_dns",
    ];
    assert_eq!(
        problems,
        keys.map(|key| format!("client_certificates.header.trusted_peers{key}"))
    );
    for wrong in ["7", r#"{ dns = "balancer" }"#] {
        let message = Configuration::from_toml(&with_peers(wrong))
            .unwrap_err()
            .to_string();
        assert!(message.contains("must be a network such as"), "{message}");
    }
    let message = Configuration::from_toml(&with_header("encoding = 'pem'"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("`url-encoded-pem`"), "{message}");
}

#[test]
fn refuses_a_header_that_means_something_else() {
    for name in [
        "Authorization",
        "host",
        "Connection",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "x-request-id",
        "X_Request_ID",
        "content_length",
        "a b",
        "",
    ] {
        let text = with_header(&format!(
            "name = '{name}'\nencoding = 'rfc9440'\ntrusted_peers = [{BALANCER}]"
        ));
        assert_eq!(problems_of(&text), ["client_certificates.header.name"], "{name}");
    }
}

/// W15: certificates alone are enough, and nothing at all is not.
#[test]
fn refuses_trust_in_nothing() {
    let no_trust = MINIMAL
        .replacen("trust = [\"certs/root.pem\"]\n", "", 1)
        .replacen("crl = [\"certs/root.crl.pem\"]\n", "", 1);
    assert_eq!(problems_of(&no_trust), ["client_certificates.trust"]);
    let pinned = |text: &str| {
        text.replacen(
            "[client_certificates]\n",
            "[client_certificates]\npinned = ['a.pem']\n",
            1,
        )
    };
    assert!(Configuration::from_toml(&pinned(&no_trust)).is_ok());
    assert!(Configuration::from_toml(&pinned(MINIMAL)).is_ok());
    let list_of_nobody = MINIMAL.replacen("trust = [\"certs/root.pem\"]\n", "", 1);
    assert_eq!(problems_of(&pinned(&list_of_nobody)), ["client_certificates.crl"]);
}

/// W2, W15: a name is worth what the authority is that gave it.
#[test]
fn refuses_balancers_told_by_names_that_no_authority_could_give() {
    let peers = |text: &str, peers: &str| {
        format!("{text}\n[client_certificates.header]\nencoding = 'rfc9440'\ntrusted_peers = [{peers}]\n")
    };
    let pinned = MINIMAL
        .replacen("trust = [\"certs/root.pem\"]\n", "pinned = ['a.pem']\n", 1)
        .replacen("crl = [\"certs/root.crl.pem\"]\n", "", 1);
    for named in [BALANCER, r#"{ subject_dn = "CN=balancer" }"#] {
        assert_eq!(
            problems_of(&peers(&pinned, named)),
            ["client_certificates.header.trusted_peers"],
            "{named}"
        );
        assert!(
            Configuration::from_toml(&peers(MINIMAL, named)).is_ok(),
            "{named}"
        );
    }
    for peer in [
        r#"{ "x5t#S256" = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" }"#,
        r#""10.0.0.0/24""#,
    ] {
        assert!(Configuration::from_toml(&peers(&pinned, peer)).is_ok(), "{peer}");
    }
}

/// M43: what is not looked at must not look as if it were.
#[test]
fn refuses_proof_of_possession_beside_what_would_not_be_looked_at() {
    let possession = with("verify = 'proof-of-possession'\npinned = ['a.pem']");
    assert_eq!(
        problems_of(&possession),
        ["trust", "crl", "pinned"].map(|key| format!("client_certificates.{key}"))
    );
    let alone = |header: &str| {
        let (before, after) = MINIMAL.split_once("[client_certificates]").unwrap();
        let (_, after) = after.split_once("[introspection]").unwrap();
        format!(
            "{before}[client_certificates]\nverify = 'proof-of-possession'\n{header}\n[introspection]{after}"
        )
    };
    assert!(Configuration::from_toml(&alone("")).is_ok());
    let header = |peer: &str| {
        alone(&format!(
            "[client_certificates.header]\nencoding = 'rfc9440'\ntrusted_peers = [{peer}]"
        ))
    };
    assert_eq!(
        problems_of(&header(BALANCER)),
        ["client_certificates.header.trusted_peers[0]"]
    );
    assert!(Configuration::from_toml(&header(r#""10.0.0.0/24""#)).is_ok());
}

/// W1, W2, W8, Users 40: the file that people who come from WSO2 are shown.
#[test]
fn accepts_the_file_of_the_page_for_wso2s_users() {
    let page = include_str!("../../../../../docs/coming-from-wso2.md");
    let (_, file) = page.split_once("```toml\n").unwrap();
    let (file, _) = file.split_once("```").unwrap();
    let configuration = Configuration::from_toml(file).unwrap();
    let profiles = configuration.issuers.iter().map(|issuer| issuer.profile);
    assert!(profiles.eq([JwtProfile::AccessToken, JwtProfile::Plain]));
    let host = HostName::parse("api.example.com").unwrap();
    let route = configuration.routes.find(&host, "/test/1.0/foo").unwrap();
    assert_eq!(route.tokens, [TokenKind::Jwt, TokenKind::Opaque]);
    let rules = configuration.certificate_header.unwrap();
    assert_eq!(rules.name.as_str(), "ssl-client-cert");
    assert_eq!(rules.encoding, HeaderEncoding::UrlEncodedPem);
    for encoding in HeaderEncoding::ALL {
        assert!(page.contains(&format!("| `{encoding}` |")), "{encoding}");
    }
}
