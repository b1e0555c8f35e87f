//! What services built with counters are asked, so that the profile knows what is common: every job without its peers,
//! and the same gateway over HTTP/2.

use std::net::SocketAddr;

use anyhow::ensure;
use mtls::{ClientTls, ConnectTo, Credentials, Timeouts, TrustAnchors};
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::jobs::{Job, PARTNER, Stage};
use crate::systems::gateway::route;

/// All but `wide`, which is about memory.
const JOBS: [Job; 7] = [
    Job::Hot,
    Job::Handshake,
    Job::Issue,
    Job::Introspect,
    Job::Cold,
    Job::Large,
    Job::Verify,
];
/// Requests over HTTP/2, so many at once.
const REQUESTS: usize = 8000;
const AT_ONCE: usize = 16;

/// Asks everything once.
///
/// # Errors
///
/// A service that does not start, or answers anything but what it should: such a training counts for nothing.
pub(crate) async fn train(bench: &Bench) -> anyhow::Result<()> {
    for job in JOBS {
        let reports = job.run(bench).await?;
        for report in reports {
            ensure!(!report.has_failed(), "training failed at this:\n{report}");
        }
    }
    bench.progress("training: HTTP/2");
    http2(bench).await
}

/// The gateway before the sample API, HTTP/2 on both sides.
async fn http2(bench: &Bench) -> anyhow::Result<()> {
    let stage = Stage::set(bench)?.with_sample_api()?;
    let port = stage.sample_api()?.target()?.address.port();
    let stage = stage.with_gateway(&route("/api", &format!("https://localhost:{port}")))?;
    let address = stage.gateway()?.target()?.address;
    let (client, authorization) = (
        http_client(bench, address)?,
        format!("Bearer {}", stage.token().await?),
    );
    let url = format!("https://api.example.com:{}/api/transactions", address.port());
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, authorization, url) = (client.clone(), authorization.clone(), url.clone());
        asking.spawn(async move {
            for _ in 0..REQUESTS / AT_ONCE {
                let request = client.get(&url).header("authorization", &authorization);
                let answer = request.send().await?;
                let (status, version) = (answer.status(), answer.version());
                ensure!(
                    status == 200 && version == reqwest::Version::HTTP_2,
                    "answered {status} over {version:?} where 200 over HTTP/2 was expected"
                );
                answer.bytes().await?;
            }
            Ok(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    Ok(())
}

fn http_client(bench: &Bench, gateway: SocketAddr) -> anyhow::Result<reqwest::Client> {
    let file = |name: String| bench.ground.certificates().join(name);
    let trust = TrustAnchors::from_pem_files(&[file("root.pem".into())])?;
    let credentials =
        Credentials::from_pem_files(&file(format!("{PARTNER}.pem")), &file(format!("{PARTNER}.key")))?;
    let mapping = ConnectTo {
        host: "api.example.com".into(),
        address: gateway,
    };
    let tls = ClientTls::new(trust).with_credentials(credentials);
    Ok(tls.http_client(Timeouts::default(), &[mapping])?)
}
