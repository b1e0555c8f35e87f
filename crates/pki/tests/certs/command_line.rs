//! The `pki` command as a user meets it: what it prints, what it writes, and how it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use pki::{Certificate, RevocationList, Root};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

use crate::support::{Certs, tool};

/// How a run ended: exit code, standard output, standard error.
type Ending = (i32, String, String);

fn pki_with(certs: &Certs, line: &str, environment: &[(&str, &str)]) -> Ending {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pki"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CERTBOUND_")) {
        command.env_remove(name);
    }
    command
        .envs(environment.iter().copied())
        .current_dir(certs.path())
        .args(line.split(' '));
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Runs in the certificates directory itself.
fn pki(certs: &Certs, line: &str) -> Ending {
    pki_with(certs, line, &[("CERTBOUND_DIR", ".")])
}

fn revocation_list(certs: &Certs) -> RevocationList {
    let root = Root::from_pem(&certs.read("root.pem"), &certs.read("root.key")).unwrap();
    RevocationList::from_pem_or_der(&certs.read("root.crl.pem"), &root).unwrap()
}

fn request(certs: &Certs, common_name: &str) -> Vec<u8> {
    request_of(certs, common_name, CertificateParams::default())
}

fn request_of(certs: &Certs, common_name: &str, mut params: CertificateParams) -> Vec<u8> {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    fs::write(certs.file("partner.csr"), request.pem().unwrap()).unwrap();
    request.der().to_vec()
}

/// The one test that pays for the real number of iterations.
#[test]
fn init_makes_certs_and_then_has_nothing_to_do() {
    let certs = Certs::empty();
    let (code, made, errors) = pki_with(&certs, "init", &[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(made.contains("made     certs/example.client.p12"), "{made}");
    let (code, again, _) = pki_with(&certs, "init", &[]);
    assert_eq!(
        (code, again.as_str()),
        (0, "certs: everything is there and valid; nothing was changed\n")
    );

    let Some(mut openssl) = tool("openssl") else {
        return;
    };
    let path = certs.text_path("certs/example.client.p12");
    let (_, said) = crate::support::run(openssl.args([
        "pkcs12",
        "-in",
        &path,
        "-passin",
        "pass:Password1",
        "-noout",
        "-info",
    ]));
    assert_eq!(
        said.matches("Iteration 100000").count(),
        3,
        "MAC, certificates and key: {said}"
    );
}

#[test]
fn init_says_what_does_not_fit_and_what_to_do() {
    let certs = Certs::complete();
    certs.remove("login.tls.key");
    let (code, _, errors) = pki(&certs, "init");
    assert_eq!(code, 1);
    assert!(
        errors.contains("login.tls.pem") && errors.contains("restore the .key file"),
        "{errors}"
    );
}

#[test]
fn issue_makes_a_client_with_the_names_it_was_given() {
    let certs = Certs::complete();
    let line = "issue client acme --subject CN=acme,O=Acme,C=SE --san-dns acme.example.com --days 7 --p12";
    let (code, said, errors) = pki(&certs, line);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        said.contains("tls_client_auth_subject_dn  CN=acme,O=Acme,C=SE"),
        "{said}"
    );
    assert!(
        said.contains("tls_client_auth_san_dns     acme.example.com"),
        "{said}"
    );
    assert_eq!(
        ["key", "p12", "pem"].map(|end| certs.mode(&format!("acme.client.{end}"))),
        [0o600, 0o600, 0o644]
    );
}

#[test]
fn issue_makes_a_server_with_the_hosts_it_was_given() {
    let certs = Certs::complete();
    for names in ["--san-dns api2.example.com", "--san-ip 10.0.0.7 --force"] {
        let line = format!("issue server api2 --key-algorithm rsa-2048 {names}");
        let (code, said, errors) = pki(&certs, &line);
        assert_eq!((code, errors.as_str()), (0, ""));
        assert!(
            said.contains("DNS:api2.example.com") || said.contains("IP:10.0.0.7"),
            "{said}"
        );
    }
}

#[test]
fn issue_refuses_a_server_without_a_host() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    for names in ["", " --san-email a@example.com", " --san-uri urn:a"] {
        let (code, _, errors) = pki(&certs, &format!("issue server api2.example.com{names}"));
        assert_eq!(code, 64, "{errors}");
        assert!(
            errors.contains("--san-dns") && errors.contains("--san-ip"),
            "{errors}"
        );
    }
    assert_eq!(certs.snapshot(), before);
}

