//! What is peculiar to the file: what a crash leaves in it, what it is refused for, how large it gets.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{self, SHA256};
use futures_util::future::join_all;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _, StorageBackend, TableDefinition, TableHandle as _};
use service::Shutdown;
use tempfile::TempDir;
use tokio::task::unconstrained;

use super::super::embedded::Journal;
use super::*;

fn open(path: &Path) -> Arc<EmbeddedTokenStore> {
    Arc::new(EmbeddedTokenStore::open(path).unwrap())
}

/// What lies on disk, whatever is remembered of it.
async fn find(store: &Arc<EmbeddedTokenStore>, token: &AccessToken) -> Option<TokenRecord> {
    store.forget_all();
    let store: Arc<dyn TokenStore> = store.clone();
    super::find(&store, token).await
}

fn tables(store: &EmbeddedTokenStore) -> Vec<String> {
    let transaction = store.database().begin_read().unwrap();
    let tables = transaction
        .list_tables()
        .unwrap()
        .map(|table| table.name().to_owned());
    tables.filter(|name| name.starts_with("tokens-")).collect()
}

/// The file and its journal, as they lie there.
fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    std::fs::copy(Journal::path(from), Journal::path(to)).unwrap();
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
    store.insert(kept_record.clone().into()).await.unwrap();
    store.insert(revoked_record.into()).await.unwrap();
    store
        .revoke(revoked.id(), Timestamp::from_unix_seconds(START + 2))
        .await
        .unwrap();
    copy(&path, &crashed);
    let store = open(&crashed);
    assert_eq!(find(&store, &kept).await, Some(kept_record));
    let found = find(&store, &revoked).await.unwrap();
    assert_eq!(found.revoked_at, Some(Timestamp::from_unix_seconds(START + 2)));
}

#[tokio::test]
async fn commits_many_changes_at_once() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let tokens: Vec<_> = (0..500).map(|second| token_issued_at(START + second)).collect();
    let commits_before = commits(&store);
    // The writing thread has to wait for this transaction; meanwhile the changes gather.
    let in_the_way = store.database().begin_write().unwrap();
    let purging = store.purge(at(START));
    let inserting = unconstrained(join_all(
        tokens
            .iter()
            .map(|(_, record)| store.insert(record.clone().into())),
    ));
    let release = async {
        tokio::task::yield_now().await;
        in_the_way.abort().unwrap();
    };
    let (purged, results, ()) = tokio::join!(purging, inserting, release);
    assert_eq!(purged, Ok(()));
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
    store.health().commits()
}

