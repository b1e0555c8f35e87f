//! Files that are read again when they change: on their own within seconds, and at once on SIGHUP.
//!
//! Whoever reads them swaps its state whole or keeps the old one. A failure is said once for each change, in the log
//! and in the metrics, and leaves the service ready: it works, with what it had.
//!
//! | metric | labels |
//! |---|---|
//! | `certbound_reloads_total` | `of` |
//! | `certbound_reload_failures_total` | `of` |
//! | `certbound_reload_last_success_timestamp_seconds` | `of`: the start counts |
//! | `certbound_certificate_expiry_seconds` | `file`: until the first certificate, authority or revocation list in it expires; below zero afterwards |

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};

/// Between two looks at the files. Polled by content, so that it works on every file system, and through the symbolic
/// links that orchestrators swap.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Everything a service reads again; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Reloads(Arc<Mutex<Vec<Reload>>>);

/// Files, what they held when they were last read, and how they are read again.
pub struct Reload {
    name: &'static str,
    files: Vec<PathBuf>,
    attempted: Fingerprint,
    action: Action,
    find: Box<dyn Fn() -> Option<Vec<PathBuf>> + Send>,
    expires_at: fn(&Path) -> Option<SystemTime>,
    ends: Vec<(PathBuf, SystemTime)>,
}

type Action = Box<dyn Fn() -> anyhow::Result<()> + Send>;

/// What some files held at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// Which files are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Time has passed: those that have changed.
    Poll,
    /// The operator asks: all of them.
    Demand,
}

