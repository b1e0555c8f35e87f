//! The connections to the database: how many, how long anything waits for them, and whether they work.
//!
//! After any failure a connection is thrown away, and the database asked whether it still answers. While it does
//! not, every call is refused at once, and one connection alone tries again, at growing intervals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use metrics::{counter, gauge};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::schema;
use crate::configuration::{Encryption, PostgresConfiguration};
use crate::token_store::StoreError;
use crate::token_store::health::{self, Condition};

/// Bounds what one server takes of the database's connections.
const MOST_CONNECTIONS: usize = 16;
/// Bounds for how long a request waits for the database, twice: for a connection, and for the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How often a database that answers is asked whether it still does.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
/// Between the first attempts to reach a database that does not answer; the pauses grow.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Bounds for how long the service stays away after the database has come back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Connections {
    pool: Pool,
    condition: watch::Sender<Condition>,
    /// Whether the tables are known to be there; a server may be started before its database.
    is_prepared: AtomicBool,
    latest_failure: Mutex<String>,
    /// Wakes whoever watches over the connections.
    doubt: Notify,
}

impl Connections {
    pub(super) fn new(
        configuration: &PostgresConfiguration,
        condition: watch::Sender<Condition>,
    ) -> Result<Self, Failure> {
        let pool = Pool::builder(manager(configuration)?)
            .max_size(MOST_CONNECTIONS)
            .timeouts(Timeouts {
                wait: Some(LONGEST_WAIT),
                create: Some(LONGEST_WAIT),
                recycle: Some(LONGEST_WAIT),
            })
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { prepare_session(client).await.map_err(HookError::Backend) })
            }))
            .build()?;
        Ok(Self {
            pool,
            condition,
            is_prepared: AtomicBool::new(false),
            latest_failure: Mutex::default(),
            doubt: Notify::new(),
        })
    }

    /// Makes or upgrades the tables where that is needed; until this has been done once, nothing else is.
    ///
    /// # Errors
    ///
    /// [`Failure`]; one that [may pass](Failure::may_pass) is tried again by [`watch_over`].
    pub(super) async fn prepare(&self) -> Result<(), Failure> {
        if !self.is_prepared.load(Ordering::Acquire) {
            schema::make_or_upgrade(&mut self.pool.get().await?).await?;
            self.is_prepared.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// A connection, which is to be given back to [`Self::done`].
    pub(super) async fn client(&self) -> Result<Client, StoreError> {
        self.verify_reachable()?;
        self.pool.get().await.map_err(|error| self.failed(&error.into()))
    }

    /// Takes back a connection, unless what was done with it has failed: then nobody knows what it is worth.
    pub(super) fn done<T>(&self, client: Client, result: Result<T, Failure>) -> Result<T, StoreError> {
        result.map_err(|failure| {
            drop(Object::take(client));
            self.failed(&failure)
        })
    }

    /// Refuses at once while the database is known not to answer.
    pub(super) fn verify_reachable(&self) -> Result<(), StoreError> {
        if self.condition.borrow().works {
            Ok(())
        } else {
            Err(StoreError::Failed)
        }
    }

    pub(super) fn count_commit(&self) {
        health::count_commit(&self.condition);
    }

    /// Says so in the log, and has the database asked whether it still answers.
    pub(super) fn failed(&self, failure: &Failure) -> StoreError {
        tracing::warn!(reason = %failure, "the token store failed: {failure}");
        counter!("certbound_authorization_server_store_failures_total").increment(1);
        self.doubt.notify_one();
        StoreError::Failed
    }

    async fn ask(&self) -> Result<(), Failure> {
        self.prepare().await?;
        let client = self.pool.get().await?;
        let answer = bounded(async { Ok(client.simple_query("SELECT 1").await?) }).await;
        if answer.is_err() {
            drop(Object::take(client));
        }
        answer.map(|_| ())
    }

    pub(super) fn note(&self, answer: &Result<(), Failure>) {
        gauge!("certbound_authorization_server_store_reachable").set(if answer.is_ok() { 1.0 } else { 0.0 });
        let worked = self.condition.borrow().works;
        let reason = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let is_news = self.is_news(&reason);
        if answer.is_ok() == worked && !is_news {
            return;
        }
        if answer.is_err() {
            tracing::error!(
                reason,
                "the token store cannot be used; requests are refused until it can: {reason}"
            );
        } else if !worked {
            tracing::info!("the token store works again");
        }
        if answer.is_err() {
            // Idle connections are worth nothing any more, and some do not know it yet.
            self.pool.retain(|_, _| false);
        }
        self.condition
            .send_modify(|condition| condition.works = answer.is_ok());
    }
}

impl Connections {
    /// Whether the latest failure was another one; of several in a row each is told once.
    fn is_news(&self, reason: &str) -> bool {
        let mut latest = self.latest_failure.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = !reason.is_empty() && *latest != reason;
        reason.clone_into(&mut latest);
        is_news
    }
}

/// Asks the database, as long as the store lives, whether it answers: from time to time, and after every failure.
pub(super) async fn watch_over(connections: Arc<Connections>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let answer = connections.ask().await;
        connections.note(&answer);
        if answer.is_ok() {
            pause = SHORTEST_PAUSE;
            tokio::select! {
                () = connections.doubt.notified() => {}
                () = sleep(WATCH_INTERVAL) => {}
            }
        } else {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What the work comes to, if it does in time.
pub(super) async fn bounded<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(LONGEST_WAIT, work).await.unwrap_or(Err(Failure::TooSlow))
}

fn manager(configuration: &PostgresConfiguration) -> Result<Manager, Failure> {
    let config = configuration.connection_config(LONGEST_WAIT)?;
    let manager_config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    Ok(match configuration.encryption()? {
        Encryption::Tls(tls) => Manager::from_config(config, *tls, manager_config),
        Encryption::None => Manager::from_config(config, tokio_postgres::NoTls, manager_config),
    })
}

/// The server gives up, too, on what nobody waits for any more; and it answers no commit before it is on disk.
async fn prepare_session(client: &tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    let set_timeout = format!("SET statement_timeout = {}", LONGEST_WAIT.as_millis());
    client.batch_execute(&set_timeout).await?;
    let answer = client.query_one("SHOW synchronous_commit", &[]).await?;
    if answer.try_get::<_, &str>(0)? == "off" {
        client.batch_execute("SET synchronous_commit = 'on'").await?;
    }
    Ok(())
}
