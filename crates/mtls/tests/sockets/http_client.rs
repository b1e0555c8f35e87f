//! The HTTP client against our own server: whom it trusts, how it finds hosts, what it can tell of a failure.

use mtls::{
    Alert, ClientCertificates, ClientTls, ConnectTo, ServerCertificateFault, Timeouts, peer_alert,
    server_certificate_fault,
};
use reqwest::{Client, Version};

use crate::pki::Authority;
use crate::support::{Server, credentials, thumbprint, trust, verification};

fn client(tls: &ClientTls, server: &Server, host: &str) -> Client {
    let connect_to = ConnectTo {
        host: host.into(),
        address: server.address,
    };
    tls.http_client(Timeouts::default(), &[connect_to]).unwrap()
}

#[tokio::test]
async fn reaches_a_host_where_it_is_told_to_and_shows_its_certificate() {
    let authority = Authority::new("clients");
    let own = authority.client(|_| ());
    let server = Server::start(&ClientCertificates::Required(verification(&authority)));
    let tls = ClientTls::new(trust(&server.authority)).with_credentials(credentials(&own));
    let response = client(&tls, &server, "localhost")
        .get("https://localhost/")
        .send()
        .await
        .unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), thumbprint(&own));
}

#[tokio::test]
async fn tells_the_alert_that_refused_it() {
    let server = Server::start(&ClientCertificates::Required(verification(&Authority::new(
        "clients",
    ))));
    let tls = ClientTls::new(trust(&server.authority));
    let error = client(&tls, &server, "localhost")
        .get("https://localhost/")
        .send()
        .await
        .unwrap_err();
    let alert = tls.refusal_behind(&error, "localhost", server.address).await;
    assert_eq!(alert, Some(Alert::CertificateRequired), "{error:?}");
    assert_eq!(server_certificate_fault(&error), None);
}

#[tokio::test]
async fn tells_no_alert_where_nobody_refused_it() {
    let mut server = Server::start(&ClientCertificates::NotRequested);
    let tls = ClientTls::new(trust(&server.authority));
    let http = client(&tls, &server, "localhost");
    let address = server.address;
    server.stop();
    server.stopped().await;
    let error = http.get("https://localhost/").send().await.unwrap_err();
    assert_eq!(
        tls.refusal_behind(&error, "localhost", address).await,
        None,
        "{error:?}"
    );
}

#[tokio::test]
async fn refuses_a_server_of_an_unknown_authority() {
    let server = Server::start(&ClientCertificates::NotRequested);
    let tls = ClientTls::new(trust(&Authority::new("another")));
    let error = client(&tls, &server, "localhost")
        .get("https://localhost/")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        server_certificate_fault(&error),
        Some(ServerCertificateFault::UnknownIssuer),
        "{error:?}"
    );
    assert_eq!(peer_alert(&error), None);
}

#[tokio::test]
async fn refuses_a_server_that_is_another_host() {
    let server = Server::start(&ClientCertificates::NotRequested);
    let tls = ClientTls::new(trust(&server.authority));
    let host = "api.example.com";
    let error = client(&tls, &server, host)
        .get(format!("https://{host}/"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        server_certificate_fault(&error),
        Some(ServerCertificateFault::WrongHost),
        "{error:?}"
    );
}

#[tokio::test]
async fn refuses_to_speak_in_clear() {
    let server = Server::start(&ClientCertificates::NotRequested);
    let tls = ClientTls::new(trust(&server.authority));
    assert!(
        client(&tls, &server, "localhost")
            .get("http://localhost/")
            .send()
            .await
            .unwrap_err()
            .is_builder()
    );
}