#[test]
fn issue_refuses_to_overwrite_unasked() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let (code, _, errors) = pki(&certs, "issue client example");
    assert_eq!(code, 1);
    assert!(errors.contains("--force"), "{errors}");
    assert_eq!(certs.snapshot(), before);
    let (code, ..) = pki(&certs, "issue client example --force");
    assert_eq!(code, 0);
    assert_eq!(
        certs.certificate("example.client.pem").subject().to_string(),
        "CN=example"
    );
}

#[test]
fn issue_leaves_no_archive_with_the_former_key() {
    let certs = Certs::complete();
    let archive = "removed  ./example.client.p12";
    let (code, said, _) = pki(&certs, "issue client example --force");
    assert!(code == 0 && said.contains(archive), "{said}");
    assert!(!certs.file("example.client.p12").exists());
    let (code, said, _) = pki(&certs, "issue client example --force");
    assert!(code == 0 && !said.contains("removed"), "{said}");
}

#[test]
fn sign_certifies_a_partners_request() {
    let certs = Certs::complete();
    request(&certs, "partner");
    let (code, ..) = pki(&certs, "sign partner.csr --client --out partner.pem");
    assert_eq!(code, 0);
    let (code, _, errors) = pki(&certs, "sign partner.csr");
    assert_eq!(code, 1);
    assert!(errors.contains("partner.pem carries"), "{errors}");
    let (code, pem, _) = pki(&certs, "sign partner.csr --subject CN=partner");
    assert_eq!(code, 0);
    let root = Root::from_pem(&certs.read("root.pem"), &certs.read("root.key")).unwrap();
    for certificate in [
        certs.certificate("partner.pem"),
        Certificate::from_pem_or_der(pem.as_bytes()).unwrap(),
    ] {
        assert_eq!(certificate.subject().to_string(), "CN=partner");
        assert!(root.has_issued(&certificate));
    }
}

#[test]
fn sign_refuses_a_request_that_was_tampered_with() {
    let certs = Certs::complete();
    let mut der = request(&certs, "partner");
    let place = der.windows(7).position(|bytes| bytes == b"partner").unwrap();
    der[place..place + 7].copy_from_slice(b"another");
    fs::write(certs.file("partner.csr"), der).unwrap();
    let (code, _, errors) = pki(&certs, "sign partner.csr --client --out partner.pem");
    assert_eq!(code, 1);
    assert!(
        errors.contains("partner.csr") && errors.contains("does not verify"),
        "{errors}"
    );
    assert!(!certs.file("partner.pem").exists());
}

/// Made by `openssl req -newkey rsa:1024`.
const WEAK_REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIIBUTCBuwIBADASMRAwDgYDVQQDDAdwYXJ0bmVyMIGfMA0GCSqGSIb3DQEBAQUA
A4GNADCBiQKBgQDdUct21JCLuMHaX0WDJMYdUascJuLU0+/78loMwsiHCFmhHqdi
0t/z7n8Vn0/0EShLjbDkWpoktu0KJIG+k47tBX9h+sETujLw02KbEa1ptopNO9CP
EvxbuyiQO/k9sMfwVRZCqrT390XeijuI7v1+civq4JQxwmSPTC6nVsJ55wIDAQAB
oAAwDQYJKoZIhvcNAQELBQADgYEAXEMdQS+BqLCL2Fkg/INinkUMome6EE032qO/
xzRZ7MuEiYnTe03MieqzprFGVAD6F6bA2TeObOcV/cHzKd17XlwwcsAq4B7ZzIlJ
sW1Np4rqH2KAsQegr2abOu/AX0L8bHUycPEiO2V0JNLtzMJ4ZKFfoj/Wte5Kk+rb
i+3hMG8=
-----END CERTIFICATE REQUEST-----
";

/// Whoever carries the gateway's name would be taken for the gateway.
#[test]
fn sign_refuses_names_that_the_operator_has_not_granted() {
    let certs = Certs::complete();
    let params = CertificateParams::new(["gateway-internal.example.com".to_owned()]).unwrap();
    request_of(&certs, "partner", params);
    let (code, said, errors) = pki(&certs, "sign partner.csr");
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(
        errors.contains("DNS:gateway-internal.example.com") && errors.contains("--san-dns"),
        "{errors}"
    );
    let (code, ..) = pki(&certs, "sign partner.csr --san-dns gateway-internal.example.com");
    assert_eq!(code, 0);
}

