//! A database for each test: on the server that `CERTBOUND_TEST_POSTGRES_URL` names, or else on one of the tests' own.

use std::sync::OnceLock;

use super::cluster::Cluster;
use crate::configuration::{Configuration, PostgresConfiguration, StoreConfiguration};
use crate::token_store::PostgresTokenStore;

const GIVEN: &str = "CERTBOUND_TEST_POSTGRES_URL";
const DEMO: &str = include_str!("../../demo.toml");

/// An empty database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// On a server that was given: what is to be removed, and through which URL.
    leftover: Option<(String, String)>,
}

impl Database {
    /// `None`, and a note, where there is no server.
    pub(crate) async fn new() -> Option<Self> {
        // Told apart by their names also when several processes use the same server.
        let name = format!("certbound_{}", uuid::Uuid::new_v4().simple());
        if let Ok(given) = std::env::var(GIVEN) {
            execute(&given, &format!("CREATE DATABASE {name}")).await.unwrap();
            return Some(Self {
                url: with_database(&given, &name),
                leftover: Some((given, name)),
            });
        }
        let cluster = cluster()?;
        cluster.create_database(&name);
        Some(Self {
            url: cluster.url(&name),
            leftover: None,
        })
    }

    pub(crate) fn configuration(&self) -> PostgresConfiguration {
        configuration(&format!("url = \"{}\"\ndanger_plain_text = true", self.url))
    }

    pub(crate) async fn open(&self) -> PostgresTokenStore {
        PostgresTokenStore::open(&self.configuration()).await.unwrap()
    }

    /// Does something behind the store's back.
    pub(crate) async fn execute(&self, statements: &str) {
        execute(&self.url, statements).await.unwrap();
    }

    /// A session of the test's own.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        connect(&self.url).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((url, name)) = self.leftover.take() else {
            return;
        };
        let remove = async move { execute(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await };
        // The test's own runtime is in use.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let removal = std::thread::spawn(move || runtime.block_on(remove));
        // What is left behind by a failure here is no failure of the test.
        let _removed = removal.join();
    }
}

async fn connect(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn execute(url: &str, statements: &str) -> Result<(), tokio_postgres::Error> {
    connect(url).await?.batch_execute(statements).await
}

/// What a section `[store]` with these lines comes to.
pub(crate) fn configuration(lines: &str) -> PostgresConfiguration {
    match whole_configuration(lines).store {
        StoreConfiguration::Postgres(postgres) => *postgres,
        StoreConfiguration::Embedded { .. } => panic!("no database in {lines}"),
    }
}

/// The demo's configuration with a section `[store]` of these lines.
pub(crate) fn whole_configuration(lines: &str) -> Configuration {
    let text = DEMO
        .replace("path = \"data/authorization-server/tokens.redb\"", lines)
        .replace("keys = \"data/authorization-server/keys\"", "");
    Configuration::from_toml(&text).unwrap()
}

/// One server for all tests of this process; it ends with the process.
fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start).as_ref()
}

fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let host = address.find("://").unwrap() + 3;
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |slash| host + slash);
    format!("{}/{name}?{parameters}", &address[..end])
}
