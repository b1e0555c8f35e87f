//! What is peculiar to the database: several servers at once, and everything that can be wrong with it or its network.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use futures_util::future::join_all;
use oauth_core::jwt::SignatureAlgorithm;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::cluster::{Cluster, PASSWORD, USER};
use super::shared::{Database, configuration};
use super::*;
use crate::configuration::PostgresConfiguration;
use crate::signing_keys::key_set::{ANNOUNCEMENT, RETIREMENT};
use crate::signing_keys::{Ownership, RotationPolicy, SigningKeys};

/// Longer than anything may take that is refused.
const LONGEST_REFUSAL: Duration = Duration::from_secs(8);
/// Longer than a database may be away unnoticed, or back.
const LONGEST_AWAY: Duration = Duration::from_secs(20);

fn shared(store: PostgresTokenStore) -> Arc<dyn TokenStore> {
    Arc::new(store)
}

/// A store over a database that is away can be opened, and says so.
async fn refused_at_once_and_waiting(configuration: &PostgresConfiguration) {
    let started = Instant::now();
    let store = PostgresTokenStore::open(configuration).await.unwrap();
    assert!(started.elapsed() < LONGEST_REFUSAL, "{:?}", started.elapsed());
    assert_eq!(store.health().verify(), Err(StoreError::Failed));
    let (_, record) = token_issued_at(START);
    assert_eq!(store.insert(record.into()).await, Err(StoreError::Failed));
}

async fn refusal(configuration: &PostgresConfiguration) -> String {
    let started = Instant::now();
    let error = PostgresTokenStore::open(configuration).await.unwrap_err();
    assert!(started.elapsed() < LONGEST_REFUSAL, "{:?}", started.elapsed());
    let text = error.to_string();
    assert!(
        !format!("{error:?}{text}{configuration:?}").contains(PASSWORD),
        "{text}"
    );
    text
}

#[tokio::test]
async fn lets_two_servers_answer_for_one_another() {
    let Some(database) = Database::new().await else {
        return;
    };
    let (one, other) = (shared(database.open().await), shared(database.open().await));
    let (token, record) = token_issued_at(START);
    one.insert(record.clone().into()).await.unwrap();
    assert_eq!(find(&other, &token).await, Some(record));
    other.revoke(token.id(), at(START + 1)).await.unwrap();
    assert_eq!(find(&one, &token).await.unwrap().revoked_at, Some(at(START + 1)));
    let assertion = AssertionDigest::of("partner-client", "1");
    let uses = tokio::join!(
        one.remember_assertion(assertion, at(START)),
        other.remember_assertion(assertion, at(START))
    );
    let uses = [uses.0.unwrap(), uses.1.unwrap()];
    assert!(
        uses.contains(&AssertionUse::First) && uses.contains(&AssertionUse::Replay),
        "{uses:?}"
    );
}

fn policy(algorithm: SignatureAlgorithm) -> RotationPolicy {
    RotationPolicy {
        algorithm,
        further: BTreeSet::new(),
        ownership: Ownership::Shared,
        rotate_every: Duration::from_secs(30 * 24 * HOUR),
    }
}

async fn keys(store: &Arc<PostgresTokenStore>, now: Timestamp) -> SigningKeys {
    SigningKeys::shared(Arc::clone(store), policy(SignatureAlgorithm::ES256), now)
        .await
        .unwrap()
}