#[tokio::test]
async fn purges_only_hours_in_which_every_token_has_expired() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("tokens.redb"));
    let (old, old_record) = token_issued_at(START);
    let (late, late_record) = token_issued_at(START + HOUR - 1);
    let (young, young_record) = token_issued_at(START + HOUR);
    for record in [&late_record, &old_record, &young_record] {
        store.insert(record.clone().into()).await.unwrap();
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
#[tokio::test]
async fn lets_only_its_owner_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let _store = EmbeddedTokenStore::open(&path).unwrap();
    for file in [&path, &Journal::path(&path)] {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
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
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    std::fs::write(Journal::path(&path), "").unwrap();
    let journal = Journal::recover(&database, &Journal::path(&path)).unwrap();
    let store = EmbeddedTokenStore::over(database, journal, &path).unwrap();
    store.insert(token_issued_at(START).1.into()).await.unwrap();
    assert_eq!(store.health().verify(), Ok(()));

    fails.store(true, Ordering::SeqCst);
    assert_eq!(store.purge(at(START)).await, Err(StoreError::Failed));
    store.health().stopped().await;
    assert_eq!(store.health().verify(), Err(StoreError::Failed));
    fails.store(false, Ordering::SeqCst);
    assert_eq!(
        store.insert(token_issued_at(START).1.into()).await,
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

#[tokio::test]
async fn stops_for_good_when_the_journal_cannot_be_written() {
    let database = Database::builder()
        .create_with_backend(InMemoryBackend::new())
        .unwrap();
    let store =
        EmbeddedTokenStore::over(database, Journal::on_a_full_disk(), Path::new("tokens.redb")).unwrap();
    let (token, record) = token_issued_at(START);
    assert_eq!(store.insert(record.into()).await, Err(StoreError::Failed));
    store.health().stopped().await;
    // Nothing is called active that could not be revoked.
    assert_eq!(store.record(token.id()).await, Err(StoreError::Failed));
    assert_eq!(store.purge(at(START)).await, Err(StoreError::Failed));
}

/// Where a group ends that begins there: its length stands in front of its digest.
fn end_of_group(journal: &[u8], begin: usize) -> usize {
    let length = journal[begin..][..4].try_into().unwrap();
    begin + 36 + usize::try_from(u32::from_be_bytes(length)).unwrap()
}

/// A crash amid an append: its group was never answered; those before it were.
#[tokio::test]
async fn finds_every_whole_group_of_a_journal_and_no_part_of_one() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = open(&path);
    let (whole, whole_record) = token_issued_at(START);
    let (torn, torn_record) = token_issued_at(START);
    store.insert(whole_record.clone().into()).await.unwrap();
    store.insert(torn_record.clone().into()).await.unwrap();
    let journal = std::fs::read(Journal::path(&path)).unwrap();
    let between = end_of_group(&journal, 0);
    let end = end_of_group(&journal, between);
    let mut damaged = journal.clone();
    damaged[between + 40] ^= 1;
    let crashed = directory.path().join("crashed.redb");
    for (left, found) in [
        (&journal[..], Some(torn_record.clone())),
        (&journal[..end], Some(torn_record)),
        (&journal[..end - 1], None),
        (&journal[..between + 35], None),
        (&journal[..between + 2], None),
        (&damaged[..], None),
    ] {
        copy(&path, &crashed);
        std::fs::write(Journal::path(&crashed), left).unwrap();
        let store = open(&crashed);
        assert_eq!(find(&store, &whole).await.as_ref(), Some(&whole_record));
        assert_eq!(find(&store, &torn).await, found, "{}", left.len());
    }
}

/// What was taken in, and changed since, is not taken in again; nor by a file that it does not belong to.
#[tokio::test]
async fn ignores_a_journal_of_another_time_or_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = open(&path);
    let (token, record) = token_issued_at(START);
    store.insert(record.into()).await.unwrap();
    let journal = std::fs::read(Journal::path(&path)).unwrap();
    store.revoke(token.id(), at(START + 1)).await.unwrap();
    drop(store);
    std::fs::write(Journal::path(&path), &journal).unwrap();
    let found = find(&open(&path), &token).await.unwrap();
    assert_eq!(found.revoked_at, Some(at(START + 1)));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(Journal::path(&path), &journal).unwrap();
    assert_eq!(find(&open(&path), &token).await, None);
}

#[tokio::test]
async fn empties_the_journal_into_the_file_when_it_is_full_and_when_it_is_closed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = open(&path);
    let tokens: Vec<_> = (0..14_400)
        .map(|second| token_issued_at(START + second))
        .collect();
    for group in tokens.chunks(900) {
        let inserted = join_all(
            group
                .iter()
                .map(|(_, record)| store.insert(record.clone().into())),
        )
        .await;
        assert!(inserted.iter().all(Result::is_ok));
    }
    let journal = size(&Journal::path(&path));
    assert!((1..2 * 1024 * 1024).contains(&journal), "{journal}");
    let crashed = directory.path().join("crashed.redb");
    copy(&path, &crashed);
    drop(store);
    std::fs::remove_file(Journal::path(&path)).unwrap();
    for store in [open(&path), open(&crashed)] {
        for (token, record) in &tokens {
            assert_eq!(find(&store, token).await.as_ref(), Some(record));
        }
    }
}

