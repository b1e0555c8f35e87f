//! *verify*: the resource-server layer, as the sample API wears it.

use std::cell::Cell;
use std::fs;

use anyhow::{Context as _, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::contender::{Contender, Refusal};
use super::runner::{Prepared, measure};
use super::stage::{GATEWAY_CERTIFICATE, OTHER, PARTNER, Stage};
use super::tokens::introspection_form;
use crate::bench::Bench;
use crate::generator::{Connection, Load, Request, Resume, Same};
use crate::report::JobReport;
use crate::systems::authorization_server::AuthorizationServer;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?.with_sample_api()?;
    let api = stage.sample_api()?;
    let jwt = jwt(&stage).await?;
    let request = forwarded(&stage, &jwt, PARTNER)?;
    let connections = bench.plan.connections;
    let load = Load::kept_alive(
        api.target()?,
        stage.tls(GATEWAY_CERTIFICATE)?,
        connections,
        Same(request),
    );
    let refusal = Refusal {
        target: api.target()?,
        tls: stage.tls(GATEWAY_CERTIFICATE)?,
        request: forwarded(&stage, &jwt, OTHER)?,
        expected: 401,
    };
    let report = measure(Prepared {
        name: "verify".into(),
        description:
            "the sample API behind the resource-server layer, as the gateway calls it: the JWT's signature \
                      (ES256) verified once; its times, Client-Cert and binding on every request"
                .into(),
        contenders: vec![Contender::new(
            "certbound resource server",
            api.process.id(),
            load,
            Some(refusal),
        )],
        comparisons: Vec::new(),
        stage: &stage,
    })
    .await?;
    Ok(vec![report])
}

/// A request as the gateway passes it on, for the holder of a certificate. RFC 9440 §2.2
pub(crate) fn forwarded(stage: &Stage<'_>, jwt: &str, certificate: &str) -> anyhow::Result<Request> {
    let pem = fs::read(stage.bench.ground.certificate(&format!("{certificate}.pem")))?;
    let der = CertificateDer::from_pem_slice(&pem).context("a client certificate")?;
    let client_cert = oauth_core::client_cert_header::encode(&der);
    let authorization = format!("Bearer {jwt}");
    Ok(Request::get(
        "localhost",
        "/api/transactions",
        &[("authorization", &authorization), ("client-cert", &client_cert)],
    ))
}

/// A token of the partner's, as the JWT that the gateway gets for it.
pub(crate) async fn jwt(stage: &Stage<'_>) -> anyhow::Result<String> {
    let token = stage.token().await?;
    let target = stage.authorization_server.target()?;
    let mut connection =
        Connection::open(&target, stage.tls(GATEWAY_CERTIFICATE)?.make(Resume::Never)).await?;
    let request =
        AuthorizationServer::introspection_endpoint("application/jwt").with(&introspection_form(&token));
    let answer = connection.exchange(&request, &Cell::new(0)).await?;
    ensure!(answer.status == 200, "introspection answered {}", answer.status);
    Ok(String::from_utf8(connection.body().to_vec())?)
}
