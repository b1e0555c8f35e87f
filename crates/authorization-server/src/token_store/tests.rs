use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use oauth_core::access_token::SECRET_LENGTH;
use oauth_core::time::Timestamp;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _, StorageBackend, TableHandle as _};
use service::Shutdown;
use tempfile::TempDir;
use tokio::task::unconstrained;
use uuid::NoContext;

use super::*;

const HOUR: u64 = 60 * 60;
const START: u64 = 500_000 * HOUR;
const LIFETIME: Duration = Duration::from_secs(900);

fn token_issued_at(seconds: u64) -> (AccessToken, TokenRecord) {
    let issued_at = Timestamp::from_unix_seconds(seconds);
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0));
    let token = AccessToken::new(id, [7; SECRET_LENGTH]);
    let record = TokenRecord {
        id,
        digest: token.digest(),
        client_id: "partner-client".to_owned(),
        scope: "transactions".parse().unwrap(),
        audience: "api.example.com".to_owned(),
        confirmation: None,
        issued_at,
        expires_at: issued_at.plus(LIFETIME),
        revoked_at: None,
    };
    (token, record)
}

fn open(path: &Path) -> Arc<EmbeddedTokenStore> {
    Arc::new(EmbeddedTokenStore::open(path).unwrap())
}

async fn find(store: &Arc<EmbeddedTokenStore>, token: &AccessToken) -> Option<TokenRecord> {
    let store: Arc<dyn TokenStore> = store.clone();
    store.find(token).await.unwrap()
}

fn tables(store: &EmbeddedTokenStore) -> Vec<String> {
    let transaction = store.database().begin_read().unwrap();
    let tables = transaction
        .list_tables()
        .unwrap()
        .map(|table| table.name().to_owned());
    tables.filter(|name| name.starts_with("tokens-")).collect()
}

#[tokio::test]
async fn finds_after_a_restart_whatever_it_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new/directory/tokens.redb");
    let store = open(&path);
    let mut tokens = Vec::new();
    for minute in 0..120 {
        let (token, record) = token_issued_at(START + minute * 60);
        store.insert(record.clone()).await.unwrap();
        tokens.push((token, record));
    }
    drop(store);
    let store = open(&path);
    for (token, record) in tokens {
        assert_eq!(find(&store, &token).await, Some(record));
    }
}

/// What a crash leaves behind is what lies in the file at that moment, with nothing closed in order.
#[tokio::test]
async fn finds_after_a_crash_every_token_and_every_revocation_it_answered() {
    let directory = TempDir::new().unwrap();
    let (path, crashed) = (
        directory.path().join("tokens.redb"),
        directory.path().join("crashed.redb"),
    );
    let store = open(&path);
    let ((kept, kept_record), (revoked, revoked_record)) =
        (token_issued_at(START), token_issued_at(START + 1));
    store.insert(kept_record.clone()).await.unwrap();
    store.insert(revoked_record).await.unwrap();
    store
        .revoke(revoked.id(), Timestamp::from_unix_seconds(START + 2))
        .await
        .unwrap();
    std::fs::copy(&path, &crashed).unwrap();
    let store = open(&crashed);
    assert_eq!(find(&store, &kept).await, Some(kept_record));
    let found = find(&store, &revoked).await.unwrap();
    assert_eq!(found.revoked_at, Some(Timestamp::from_unix_seconds(START + 2)));
}

#[tokio::test]
async fn keeps_the_first_revocation() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let (token, record) = token_issued_at(START);
    store.insert(record).await.unwrap();
    for seconds in [1, 2] {
        store
            .revoke(token.id(), Timestamp::from_unix_seconds(START + seconds))
            .await
            .unwrap();
    }
    let found = find(&store, &token).await.unwrap();
    assert_eq!(found.revoked_at, Some(Timestamp::from_unix_seconds(START + 1)));
}

#[tokio::test]
async fn has_nothing_to_revoke_for_an_unknown_id() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    for id in [token_issued_at(START).0.id(), Uuid::new_v4(), Uuid::nil()] {
        store
            .revoke(id, Timestamp::from_unix_seconds(START))
            .await
            .unwrap();
        assert_eq!(store.record(id).await, Ok(None));
    }
}

/// I5: the id is no secret, and is not enough.
#[tokio::test]
async fn does_not_know_a_token_of_the_right_id_and_the_wrong_secret() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let (token, record) = token_issued_at(START);
    store.insert(record.clone()).await.unwrap();
    assert_eq!(
        find(&store, &AccessToken::new(token.id(), [8; SECRET_LENGTH])).await,
        None
    );
    assert_eq!(find(&store, &token).await, Some(record));
}

#[tokio::test]
async fn commits_many_changes_at_once() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let tokens: Vec<_> = (0..500).map(|second| token_issued_at(START + second)).collect();
    let commits_before = commits(&store);
    // The writing thread has to wait for this transaction; meanwhile the changes gather.
    let in_the_way = store.database().begin_write().unwrap();
    let inserting = unconstrained(join_all(
        tokens.iter().map(|(_, record)| store.insert(record.clone())),
    ));
    let release = async {
        tokio::task::yield_now().await;
        in_the_way.abort().unwrap();
    };
    let (results, ()) = tokio::join!(inserting, release);
    assert!(results.iter().all(Result::is_ok));
    // One for whatever the thread had taken before it had to wait, one for all that came after.
    assert!((1..=2).contains(&(commits(&store) - commits_before)));
    for (token, _) in &tokens {
        assert!(find(&store, token).await.is_some());
    }
}