/// The file of an older version: no journal, records in JSON.
fn make_file_of_older_version(path: &Path, record: &TokenRecord) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let hour = format!("tokens-{}", START / HOUR);
    let records = TableDefinition::<u128, &[u8]>::new(&hour);
    let buckets = TableDefinition::<u64, u64>::new("buckets");
    let json = serde_json::to_vec(record).unwrap();
    let mut table = transaction.open_table(records).unwrap();
    table.insert(record.id.as_u128(), json.as_slice()).unwrap();
    drop(table);
    let mut table = transaction.open_table(buckets).unwrap();
    table
        .insert(START / HOUR, record.expires_at.as_unix_seconds())
        .unwrap();
    drop(table);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn reads_revokes_and_purges_what_an_older_version_wrote() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let (token, record) = token_issued_at(START);
    make_file_of_older_version(&path, &record);
    let store = open(&path);
    assert_eq!(find(&store, &token).await.as_ref(), Some(&record));
    store.revoke(token.id(), at(START + 1)).await.unwrap();
    drop(store);
    let store = open(&path);
    let found = find(&store, &token).await.unwrap();
    assert_eq!(
        found,
        TokenRecord {
            revoked_at: Some(at(START + 1)),
            ..record.clone()
        }
    );
    store.purge(record.expires_at).await.unwrap();
    assert_eq!((find(&store, &token).await, tables(&store).len()), (None, 0));
}

/// A group as an older version wrote it: its records as one array in JSON.
fn group_of_older_version(generation: u64, records: &[&TokenRecord]) -> Vec<u8> {
    let body = serde_json::to_vec(records).unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let digest = digest::digest(&SHA256, &[&generation.to_be_bytes()[..], &body].concat());
    [&length[..], digest.as_ref(), &body].concat()
}

/// A crash, and then a newer version.
#[tokio::test]
async fn takes_in_the_journal_of_an_older_version() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = open(&path);
    let generation = {
        let transaction = store.database().begin_read().unwrap();
        let table = transaction.open_table(TableDefinition::<(), u64>::new("journal_generation"));
        table.unwrap().get(()).unwrap().unwrap().value()
    };
    let crashed = directory.path().join("crashed.redb");
    copy(&path, &crashed);
    let [(one, one_record), (two, two_record), (three, three_record)] =
        [0, 1, 2].map(|second| token_issued_at(START + second));
    let groups = [
        group_of_older_version(generation, &[&one_record, &two_record]),
        group_of_older_version(generation, &[&three_record]),
    ];
    std::fs::write(Journal::path(&crashed), groups.concat()).unwrap();
    let store = open(&crashed);
    for (token, record) in [(one, one_record), (two, two_record), (three, three_record)] {
        assert_eq!(find(&store, &token).await, Some(record));
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

async fn issue(store: &EmbeddedTokenStore, hour: u64, count: u64) {
    let records = (0..count).map(|_| token_issued_at(START + hour * HOUR).1);
    let inserted = join_all(records.map(|record| store.insert(record.into()))).await;
    assert!(inserted.iter().all(Result::is_ok));
}

#[tokio::test]
async fn stays_of_the_same_size_under_constant_issue() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = open(&path);
    let mut sizes = Vec::new();
    for hour in 0..24 {
        issue(&store, hour, 1_000).await;
        store.purge(at(START + hour * HOUR)).await.unwrap();
        sizes.push(size(&path));
    }
    let (first, largest) = (sizes[3], sizes.iter().max().unwrap());
    assert!(*largest <= 2 * first, "{sizes:?}");
}

/// Bytes of memory in use by this process.
fn memory_in_use() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
#[ignore = "takes minutes, and measures the whole process: cargo test -p authorization-server -- --ignored million"]
async fn keeps_a_million_records_in_bounded_memory() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.redb");
    let before = memory_in_use();
    let store = open(&path);
    for batch in 0..250 {
        // As they come in: later tokens have later ids.
        let records = (0..4_000).map(|index| token_issued_at(START + (batch * 4_000 + index) / 300).1);
        let inserted = join_all(records.map(|record| store.insert(record.into()))).await;
        assert!(inserted.iter().all(Result::is_ok));
    }
    drop(store);
    let store = open(&path);
    let (token, record) = token_issued_at(START);
    store.insert(record.clone().into()).await.unwrap();
    assert_eq!(find(&store, &token).await, Some(record));
    let taken = memory_in_use().saturating_sub(before);
    assert!(taken < 256 * 1024 * 1024, "{taken}");
    assert!(
        size(&path) > taken,
        "the file is larger than what was kept of it in memory"
    );
    store.purge(at(START + 2 * HOUR)).await.unwrap();
    assert_eq!(find(&store, &token).await, None);
}