/// A registration by subject would take the one for the other.
#[test]
fn sign_refuses_a_subject_that_somebody_has_already() {
    let certs = Certs::complete();
    request(&certs, "demo-partner");
    let (code, said, errors) = pki(&certs, "sign partner.csr");
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(
        errors.contains("example.client.pem") && errors.contains("--subject"),
        "{errors}"
    );
    let (code, ..) = pki(&certs, "sign partner.csr --subject cn=Demo-Partner");
    assert_eq!(code, 0);
}

#[test]
fn sign_calls_a_weak_key_weak() {
    let certs = Certs::complete();
    fs::write(certs.file("partner.csr"), WEAK_REQUEST).unwrap();
    let (code, said, errors) = pki(&certs, "sign partner.csr --client");
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(
        errors.contains("1024 bits") && errors.contains("too weak") && !errors.contains("signature"),
        "{errors}"
    );
}

#[test]
fn sign_refuses_a_server_without_a_host_and_accepts_it_with_one() {
    let certs = Certs::complete();
    let client_only = SanType::URI("urn:example:partner".try_into().unwrap());
    for (names, granted) in [
        (vec![], ""),
        (vec![client_only], " --san-uri urn:example:partner"),
    ] {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        request_of(&certs, "partner.example.com", params);
        let (code, said, errors) = pki(&certs, &format!("sign partner.csr --server{granted}"));
        assert_eq!((code, said.as_str()), (1, ""));
        assert!(
            errors.contains("partner.csr") && errors.contains("subjectAltName=DNS:"),
            "{errors}"
        );
    }
    let params = CertificateParams::new(["partner.example.com".to_owned()]).unwrap();
    request_of(&certs, "partner.example.com", params);
    let (code, ..) = pki(&certs, "sign partner.csr --server --san-dns partner.example.com");
    assert_eq!(code, 0);
}

#[test]
fn revoke_refuses_the_root() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let (code, _, errors) = pki(&certs, "revoke root.pem");
    assert_eq!(code, 1);
    assert!(
        errors.contains("root.pem") && errors.contains("init --force"),
        "{errors}"
    );
    assert_eq!(certs.snapshot(), before);
}

#[test]
fn revoke_adds_to_the_list_once() {
    let certs = Certs::complete();
    let first = revocation_list(&certs);
    let (code, said, _) = pki(&certs, "revoke other.client.pem");
    assert_eq!(code, 0);
    assert!(
        said.starts_with("revoked  other.client.pem (CN=other-partner)"),
        "{said}"
    );
    let second = revocation_list(&certs);
    assert!(second.lists(&certs.certificate("other.client.pem")));
    assert!(
        second.lists(&certs.certificate("refused/revoked.client.pem")),
        "earlier entries stay"
    );
    assert!(second.number() > first.number());

    let (code, said, _) = pki(&certs, "revoke other.client.pem");
    assert_eq!(code, 0);
    assert!(said.contains("was revoked already"), "{said}");
    assert_eq!(revocation_list(&certs).der(), second.der());
}

#[test]
fn revoke_refuses_a_certificate_of_another_root() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let (code, _, errors) = pki(&certs, "revoke refused/rogue.client.pem");
    assert_eq!(code, 1);
    assert!(errors.contains("was not issued by this root"), "{errors}");
    assert_eq!(certs.snapshot(), before);
}

#[test]
fn crl_signs_the_list_again() {
    let certs = Certs::complete();
    let first = revocation_list(&certs);
    let (code, ..) = pki(&certs, "crl --days 60");
    assert_eq!(code, 0);
    let second = revocation_list(&certs);
    assert_eq!(second.revoked(), first.revoked());
    assert!(second.number() > first.number());
    assert!(second.next_update() > first.next_update());
}

/// A new list would know of no revocation, and let everybody in again.
#[test]
fn refuses_to_start_a_lost_list_anew_unasked() {
    let certs = Certs::complete();
    certs.remove("root.crl.pem");
    for line in ["crl", "init", "init --renew-expired", "revoke other.client.pem"] {
        let (code, _, errors) = pki(&certs, line);
        assert_eq!(code, 1, "{line}");
        assert!(
            errors.contains("root.crl.pem") && errors.contains("backup") && errors.contains("crl --anew"),
            "{line}: {errors}"
        );
        assert!(!certs.file("root.crl.pem").exists(), "{line}");
    }
}