async fn names(database: &Database) -> Vec<String> {
    let names = "SELECT name FROM certbound_signing_keys ORDER BY name";
    let rows = database.client().await.query(names, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A6, D8: one set of keys, whoever is first.
#[tokio::test(flavor = "multi_thread")]
async fn lets_servers_start_at_once_over_an_empty_database_and_share_every_key() {
    for algorithm in SignatureAlgorithm::ALL {
        let Some(database) = Database::new().await else {
            return;
        };
        let stores = join_all((0..6).map(|_| database.open())).await;
        let starting = stores
            .into_iter()
            .map(|store| SigningKeys::shared(Arc::new(store), policy(algorithm), at(START)));
        let documents: Vec<_> = join_all(starting)
            .await
            .into_iter()
            .map(|keys| keys.unwrap().jwks())
            .collect();
        assert!(
            documents.iter().all(|jwks| jwks == &documents[0]),
            "{documents:?}"
        );
        assert_eq!(names(&database).await.len(), 2, "the current and the next");
    }
}

/// A6, D8, P17: every server shows a key before any signs with it, and all sign with it in the end.
#[tokio::test(flavor = "multi_thread")]
async fn rotates_the_keys_of_all_servers_once_whoever_asks() {
    let Some(database) = Database::new().await else {
        return;
    };
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    let (one, other) = tokio::join!(keys(&stores[0], at(START)), keys(&stores[1], at(START)));
    let shown = other.jwks();
    let asked = at(START + 60);
    let (first, second) = tokio::join!(one.rotate(asked), other.rotate(asked));
    let rotation = first.unwrap();
    assert_eq!(second.unwrap(), rotation);
    assert_eq!(rotation.signs_from, at(START).plus(ANNOUNCEMENT));
    assert!(String::from_utf8_lossy(&shown).contains(&rotation.key_id));
    for server in [&one, &other] {
        assert_ne!(server.current(asked).unwrap().key_id(), rotation.key_id);
        assert_eq!(
            server.current(rotation.signs_from).unwrap().key_id(),
            rotation.key_id
        );
    }
    assert_eq!(names(&database).await.len(), 3, "current, scheduled and next");

    let retired = rotation.signs_from.plus(RETIREMENT);
    one.maintain(retired).await.unwrap();
    assert_eq!(names(&database).await.len(), 2);
    other.maintain(retired).await.unwrap();
    assert_eq!(one.jwks(), other.jwks());
}

/// A6, D8: each with its own algorithm, and each shows what the other signs with.
#[tokio::test(flavor = "multi_thread")]
async fn lets_servers_of_different_algorithms_share_their_keys() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = Arc::new(database.open().await);
    let policies = [SignatureAlgorithm::ES256, SignatureAlgorithm::PS256].map(policy);
    let mut servers = Vec::new();
    for policy in &policies {
        let keys = SigningKeys::shared(Arc::clone(&store), policy.clone(), at(START));
        servers.push(keys.await.unwrap());
    }
    let before = names(&database).await;
    assert_eq!(before.len(), 4, "a current and a next one for each");
    for minute in 0..3 {
        for server in &servers {
            server.maintain(at(START + minute * 60)).await.unwrap();
        }
    }
    assert_eq!(names(&database).await, before);
    assert_eq!(servers[0].jwks(), servers[1].jwks());
    for (server, policy) in servers.iter().zip(&policies) {
        assert!(server.current_with(policy.algorithm, at(START)).is_some());
    }
}

/// D8: removed at one, unknown to all.
#[tokio::test]
async fn a_key_that_one_server_has_removed_is_gone_from_the_others_with_their_next_look() {
    let Some(database) = Database::new().await else {
        return;
    };
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    let (one, other) = (
        keys(&stores[0], at(START)).await,
        keys(&stores[1], at(START)).await,
    );
    let compromised = one.current(at(START)).unwrap().key_id().to_owned();
    one.retire(&compromised, at(START)).await.unwrap().unwrap();
    other.maintain(at(START)).await.unwrap();
    for server in [&one, &other] {
        assert!(!String::from_utf8_lossy(&server.jwks()).contains(&compromised));
        assert_ne!(server.current(at(START)).unwrap().key_id(), compromised);
    }
}

#[tokio::test]
async fn goes_on_signing_with_the_keys_at_hand_when_they_cannot_be_changed() {
    let Some(database) = Database::new().await else {
        return;
    };
    let keys = keys(&Arc::new(database.open().await), at(START)).await;
    let later = at(START + 24 * HOUR);
    let before = keys.current(later).unwrap().key_id().to_owned();
    database
        .execute("ALTER TABLE certbound_signing_keys RENAME TO elsewhere")
        .await;
    assert!(keys.rotate(later).await.is_err());
    assert_eq!(keys.current(later).unwrap().key_id(), before);
}

#[tokio::test]
async fn refuses_a_signing_key_that_is_damaged_and_does_not_overwrite_it() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = Arc::new(database.open().await);
    keys(&store, at(START)).await;
    let before = names(&database).await;
    database
        .execute("UPDATE certbound_signing_keys SET private_key = 'damaged'")
        .await;
    let policy = policy(SignatureAlgorithm::ES256);
    let error = SigningKeys::shared(store, policy, at(START)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("certbound_signing_keys {}", before[0])),
        "{error}"
    );
    assert_eq!(names(&database).await, before);
}

#[tokio::test]
async fn refuses_tables_of_a_newer_version_and_leaves_them_alone() {
    let Some(database) = Database::new().await else {
        return;
    };
    drop(database.open().await);
    database
        .execute("UPDATE certbound_schema SET version = 1000")
        .await;
    let error = refusal(&database.configuration()).await;
    assert!(
        error.contains("version 1000") && error.contains("newer program"),
        "{error}"
    );
    database.execute("UPDATE certbound_schema SET version = 1").await;
    assert!(PostgresTokenStore::open(&database.configuration()).await.is_ok());
}