impl Reload {
    /// Reads `files` again with `action` once they hold anything else than at `read`, the fingerprint taken before
    /// they were first read; `name` says what they are, in log and metrics.
    pub fn new(
        name: &'static str,
        files: Vec<PathBuf>,
        read: Fingerprint,
        action: impl Fn() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            name,
            files,
            attempted: read,
            action: Box::new(action),
            find: Box::new(|| None),
            expires_at: |_| None,
            ends: Vec::new(),
        }
    }

    /// Looks after the files that `find` names from each change on: one of them says which the others are. Where it
    /// names none, because that one cannot be understood, those of before are looked after.
    #[must_use]
    pub fn finding(mut self, find: impl Fn() -> Option<Vec<PathBuf>> + Send + 'static) -> Self {
        self.find = Box::new(find);
        self
    }

    /// Measures how long it is until each file expires, as `expires_at` finds it in the file.
    #[must_use]
    pub fn measuring(mut self, expires_at: fn(&Path) -> Option<SystemTime>) -> Self {
        self.expires_at = expires_at;
        self.find_ends();
        self
    }

    fn find_ends(&mut self) {
        let ends = self
            .files
            .iter()
            .filter_map(|file| Some((file.clone(), (self.expires_at)(file)?)));
        self.ends = ends.collect();
    }

    fn measure(&self) {
        let now = SystemTime::now();
        for (file, end) in &self.ends {
            let left = end.duration_since(now).map_or_else(
                |expired| -expired.duration().as_secs_f64(),
                |left| left.as_secs_f64(),
            );
            gauge!("certbound_certificate_expiry_seconds", "file" => file.display().to_string()).set(left);
        }
    }

    fn attempt(&mut self, occasion: Occasion) {
        self.attempt_changed(occasion);
        self.measure();
    }

    fn attempt_changed(&mut self, occasion: Occasion) {
        if occasion == Occasion::Poll && Fingerprint::of(&self.files) == self.attempted {
            return;
        }
        // Before they are read: what changes from here on is found at the next look.
        self.attempted = Fingerprint::of(&self.files);
        if let Some(files) = (self.find)() {
            // One that changed while it was read may name others by now: what was seen before is no longer met.
            if Fingerprint::of(&self.files) == self.attempted {
                self.attempted = Fingerprint::of(&files);
            }
            self.files = files;
        }
        self.find_ends();
        let name = self.name;
        match (self.action)() {
            Ok(()) => {
                counter!("certbound_reloads_total", "of" => name).increment(1);
                succeeded(name);
                tracing::info!(reload.of = name, "{name} read again and in force");
            }
            Err(error) => {
                counter!("certbound_reload_failures_total", "of" => name).increment(1);
                let reason = format!("{error:#}");
                tracing::error!(
                    reload.of = name,
                    reason,
                    "{name} cannot be read again, and what was in force stays so: {reason}"
                );
            }
        }
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reload")
            .field("name", &self.name)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Reloads {
    /// Looks after these files from now on.
    pub fn add(&self, reload: Reload) {
        reload.measure();
        counter!("certbound_reload_failures_total", "of" => reload.name).increment(0);
        succeeded(reload.name);
        self.lock().push(reload);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Reads what is to be read on this occasion; blocks while it does.
    pub fn attempt(&self, occasion: Occasion) {
        for reload in self.lock().iter_mut() {
            reload.attempt(occasion);
        }
    }

    /// Polls until it is dropped.
    pub(crate) async fn poll(self) -> anyhow::Result<()> {
        let mut interval = tokio::time::interval(POLL_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.attempt_aside(Occasion::Poll).await?;
        }
    }

    pub(crate) async fn attempt_aside(&self, occasion: Occasion) -> anyhow::Result<()> {
        let reloads = self.clone();
        Ok(tokio::task::spawn_blocking(move || reloads.attempt(occasion)).await?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Reload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fingerprint {
    /// What these files hold now; an absent file holds something of its own.
    pub fn of(files: &[PathBuf]) -> Self {
        let mut hasher = DefaultHasher::new();
        for file in files {
            std::fs::read(file)
                .map_err(|error| error.kind())
                .hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

fn succeeded(name: &'static str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("certbound_reload_last_success_timestamp_seconds", "of" => name).set(now.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::TempDir;

    use super::*;

    /// A file that must hold `good`, and how often it was looked at.
    struct Watched {
        reloads: Reloads,
        attempts: Arc<AtomicUsize>,
        path: PathBuf,
        _directory: TempDir,
    }

    impl Watched {
        fn new() -> Self {
            let directory = TempDir::new().unwrap();
            let path = directory.path().join("file");
            std::fs::write(&path, "good").unwrap();
            let files = vec![path.clone()];
            let (reloads, attempts) = (Reloads::default(), Arc::new(AtomicUsize::new(0)));
            let (counted, read) = (Arc::clone(&attempts), path.clone());
            reloads.add(Reload::new(
                "a watched file",
                files.clone(),
                Fingerprint::of(&files),
                move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    anyhow::ensure!(std::fs::read_to_string(&read)?.starts_with("good"), "not good");
                    Ok(())
                },
            ));
            Self {
                reloads,
                attempts,
                path,
                _directory: directory,
            }
        }

        fn attempts_after(&self, occasion: Occasion) -> usize {
            self.reloads.attempt(occasion);
            self.attempts.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn reads_files_again_once_for_each_change() {
        let watched = Watched::new();
        assert_eq!(watched.attempts_after(Occasion::Poll), 0);
        std::fs::write(&watched.path, "good as new").unwrap();
        assert_eq!(watched.attempts_after(Occasion::Poll), 1);
        assert_eq!(watched.attempts_after(Occasion::Poll), 1);
    }

    #[test]
    fn tries_broken_files_once_and_again_when_they_are_mended() {
        let watched = Watched::new();
        std::fs::write(&watched.path, "broken").unwrap();
        assert_eq!(watched.attempts_after(Occasion::Poll), 1);
        assert_eq!(watched.attempts_after(Occasion::Poll), 1);
        std::fs::remove_file(&watched.path).unwrap();
        assert_eq!(watched.attempts_after(Occasion::Poll), 2);
        std::fs::write(&watched.path, "good").unwrap();
        assert_eq!(watched.attempts_after(Occasion::Poll), 3);
    }

    #[test]
    fn reads_unchanged_files_again_when_asked_to() {
        let watched = Watched::new();
        assert_eq!(watched.attempts_after(Occasion::Demand), 1);
        assert_eq!(watched.attempts_after(Occasion::Poll), 1);
    }

    #[test]
    fn looks_after_the_files_that_the_first_one_names_by_now() {
        let directory = TempDir::new().unwrap();
        let (first, second) = (directory.path().join("first"), directory.path().join("second"));
        std::fs::write(&first, "alone").unwrap();
        let (named, files) = ([first.clone(), second.clone()], vec![first.clone()]);
        let find = move || match std::fs::read_to_string(&named[0]).ok()?.as_str() {
            "alone" => Some(named[..1].to_vec()),
            "both" => Some(named.to_vec()),
            _ => None,
        };
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let reload = Reload::new("named files", files.clone(), Fingerprint::of(&files), move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let reloads = Reloads::default();
        reloads.add(reload.finding(find));
        for (file, text, attempted) in [
            (&second, "not yet named", 0),
            (&first, "both", 1),
            (&second, "named", 2),
            (&first, "not understood", 3),
            (&second, "still named", 4),
            (&first, "alone", 5),
            (&second, "no longer named", 5),
        ] {
            std::fs::write(file, text).unwrap();
            reloads.attempt(Occasion::Poll);
            reloads.attempt(Occasion::Poll);
            assert_eq!(attempts.load(Ordering::SeqCst), attempted, "{text}");
        }
    }

    #[test]
    fn measures_how_long_it_is_until_a_file_expires() {
        crate::install_metrics();
        let directory = TempDir::new().unwrap();
        let files = vec![directory.path().join("certificate.pem")];
        let reload = Reload::new("a certificate", files.clone(), Fingerprint::of(&files), || Ok(()));
        let reloads = Reloads::default();
        reloads.add(reload.measuring(|_| Some(SystemTime::now() - Duration::from_secs(60))));
        let metrics = crate::admin::rendered();
        let name = files[0].display().to_string();
        let line = metrics.lines().find(|line| line.contains(&name)).unwrap();
        let (_, left) = line.rsplit_once(' ').unwrap();
        let left: f64 = left.parse().unwrap();
        assert!((-90.0..=-60.0).contains(&left), "{left}");
    }
}