#[test]
fn crl_starts_a_lost_list_anew_when_asked() {
    let certs = Certs::complete();
    certs.remove("root.crl.pem");
    let (code, said, errors) = pki(&certs, "crl --anew");
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(said.contains("0 revoked"), "{said}");
    assert_eq!(revocation_list(&certs).revoked(), []);
    let (code, ..) = pki(&certs, "revoke other.client.pem");
    assert_eq!(code, 0);
}

#[test]
fn crl_refuses_to_start_anew_beside_a_list_that_is_there() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let (code, _, errors) = pki(&certs, "crl --anew");
    assert_eq!(code, 1);
    assert!(errors.contains("root.crl.pem"), "{errors}");
    assert_eq!(certs.snapshot(), before);
}

#[test]
fn show_prints_what_to_register() {
    let certs = Certs::complete();
    let (code, said, _) = pki(&certs, "show gateway.client.pem");
    assert_eq!(code, 0);
    assert!(
        said.contains("tls_client_auth_san_dns     gateway-internal.example.com\n"),
        "{said}"
    );
    let (code, json, _) = pki(&certs, "show --json gateway.client.pem");
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(said.contains(json["x5t#S256"].as_str().unwrap()));
}

#[test]
fn show_prints_the_names_of_servers_too() {
    let certs = Certs::complete();
    let (_, said, _) = pki(&certs, "show login.tls.pem");
    for name in ["DNS:login.example.com", "DNS:localhost", "IP:127.0.0.1", "IP:::1"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    let (_, json, _) = pki(&certs, "show --json login.tls.pem");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["subject_alternative_names"][0], "DNS:login.example.com");

    let (_, said, _) = pki(&certs, "show example.client.pem");
    assert!(said.contains("subjectAltName              none\n"), "{said}");
    let (_, json, _) = pki(&certs, "show --json example.client.pem");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["subject_alternative_names"], serde_json::json!([]));
}

#[test]
fn show_refuses_a_key() {
    let certs = Certs::complete();
    let (code, said, errors) = pki(&certs, "show root.key");
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(
        errors.contains("root.key: holds no X.509 certificate"),
        "{errors}"
    );
}

#[test]
fn ends_with_64_for_a_wrong_command_line_and_0_for_help() {
    let certs = Certs::empty();
    for line in [
        "",
        "frobnicate",
        "issue client a --days 0",
        "issue client a --subject a",
        "sign a.csr --client --server",
    ] {
        let (code, said, errors) = pki(&certs, line);
        assert_eq!((code, said.as_str()), (64, ""), "{line}");
        assert!(!errors.is_empty());
    }
    let (code, help, _) = pki(&certs, "--help");
    assert_eq!(code, 0);
    assert!(help.contains("Examples:"), "{help}");
}

#[test]
fn points_to_init_where_there_is_no_root() {
    let certs = Certs::empty();
    for line in ["issue client a", "crl"] {
        let (code, _, errors) = pki(&certs, line);
        assert_eq!(code, 1);
        assert!(errors.contains("root.pem") && errors.contains("init"), "{errors}");
    }
}

#[test]
fn takes_flags_from_the_environment_but_none_that_destroys() {
    let certs = Certs::complete();
    let environment = [
        ("CERTBOUND_DIR", "."),
        ("CERTBOUND_SUBJECT", "CN=from-outside"),
        ("CERTBOUND_FORCE", "1"),
        ("CERTBOUND_ANEW", "1"),
        // The client's archive, not this command's flag.
        ("CERTBOUND_P12", "certs/example.client.p12"),
    ];
    let before = certs.snapshot();
    for line in ["issue client example", "crl --days 60"] {
        let (code, _, errors) = pki_with(&certs, line, &environment);
        assert_eq!(code, i32::from(line.starts_with("issue")), "{errors}");
    }
    assert_eq!(
        certs.read("example.client.pem"),
        before[Path::new("example.client.pem")]
    );

    let (code, ..) = pki_with(&certs, "issue client example --force", &environment);
    assert_eq!(code, 0);
    assert_eq!(
        certs.certificate("example.client.pem").subject().to_string(),
        "CN=from-outside"
    );
    assert!(
        !certs.file("example.client.p12").exists(),
        "nobody asked for a new one"
    );
}
