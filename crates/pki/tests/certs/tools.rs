//! What OpenSSL, Java's keytool and curl make of the files.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{Certs, run, tool};

/// Ends a process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good as ended now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn verify(certs: &Certs, openssl: &mut Command, purpose: &str, name: &str) -> (bool, String) {
    openssl.args(["verify", "-crl_check", "-x509_strict", "-purpose", purpose]);
    openssl.arg("-CAfile").arg(certs.file("root.pem"));
    openssl.arg("-CRLfile").arg(certs.file("root.crl.pem"));
    run(openssl.arg(certs.file(name)))
}

#[test]
fn verifies_good_certificates_with_openssl() {
    let certs = Certs::complete();
    for (purpose, name) in [
        ("sslserver", "login.tls.pem"),
        ("sslserver", "api.tls.pem"),
        ("sslserver", "api-internal.tls.pem"),
        ("sslclient", "example.client.pem"),
        ("sslclient", "other.client.pem"),
        ("sslclient", "gateway.client.pem"),
    ] {
        let Some(mut openssl) = tool("openssl") else {
            return;
        };
        let (is_good, said) = verify(&certs, &mut openssl, purpose, name);
        assert!(is_good, "{name}: {said}");
    }
}

/// T3, T4, T5, T6, T13: each for its own reason and no other.
#[test]
fn refuses_each_fixture_for_its_one_reason_with_openssl() {
    let certs = Certs::complete();
    for (name, reason) in [
        (
            "rogue",
            "error 20 at 0 depth lookup: unable to get local issuer certificate",
        ),
        ("expired", "error 10 at 0 depth lookup: certificate has expired"),
        (
            "not-yet-valid",
            "error 9 at 0 depth lookup: certificate is not yet valid",
        ),
        ("revoked", "error 23 at 0 depth lookup: certificate revoked"),
        (
            "server-only",
            "error 26 at 0 depth lookup: unsuitable certificate purpose",
        ),
    ] {
        let Some(mut openssl) = tool("openssl") else {
            return;
        };
        let (is_good, said) = verify(
            &certs,
            &mut openssl,
            "sslclient",
            &format!("refused/{name}.client.pem"),
        );
        assert!(!is_good, "{name} was accepted");
        let errors: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("error ") && line.contains("depth"))
            .collect();
        // OpenSSL 1.1 says "unsupported certificate purpose" under the same number.
        let number = |text: &str| text.split(" at ").next().unwrap().to_owned();
        assert_eq!(
            errors.iter().map(|line| number(line)).collect::<Vec<_>>(),
            [number(reason)],
            "{name}: {said}"
        );
    }
}

#[test]
fn reads_pkcs12_with_openssl() {
    let certs = Certs::complete();
    for name in ["example", "other"] {
        let path = certs.text_path(&format!("{name}.client.p12"));
        for (password, is_right) in [("pass:Password1", true), ("pass:Password2", false)] {
            let Some(mut openssl) = tool("openssl") else {
                return;
            };
            let (is_good, said) = run(openssl.args(["pkcs12", "-in", &path, "-passin", password, "-nodes"]));
            assert_eq!(is_good, is_right, "{name}: {said}");
            let certificates = if is_right { 2 } else { 0 };
            assert_eq!(
                said.matches("BEGIN CERTIFICATE").count(),
                certificates,
                "leaf and root: {said}"
            );
            assert_eq!(
                said.matches("BEGIN PRIVATE KEY").count(),
                certificates / 2,
                "{said}"
            );
        }
    }
}

#[test]
fn reads_pkcs12_with_keytool() {
    let certs = Certs::complete();
    for (password, is_right) in [("Password1", true), ("Password2", false)] {
        let path = certs.text_path("example.client.p12");
        let Some(mut keytool) = tool("keytool") else {
            return;
        };
        let (is_good, said) = run(keytool.args(["-list", "-v", "-keystore", &path, "-storepass", password]));
        assert_eq!(is_good, is_right, "{said}");
        assert_eq!(said.contains("PrivateKeyEntry"), is_right, "{said}");
        assert_eq!(said.contains("Certificate chain length: 2"), is_right, "{said}");
    }
}

/// A whole handshake: curl opens the file and proves possession of its key to a server that insists.
#[test]
fn authenticates_with_pkcs12_in_curl() {
    let certs = Certs::complete();
    for (password, is_right) in [("Password1", true), ("Password2", false)] {
        let (Some(openssl), Some(mut curl)) = (tool("openssl"), tool("curl")) else {
            return;
        };
        let (_server, port) = serve(&certs, openssl);
        let identity = format!("{}:{password}", certs.text_path("example.client.p12"));
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]);
        curl.args([
            "--cacert",
            &certs.text_path("root.pem"),
            "--cert-type",
            "P12",
            "--cert",
            &identity,
        ]);
        let (is_good, said) = run(curl.arg(format!("https://127.0.0.1:{port}/")));
        assert_eq!(is_good, is_right, "{said}");
        assert_eq!(
            said.contains("CN = demo-partner") || said.contains("CN=demo-partner"),
            is_right,
            "{said}"
        );
    }
}

/// `openssl s_server` on a free port, asking for a client certificate and refusing whoever has none.
fn serve(certs: &Certs, mut openssl: Command) -> (Running, u16) {
    openssl.args([
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-www",
        "-Verify",
        "1",
        "-verify_return_error",
    ]);
    openssl
        .arg("-cert")
        .arg(certs.file("login.tls.pem"))
        .arg("-key")
        .arg(certs.file("login.tls.key"));
    openssl.arg("-CAfile").arg(certs.file("root.pem"));
    let mut server = Running(
        openssl
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        let address = line.strip_prefix("ACCEPT ")?.to_owned();
        address.rsplit(':').next()?.parse().ok()
    });
    (server, port.expect("the server says where it listens"))
}
