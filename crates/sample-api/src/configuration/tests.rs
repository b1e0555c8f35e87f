use std::path::Path;

use resource_server::SignatureAlgorithm;

use super::*;

/// The demo's file, with the certificates it names in `directory`.
fn file_in(directory: &Path) -> ConfigurationFile {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();

    let mut file = ConfigurationFile::demo().unwrap();
    file.tls.certificate = write("server.pem", &certificate);
    file.tls.key = write("server.key", &key.serialize_pem());
    file.client_certificates.trust = vec![write("root.pem", &certificate)];
    file.client_certificates.crl.clear();
    file.client_certificates.crl_policy = mtls::CrlPolicy::IfPresent;
    file.outbound_tls.trust = vec![write("outbound.pem", &certificate)];
    file
}

fn keys_at_fault(file: ConfigurationFile) -> Vec<String> {
    let error = Configuration::try_from(file).unwrap_err();
    error
        .problems()
        .iter()
        .map(|problem| problem.key.clone())
        .collect()
}

#[test]
fn accepts_the_demo_with_every_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    let configuration = Configuration::try_from(file_in(directory.path())).unwrap();
    assert_eq!(configuration.access_tokens.algorithms, SignatureAlgorithm::ALL);
    assert_eq!(configuration.access_tokens.audiences, ["api.example.com"]);
    assert_eq!(configuration.listen, ListenSection::default());
    assert_eq!(
        configuration.certificate_source,
        CertificateSource::gateway(["gateway-internal.example.com"])
    );
}

#[test]
fn names_every_key_at_fault_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = file_in(directory.path());
    file.tls.key = "absent.key".into();
    file.client_certificates.trust.clear();
    file.client_certificates.crl_policy = mtls::CrlPolicy::Require;
    file.client_certificates.gateways.clear();
    file.outbound_tls.trust.clear();
    file.issuer = "http://login.example.com".into();
    file.jwks_uri = "http://login.example.com/jwks".into();
    file.audience.clear();
    file.algorithms.clear();
    file.resource = Some("http://api.example.com".into());
    assert_eq!(
        keys_at_fault(file),
        [
            "tls",
            "client_certificates.trust",
            "client_certificates.crl",
            "outbound_tls.trust",
            "issuer",
            "jwks_uri",
            "audience",
            "algorithms",
            "client_certificates.gateways",
            "resource",
        ]
    );
}

/// S4.
#[test]
fn knows_what_resource_it_is_only_where_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = file_in(directory.path());
    let named = Configuration::try_from(file.clone()).unwrap().resource.unwrap();
    assert_eq!(named.as_str(), "https://api.example.com");
    file.resource = None;
    assert_eq!(Configuration::try_from(file).unwrap().resource, None);
}

#[test]
fn accepts_no_gateway_only_where_everybody_is_admitted() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = file_in(directory.path());
    file.client_certificates.gateways.clear();
    assert_eq!(keys_at_fault(file.clone()), ["client_certificates.gateways"]);
    file.client_certificates.admit = Admit::Any;
    assert!(Configuration::try_from(file).is_ok());
}

#[test]
fn refuses_unknown_keys_and_algorithms() {
    let demo = include_str!("../demo.toml");
    assert!(ConfigurationFile::from_toml(demo).is_ok());
    for wrong in [
        "issuers = []\n",
        "algorithms = ['HS256']\n",
        "algorithms = ['none']\n",
    ] {
        let error = ConfigurationFile::from_toml(&format!("{wrong}{demo}")).unwrap_err();
        assert!(
            matches!(error, ConfigurationError::NotUnderstood { .. }),
            "{error}"
        );
    }
    assert!(ConfigurationFile::from_toml(&format!("algorithms = ['PS256']\n{demo}")).is_ok());
}
