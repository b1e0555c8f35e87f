//! The registrations follow the configuration file and the authorities that it names; what else stands there is for
//! the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use service::{ConfigurationError, Fingerprint, Reload, Running, StartedWith};

use crate::configuration::Configuration;
use crate::registrations::Registrations;
use crate::server::AuthorizationServer;

/// The configuration file that a server started with.
pub(crate) struct FollowedFile {
    started_with: StartedWith,
    files: Vec<PathBuf>,
    read: Fingerprint,
}

impl FollowedFile {
    /// To be taken before anything is read that the configuration names.
    ///
    /// # Errors
    ///
    /// Where the file can no longer be read.
    pub(crate) fn of(configuration: &Configuration, file: &Path) -> Result<Self, ConfigurationError> {
        let files = files(configuration, file);
        Ok(Self {
            read: Fingerprint::of(&files),
            files,
            started_with: StartedWith::read(file, &["clients", "outbound_tls"])?,
        })
    }

    /// Keeps the server's registrations up to date from now on.
    pub(crate) fn follow(self, running: &mut Running, server: &Arc<AuthorizationServer>) {
        let Self {
            started_with,
            files: at_start,
            read,
        } = self;
        let file = started_with.file().to_path_buf();
        let profile = server.configuration.profile;
        let named = move || Some(files(&Configuration::read_under(profile, &file).ok()?, &file));
        // The reload keeps nothing alive: it outlives the server's work.
        let server = Arc::downgrade(server);
        let read_again = move || match server.upgrade() {
            Some(server) => register_anew(&server, &started_with),
            None => Ok(()),
        };
        running.reload_on_change(Reload::new("the registrations", at_start, read, read_again).finding(named));
    }
}

/// The configuration file, and those that its registrations name.
fn files(configuration: &Configuration, file: &Path) -> Vec<PathBuf> {
    let anchors = configuration.client_trust.iter();
    let named = anchors
        .flat_map(|client| &client.files)
        .chain(&configuration.outbound_tls.trust);
    std::iter::once(file.to_path_buf())
        .chain(named.cloned())
        .collect()
}

fn register_anew(server: &AuthorizationServer, started_with: &StartedWith) -> anyhow::Result<()> {
    started_with.warn_of_waiting_keys();
    // A profile that has changed waits for the next start; what clients lose meanwhile does not.
    let configuration = Configuration::read_under(server.configuration.profile, started_with.file())?;
    server.register_anew(Registrations::load(&configuration)?);
    Ok(())
}
