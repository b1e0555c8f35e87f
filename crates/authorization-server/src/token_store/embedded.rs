//! The embedded engine: one redb file, read in place, with a journal beside it; both written by one thread.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{Database, DatabaseError, ReadableDatabase as _};
use uuid::Uuid;

use super::{AssertionDigest, AssertionUse, Pending, StoreError, StoreHealth, TokenStore, TokensOf};

mod assertions;
mod bucket;
mod encoding;
mod journal;
mod known;
mod mark;
mod recent;
mod writer;

use bucket::RecordError;
use encoding::EncodedRecord;
pub(super) use journal::Journal;
use known::Known;
use mark::Marks;
use recent::Recent;
use writer::{Change, Writer};

/// Bounds the memory for pages read; a token's record is asked for soon after it was written.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Token records in a file of their own, which one process at a time can use.
#[derive(Debug)]
pub struct EmbeddedTokenStore {
    // Before the database, so that the writing thread has ended when the file is closed.
    writer: Writer,
    recent: Arc<Recent>,
    known: Arc<Known>,
    marks: Arc<Marks>,
    database: Arc<Database>,
}

impl EmbeddedTokenStore {
    /// Opens the store at `path`, makes it where there is none, and checks it whole. Beside it lies `path` with
    /// `.journal` appended, which belongs to it: both are to be kept, or moved, together.
    ///
    /// # Errors
    ///
    /// [`OpenError`] names the path and the remedy: another process uses the file, or it is damaged.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        for file in [path, &Journal::path(path)] {
            make_file(file).map_err(|cause| OpenError::new(path, OpenFailure::Unusable(cause)))?;
        }
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)
            .map_err(|cause| OpenError::new(path, cause))?;
        let journal =
            Journal::recover(&database, &Journal::path(path)).map_err(|cause| OpenError::new(path, cause))?;
        Self::over(database, journal, path).map_err(|cause| OpenError::new(path, cause))
    }

    pub(super) fn over(database: Database, journal: Journal, path: &Path) -> Result<Self, RecordError> {
        let database = Arc::new(database);
        let (recent, known) = (Arc::new(Recent::default()), Arc::new(Known::default()));
        let marks = Arc::new(Marks::of(&database)?);
        let files = writer::Files {
            path: path.to_path_buf(),
            database: Arc::clone(&database),
            journal,
            recent: Arc::clone(&recent),
            known: Arc::clone(&known),
            marks: Arc::clone(&marks),
        };
        Ok(Self {
            writer: Writer::start(files)?,
            recent,
            known,
            marks,
            database,
        })
    }

    async fn write(&self, change: Change) -> Result<(), StoreError> {
        self.writer.write(change).await.map(|_| ())
    }

    fn read(&self, id: Uuid) -> Result<Option<Arc<TokenRecord>>, RecordError> {
        let record = self.known.get_or_read(id, || match self.recent.get(id) {
            Some(record) => record.decode().map(Some),
            // What has left is in the file by now.
            None => bucket::read(&self.database.begin_read().map_err(RecordError::file)?, id),
        })?;
        Ok(record.map(|record| self.marks.apply(record)))
    }

    /// From here on every record is read where it lies.
    #[cfg(test)]
    pub(super) fn forget_all(&self) {
        self.known.forget_all();
    }

    #[cfg(test)]
    pub(super) fn database(&self) -> &Database {
        &self.database
    }
}

impl TokenStore for EmbeddedTokenStore {
    fn insert(&self, record: Arc<TokenRecord>) -> Pending<'_, ()> {
        let change = Change::Insert(Arc::new(EncodedRecord::of(&record)));
        Box::pin(async move {
            self.write(change).await?;
            self.known.add(record);
            Ok(())
        })
    }

    fn record(&self, id: Uuid) -> Pending<'_, Option<Arc<TokenRecord>>> {
        // Where no revocation can be written any more, nothing is called active. Reading takes microseconds, from memory
        // as a rule: not worth a thread.
        let read = self.writer.verify().and_then(|()| {
            self.read(id).map_err(|error| {
                tracing::error!(reason = %error, "the token store cannot be read: {error}");
                StoreError::Failed
            })
        });
        Box::pin(std::future::ready(read))
    }

    fn revoke(&self, id: Uuid, now: Timestamp) -> Pending<'_, ()> {
        Box::pin(self.write(Change::Revoke { id, now }))
    }

    fn revoke_all(&self, of: TokensOf, now: Timestamp) -> Pending<'_, ()> {
        Box::pin(self.write(Change::RevokeAll { of, now }))
    }

    fn remember_assertion(
        &self,
        assertion: AssertionDigest,
        expires_at: Timestamp,
    ) -> Pending<'_, AssertionUse> {
        let change = Change::RememberAssertion {
            assertion,
            expires_at,
        };
        Box::pin(async move { self.writer.write(change).await.map(AssertionUse::from) })
    }

    /// Drops every hour of issue that holds expired tokens alone: a table each, whatever is in it.
    fn purge(&self, now: Timestamp) -> Pending<'_, ()> {
        Box::pin(self.write(Change::Purge { now }))
    }

    fn health(&self) -> StoreHealth {
        self.writer.health()
    }
}

/// Makes the file, for its owner alone, and its directory; both are on disk when this returns.
fn make_file(path: &Path) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => File::open(directory)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("store.path: {} {cause}", path.display())]
pub struct OpenError {
    path: PathBuf,
    cause: Box<OpenFailure>,
}

impl OpenError {
    fn new(path: &Path, cause: impl Into<OpenFailure>) -> Self {
        Self {
            path: path.to_path_buf(),
            cause: Box::new(cause.into()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum OpenFailure {
    #[error(
        "is in use: another authorization-server is using it; stop that one, or give this one a path of its own"
    )]
    InUse,
    #[error(
        "cannot be opened: {0}; give this process's user the right to read and write it and its directory"
    )]
    Unusable(io::Error),
    #[error(
        "is damaged or no token store ({0}); restore it, or move it away: its tokens are lost and clients obtain new ones"
    )]
    Damaged(RecordError),
}

impl From<DatabaseError> for OpenFailure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::Storage(redb::StorageError::Io(cause)) if is_refusal(&cause) => {
                Self::Unusable(cause)
            }
            other => Self::Damaged(RecordError::file(other)),
        }
    }
}

impl From<RecordError> for OpenFailure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Journal(cause) => Self::Unusable(cause),
            other => Self::Damaged(other),
        }
    }
}

fn is_refusal(cause: &io::Error) -> bool {
    !matches!(
        cause.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