#[tokio::test]
async fn finishes_an_upgrade_that_was_cut_short() {
    let Some(database) = Database::new().await else {
        return;
    };
    let (token, record) = token_issued_at(START);
    database.open().await.insert(record.clone().into()).await.unwrap();
    // As a database leaves it that does not undo what it was doing.
    database
        .execute("UPDATE certbound_schema SET version = 0; DROP TABLE certbound_assertions")
        .await;
    let store = shared(database.open().await);
    let used = store
        .remember_assertion(AssertionDigest::of("partner-client", "1"), at(START))
        .await;
    assert_eq!(used, Ok(AssertionUse::First));
    assert_eq!(find(&store, &token).await, Some(record));
}

#[tokio::test]
async fn needs_no_right_to_make_tables_that_are_there() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let open = async |url: &str| PostgresTokenStore::open(&configuration(&format!("url = \"{url}\""))).await;
    open(&cluster.url("postgres")).await.unwrap();
    let user = "CREATE USER service PASSWORD 'p'; \
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO service";
    assert!(cluster.psql("postgres", user));
    let url = cluster
        .url_at("127.0.0.1", "p", "postgres")
        .replace(USER, "service");
    let store = open(&url).await.unwrap();
    store.insert(token_issued_at(START).1.into()).await.unwrap();
    store.purge(at(START + HOUR)).await.unwrap();
    cluster.stop();
}

#[tokio::test]
async fn commits_many_changes_at_once() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = shared(database.open().await);
    let tokens: Vec<_> = (0..500).map(|second| token_issued_at(START + second)).collect();
    let before = store.health().commits();
    let inserting = join_all(
        tokens
            .iter()
            .map(|(_, record)| store.insert(record.clone().into())),
    );
    let results = tokio::task::unconstrained(inserting).await;
    assert!(results.iter().all(Result::is_ok));
    let commits = store.health().commits() - before;
    assert!((1..=2).contains(&commits), "{commits}");
    for (token, record) in tokens {
        assert_eq!(find(&store, &token).await, Some(record));
    }
}

#[tokio::test]
async fn deletes_more_than_fits_into_one_statement() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = shared(database.open().await);
    let records: Vec<_> = (0..2_500).map(|_| token_issued_at(START).1).collect();
    let inserted = join_all(records.iter().map(|record| store.insert(record.clone().into()))).await;
    assert!(inserted.iter().all(Result::is_ok));
    store.purge(records[0].expires_at).await.unwrap();
    let left = database
        .client()
        .await
        .query_one("SELECT count(*) FROM certbound_tokens", &[])
        .await;
    assert_eq!(left.unwrap().get::<_, i64>(0), 0);
}

/// What is answered is on disk, whatever the database's default.
#[tokio::test]
async fn waits_for_the_disk_where_the_database_by_default_does_not() {
    let Some(database) = Database::new().await else {
        return;
    };
    let name: String = database
        .client()
        .await
        .query_one("SELECT current_database()", &[])
        .await
        .unwrap()
        .get(0);
    for (default, expected) in [("off", "on"), ("remote_apply", "remote_apply")] {
        database
            .execute(&format!(
                "ALTER DATABASE {name} SET synchronous_commit = '{default}'"
            ))
            .await;
        let store = database.open().await;
        let client = store.client().await;
        let setting = client.query_one("SHOW synchronous_commit", &[]).await.unwrap();
        assert_eq!(setting.get::<_, &str>(0), expected);
    }
}

/// R7: nothing is answered that is not kept, nothing hangs, and nobody need start anything again.
#[tokio::test]
async fn refuses_while_the_database_is_stopped_and_resumes_by_itself() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    cluster.create_database("certbound");
    let configuration = configuration(&format!("url = \"{}\"", cluster.url("certbound")));
    let store = shared(PostgresTokenStore::open(&configuration).await.unwrap());
    let mut health = store.health();
    for round in 0..2 {
        let (token, record) = token_issued_at(START + round);
        store.insert(record.clone().into()).await.unwrap();
        assert_eq!(health.verify(), Ok(()));
        cluster.stop();
        let started = Instant::now();
        assert_eq!(
            store.insert(token_issued_at(START).1.into()).await,
            Err(StoreError::Failed)
        );
        assert_eq!(store.record(token.id()).await, Err(StoreError::Failed));
        assert_eq!(store.revoke(token.id(), at(START)).await, Err(StoreError::Failed));
        assert_eq!(store.purge(at(START)).await, Err(StoreError::Failed));
        let assertion = AssertionDigest::of("partner-client", "1");
        assert_eq!(
            store.remember_assertion(assertion, at(START)).await,
            Err(StoreError::Failed)
        );
        assert!(started.elapsed() < LONGEST_REFUSAL, "{:?}", started.elapsed());
        tokio::time::timeout(LONGEST_AWAY, health.until(false))
            .await
            .unwrap();
        assert_eq!(health.verify(), Err(StoreError::Failed));
        cluster.resume();
        tokio::time::timeout(LONGEST_AWAY, health.until(true))
            .await
            .unwrap();
        assert_eq!(find(&store, &token).await, Some(record));
    }
    cluster.stop();
    refused_at_once_and_waiting(&configuration).await;
}