/// R7: the queue is bounded, and whoever does not fit in is told at once.
#[tokio::test]
async fn refuses_more_changes_than_it_holds_and_keeps_the_others() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let in_the_way = store.database().begin_write().unwrap();
    let now = Timestamp::from_unix_seconds(START);
    let purging = unconstrained(join_all((0..6_000).map(|_| store.purge(now))));
    let release = async {
        tokio::task::yield_now().await;
        in_the_way.abort().unwrap();
    };
    let (results, ()) = tokio::join!(purging, release);
    let refused = results
        .iter()
        .filter(|result| **result == Err(StoreError::Overloaded))
        .count();
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(refused + done, 6_000);
    assert!(refused > 0 && done >= 4_096, "{refused} refused, {done} done");
    assert_eq!(store.purge(now).await, Ok(()));
}

fn commits(store: &EmbeddedTokenStore) -> u64 {
    store.writer().commits()
}

#[tokio::test]
async fn purges_only_hours_in_which_every_token_has_expired() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let (old, old_record) = token_issued_at(START);
    let (late, late_record) = token_issued_at(START + HOUR - 1);
    let (young, young_record) = token_issued_at(START + HOUR);
    for record in [&late_record, &old_record, &young_record] {
        store.insert(record.clone()).await.unwrap();
    }
    let late_expiry = late_record.expires_at;
    store
        .purge(late_expiry.minus(Duration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(tables(&store).len(), 2);
    assert!(find(&store, &old).await.is_some());
    store.purge(late_expiry).await.unwrap();
    assert_eq!(tables(&store).len(), 1);
    assert_eq!(
        (find(&store, &old).await, find(&store, &late).await),
        (None, None)
    );
    assert_eq!(find(&store, &young).await, Some(young_record));
}

/// What an operator revoked stays so after a restart, and what is issued afterwards is not meant.
#[tokio::test]
async fn a_mark_revokes_what_was_issued_up_to_it_and_survives_a_restart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let (before, record) = token_issued_at(START);
    let (after, later) = token_issued_at(START + 2);
    let store = open(&path);
    store.insert(record).await.unwrap();
    store.insert(later.clone()).await.unwrap();
    let (mark, client) = (
        Timestamp::from_unix_seconds(START + 1),
        "partner-client".to_owned(),
    );
    store
        .revoke_all(TokensOf::Client(client.clone()), mark)
        .await
        .unwrap();
    // A clock that was set back takes nothing back.
    let earlier = Timestamp::from_unix_seconds(START - 60);
    store.revoke_all(TokensOf::Client(client), earlier).await.unwrap();
    drop(store);
    let store = open(&path);
    assert_eq!(find(&store, &before).await.unwrap().revoked_at, Some(mark));
    assert_eq!(find(&store, &after).await, Some(later));
    store.purge(mark.plus(Duration::from_secs(60))).await.unwrap();
    assert_eq!(find(&store, &before).await.unwrap().revoked_at, Some(mark));
}

#[tokio::test]
async fn refuses_a_file_in_use_and_opens_it_once_released() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = open(&path);
    let error = EmbeddedTokenStore::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("tokens.redb") && error.contains("another authorization-server"),
        "{error}"
    );
    drop(store);
    assert!(EmbeddedTokenStore::open(&path).is_ok());
}

#[test]
fn refuses_a_file_that_is_no_store_and_says_what_to_do() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    std::fs::write(&path, "no store at all".repeat(1000)).unwrap();
    let error = EmbeddedTokenStore::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("tokens.redb") && error.contains("move it away"),
        "{error}"
    );
}

#[test]
fn refuses_a_path_that_cannot_be_made() {
    let error = EmbeddedTokenStore::open(Path::new("/dev/null/tokens.redb"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/dev/null/tokens.redb cannot be opened"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn lets_only_its_owner_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let _store = EmbeddedTokenStore::open(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// A disk in memory that fails to flush when told to.
#[derive(Debug)]
struct FailingDisk {
    disk: InMemoryBackend,
    fails: Arc<AtomicBool>,
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("disk on fire"));
        }
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.disk.write(offset, data)
    }
}

#[tokio::test]
async fn stops_for_good_when_a_commit_fails() {
    let fails = Arc::new(AtomicBool::new(false));
    let disk = FailingDisk {
        disk: InMemoryBackend::new(),
        fails: Arc::clone(&fails),
    };
    let database = Database::builder().create_with_backend(disk).unwrap();
    let store = EmbeddedTokenStore::over(database, Path::new("tokens.redb")).unwrap();
    store.insert(token_issued_at(START).1).await.unwrap();
    assert_eq!(store.health().verify(), Ok(()));

    fails.store(true, Ordering::SeqCst);
    assert_eq!(
        store.insert(token_issued_at(START).1).await,
        Err(StoreError::Failed)
    );
    store.health().stopped().await;
    assert_eq!(store.health().verify(), Err(StoreError::Failed));
    fails.store(false, Ordering::SeqCst);
    assert_eq!(
        store.insert(token_issued_at(START).1).await,
        Err(StoreError::Failed)
    );
    // Which ends the service, so that it is started again.
    let ended = crate::keep_store(Arc::new(store), Shutdown::new()).await;
    assert!(
        ended
            .unwrap_err()
            .to_string()
            .contains("cannot be written any more")
    );
}
