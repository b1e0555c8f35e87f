//! The gateway's configuration file, changed while it runs: what is said of it.

use std::path::PathBuf;

use demo::{
    actor::Actor,
    configuration::{self, Listeners},
};
use gateway::Configuration;
use integration_tests::{TestSystem, log};
use mtls::Alpn;
use pki::Member;
use reqwest::{StatusCode, header::HeaderMap};
use service::{ConfigurationSource, Occasion, Running, Shutdown};

/// A gateway of its own before a system, with a configuration file.
struct SecondGateway {
    system: TestSystem,
    running: Running,
    file: PathBuf,
}

impl SecondGateway {
    async fn start() -> Self {
        let system = TestSystem::start().await;
        let parts = system.ground().parts(Listeners::free(), Default::default());
        let text = configuration::gateway(
            &parts,
            system.authorization_server(),
            system.mutual_tls(),
            system.sample_api(),
        );
        let file = system.ground().path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let configuration = Configuration::load(ConfigurationSource::File(file.clone())).unwrap();
        let running = gateway::start(configuration, Shutdown::new()).await.unwrap();
        Self {
            system,
            running,
            file,
        }
    }

    /// What a partner gets who calls through this gateway.
    async fn call(&self, token: &str) -> Option<StatusCode> {
        let credentials = self.system.credentials(Member::Example).unwrap();
        let trust = self.system.trust().unwrap();
        let address = self.running.address("public");
        let partner = Actor::new(trust, Some(credentials), Alpn::Http2OrHttp1, address).unwrap();
        partner.call(Some(token), HeaderMap::new()).await.status()
    }

    /// Changes the file, and has the gateway read it as on SIGHUP.
    fn reconfigure(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.file).unwrap();
        std::fs::write(&self.file, change(text)).unwrap();
        self.running.reloads().attempt(Occasion::Demand);
    }
}

/// The route follows at once; what waits for the next start is named.
#[tokio::test(flavor = "multi_thread")]
async fn says_which_keys_wait_for_the_next_start() {
    let gateway = SecondGateway::start().await;
    let token = gateway.system.partner_token().await;
    assert_eq!(gateway.call(&token).await, Some(StatusCode::OK));
    gateway.reconfigure(|text| {
        text.replace("\"transactions\"", "\"another\"")
            .replace("[cache]", "[cache]\nmax_age = \"59s\"")
            .replace("client_id = \"gateway\"", "client_id = \"other\"")
    });
    assert_eq!(gateway.call(&token).await, Some(StatusCode::FORBIDDEN));
    let keys = "cache.max_age, introspection.client_id";
    let named = log::event(|event| event["configuration.keys"] == keys).await;
    assert_eq!(named["level"], "WARN", "{named}");
}

/// Everything wrong with the file stands in the log, and nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_routes_of_a_broken_file_and_names_every_problem() {
    let gateway = SecondGateway::start().await;
    let token = gateway.system.partner_token().await;
    gateway.reconfigure(|text| {
        text.replace("path = \"/api/transactions\"", "path = \"/kept/../routes\"")
            .replace("scope = \"transactions\"", "scope = \"kept  routes\"")
    });
    let failed = log::event(|event| {
        let reason = event["reason"].as_str().unwrap_or_default();
        event["reload.of"] == "the routes"
            && reason.contains("routes[0].path")
            && reason.contains("routes[0].scope")
    })
    .await;
    assert_eq!(failed["level"], "ERROR", "{failed}");
    assert_eq!(gateway.call(&token).await, Some(StatusCode::OK));
}