#[tokio::test]
async fn gives_up_on_a_database_that_does_not_answer() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("url = \"postgres://certbound@127.0.0.1:{port}/certbound\"");
    refused_at_once_and_waiting(&configuration(&url)).await;
}

#[tokio::test]
async fn gives_up_on_a_query_that_is_not_answered_and_works_when_it_is_again() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = shared(database.open().await);
    let (token, record) = token_issued_at(START);
    store.insert(record.clone().into()).await.unwrap();
    let in_the_way = database.client().await;
    let lock = "BEGIN; LOCK TABLE certbound_tokens IN ACCESS EXCLUSIVE MODE";
    in_the_way.batch_execute(lock).await.unwrap();
    let started = Instant::now();
    let (read, written) = tokio::join!(
        store.record(token.id()),
        store.insert(token_issued_at(START).1.into())
    );
    assert_eq!(
        (read, written),
        (Err(StoreError::Failed), Err(StoreError::Failed))
    );
    assert!(started.elapsed() < LONGEST_REFUSAL, "{:?}", started.elapsed());
    in_the_way.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(find(&store, &token).await, Some(record));
}

/// A server with a certificate for `localhost` alone, and the certificate of whoever issued it.
fn encrypted_cluster(directory: &TempDir) -> Option<(Cluster, String)> {
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &root).unwrap();
    let cluster = Cluster::start_with(|files| {
        std::fs::write(files.join("server.crt"), certificate.pem()).unwrap();
        std::fs::write(files.join("server.key"), key.serialize_pem()).unwrap();
        let file = |name: &str| files.join(name).display().to_string();
        vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("server.crt")),
            format!("ssl_key_file={}", file("server.key")),
        ]
    })?;
    Some((cluster, written(directory, "root.pem", &root.pem())))
}

fn written(directory: &TempDir, name: &str, contents: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, contents).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn accepts_a_server_of_the_right_name_and_issuer_and_refuses_every_other() {
    let directory = TempDir::new().unwrap();
    let Some((cluster, root)) = encrypted_cluster(&directory) else {
        return;
    };
    let stranger = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let strangers = written(
        &directory,
        "stranger.pem",
        &params.self_signed(&stranger).unwrap().pem(),
    );
    let at = |host: &str, trust: &str| {
        let url = cluster.url("postgres").replace("127.0.0.1", host);
        configuration(&format!("url = \"{url}\"\ntrust = [\"{trust}\"]"))
    };
    let store = PostgresTokenStore::open(&at("localhost", &root)).await.unwrap();
    let client = store.client().await;
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(client.query_one(encrypted, &[]).await.unwrap().get::<_, bool>(0));
    for wrong in [at("127.0.0.1", &root), at("localhost", &strangers)] {
        let error = refusal(&wrong).await;
        assert!(error.contains("TLS") && error.contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn refuses_a_server_that_does_not_encrypt_where_it_is_to() {
    let directory = TempDir::new().unwrap();
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = written(&directory, "root.pem", &params.self_signed(&key).unwrap().pem());
    let url = cluster.url("postgres");
    let error = refusal(&configuration(&format!("url = \"{url}\"\ntrust = [\"{root}\"]"))).await;
    assert!(error.contains("does not support TLS"), "{error}");
}

#[tokio::test]
async fn takes_the_password_from_a_file_and_shows_none_when_it_is_wrong() {
    let directory = TempDir::new().unwrap();
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.url_without_password("127.0.0.1", "postgres");
    let with_password = |name: &str, contents: &str| {
        let file = written(&directory, name, contents);
        configuration(&format!("url = \"{url}\"\npassword_file = \"{file}\""))
    };
    let right = with_password("right", &format!("{PASSWORD}\n"));
    assert!(PostgresTokenStore::open(&right).await.is_ok());
    let error = refusal(&with_password("wrong", "secret-and-wrong")).await;
    assert!(error.contains("password authentication failed"), "{error}");
    assert!(!error.contains("secret-and-wrong"));
    let error = refusal(&with_password("empty", "\n")).await;
    assert!(
        error.contains("store.password_file") && error.contains("empty"),
        "{error}"
    );
}

/// What a configuration shows of itself, whoever asks.
#[test]
fn shows_no_password_when_debugged() {
    let configuration =
        shared::whole_configuration("url = \"postgres://certbound:se-cret@localhost/certbound\"");
    let shown = format!("{configuration:?}");
    assert!(
        shown.contains("localhost") && !shown.contains("se-cret"),
        "{shown}"
    );
}
