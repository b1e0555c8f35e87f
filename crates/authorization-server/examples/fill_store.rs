//! Fills an embedded token store with live tokens, and says at every power of ten what one more costs.
//!
//! `cargo run --release -p authorization-server --example fill_store -- FILE COUNT` prints a line of JSON at each power
//! of ten and at the end: the file's and the process's size, and the CPU time of the whole process for one durable
//! issue, 32 of them at once, and for one lookup of any token. `FILE.tokens` then names up to 20,000 of the tokens,
//! spread evenly, for an authorization server that is started on the file.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use authorization_server::token_store::{EmbeddedTokenStore, TokenStore};
use oauth_core::access_token::{AccessToken, SECRET_LENGTH, TokenRecord};
use oauth_core::confirmation::Confirmation;
use oauth_core::revocation::CertificateId;
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::{NoContext, Uuid};

/// As long as the authorization server gives at most.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Tokens in hand while filling: fewer than the store's queue holds.
const AT_ONCE: u64 = 2000;
/// Tokens in hand while measuring: as many as connections in the benchmark.
const CONNECTIONS: u64 = 32;
const MEASURED: u64 = 9_600;
/// Many times what the server keeps in memory of records and of answers, so that most look-ups are the store's.
const MOST_NAMED: usize = 400_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().context("usage: fill_store FILE COUNT")?);
    let count = arguments
        .next()
        .context("usage: fill_store FILE COUNT")?
        .parse()?;
    let mut filling = Filling {
        store: Arc::new(EmbeddedTokenStore::open(&file)?),
        stored: 0,
        tokens: Vec::new(),
        apart: 1,
        file,
    };
    let mut step = 1000;
    while step < count {
        filling.until(step).await?;
        step *= 10;
    }
    filling.until(count).await?;
    filling.name_tokens()
}

struct Filling {
    file: PathBuf,
    store: Arc<dyn TokenStore>,
    stored: u64,
    /// Some of them, as many apart as is said next.
    tokens: Vec<AccessToken>,
    apart: u64,
}

impl Filling {
    /// Fills the store up to so many tokens, and measures there.
    async fn until(&mut self, count: u64) -> anyhow::Result<()> {
        let filled = count - MEASURED.min(count / 2);
        while self.stored < filled {
            self.issue(AT_ONCE.min(filled - self.stored)).await?;
        }
        let (stored, before) = (self.stored, cpu_time()?);
        while self.stored < count {
            self.issue(CONNECTIONS.min(count - self.stored)).await?;
        }
        let issue = micros_each(before, self.stored - stored)?;
        let before = cpu_time()?;
        for index in 0..MEASURED {
            let spread = usize::try_from(index * 7919)? % self.tokens.len();
            let found = self.store.find(&self.tokens[spread]).await?;
            found.context("a token that was stored is not found")?;
        }
        let lookup = micros_each(before, MEASURED)?;
        let line = json!({
            "tokens": self.stored,
            "file_bytes": fs::metadata(&self.file)?.len(),
            "resident_bytes": resident_bytes()?,
            "issue_cpu_us": issue,
            "lookup_cpu_us": lookup,
        });
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    }

    async fn issue(&mut self, count: u64) -> anyhow::Result<()> {
        let mut issuing = JoinSet::new();
        for index in 0..count {
            let (token, record) = token()?;
            if (self.stored + index).is_multiple_of(self.apart) {
                self.tokens.push(token);
            }
            let store = Arc::clone(&self.store);
            issuing.spawn(async move { store.insert(record.into()).await });
        }
        while let Some(issued) = issuing.join_next().await {
            issued??;
        }
        self.stored += count;
        if self.tokens.len() > MOST_NAMED {
            self.tokens = self.tokens.drain(..).step_by(2).collect();
            self.apart *= 2;
        }
        Ok(())
    }

    fn name_tokens(&self) -> anyhow::Result<()> {
        let mut name = self.file.clone().into_os_string();
        name.push(".tokens");
        let mut file = BufWriter::new(File::create(Path::new(&name))?);
        for token in &self.tokens {
            writeln!(file, "{}", token.expose())?;
        }
        Ok(file.flush()?)
    }
}

/// What the authorization server makes for the demo's partner.
fn token() -> anyhow::Result<(AccessToken, TokenRecord)> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (seconds, nanos) = (since_epoch.as_secs(), since_epoch.subsec_nanos());
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos));
    let mut secret = [0; SECRET_LENGTH];
    getrandom::fill(&mut secret)?;
    let token = AccessToken::new(id, secret);
    let issued_at = Timestamp::from_unix_seconds(seconds);
    let record = TokenRecord {
        id,
        digest: token.digest(),
        client_id: "partner-client".to_owned(),
        scope: "transactions".parse()?,
        audience: "api.example.com".to_owned(),
        confirmation: Some(Confirmation::new(CertificateThumbprint::of_der(b"a certificate"))),
        certificate: Some(CertificateId::new(b"its issuer", b"its number")),
        issued_at,
        expires_at: issued_at.plus(LIFETIME),
        revoked_at: None,
    };
    Ok((token, record))
}

/// CPU time of all threads so far.
fn cpu_time() -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = schedstat.split(' ').next().context("an empty schedstat")?;
        nanoseconds += on_cpu.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn micros_each(before: Duration, count: u64) -> anyhow::Result<f64> {
    let taken = cpu_time()?.saturating_sub(before).as_nanos();
    Ok((taken / u128::from(count)) as f64 / 1000.0)
}

fn resident_bytes() -> anyhow::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("an empty statm")?;
    Ok(pages.parse::<u64>()? * 4096)
}
