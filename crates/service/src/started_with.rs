//! What has changed in a configuration file since the start, of that which only a start puts in force.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::configuration::{ConfigurationError, read_toml};

/// The configuration file that a service started with; never shown, for some of its values are secret.
pub struct StartedWith {
    file: PathBuf,
    table: Table,
    followed: &'static [&'static str],
}

impl StartedWith {
    /// Reads the file, whose sections `followed` the service puts in force while it runs.
    ///
    /// # Errors
    ///
    /// As [`read_toml`].
    pub fn read(file: &Path, followed: &'static [&'static str]) -> Result<Self, ConfigurationError> {
        Ok(Self {
            file: file.to_path_buf(),
            table: read_toml(file)?,
            followed,
        })
    }

    /// The file itself.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Says in the log which keys have another value in the file by now and wait for the next start: nobody should
    /// believe that a value is in force because it stands there. A file that is no TOML has none; whoever reads it says
    /// what is wrong with it.
    pub fn warn_of_waiting_keys(&self) {
        let Ok(now) = read_toml(&self.file) else {
            return;
        };
        let (file, waiting) = (self.file.display(), self.waiting_keys(&now).join(", "));
        if !waiting.is_empty() {
            tracing::warn!(
                configuration.keys = waiting,
                "{file}: {waiting} changed and will be in force from the next start on"
            );
        }
    }

    fn waiting_keys(&self, now: &Table) -> Vec<String> {
        let mut changed = Vec::new();
        compare("", &self.table, now, &mut changed);
        changed.retain(|key| {
            let section = key.split('.').next().unwrap_or(key);
            !self.followed.contains(&section)
        });
        changed
    }
}

impl std::fmt::Debug for StartedWith {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StartedWith")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Notes the dotted keys that differ, down to the last section that both tables have.
fn compare(section: &str, before: &Table, after: &Table, changed: &mut Vec<String>) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let path = match section {
            "" => key.clone(),
            _ => format!("{section}.{key}"),
        };
        match (before.get(key), after.get(key)) {
            (Some(Value::Table(before)), Some(Value::Table(after))) => {
                compare(&path, before, after, changed);
            }
            (before, after) if before == after => {}
            _ => changed.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"
        issuer = "https://login.example.com"
        [tokens]
        lifetime = "5m"
        [client_certificates.header]
        name = "X-Client-Cert"
        [store]
        url = "postgres://certbound:secret@localhost/certbound"
        [[clients]]
        client_id = "one"
        [[issuers]]
        issuer = "https://issuer.example.com"
    "#;

    fn waiting_keys(now: &str) -> Vec<String> {
        let started_with = StartedWith {
            file: PathBuf::new(),
            table: BEFORE.parse().unwrap(),
            followed: &["clients", "outbound_tls"],
        };
        started_with.waiting_keys(&now.parse().unwrap())
    }

    #[test]
    fn names_what_has_changed_and_waits_and_shows_no_value() {
        let now = BEFORE
            .replace("5m", "10m")
            .replace("secret", "other")
            .replace("X-Client-Cert", "Client-Cert")
            .replace("issuer.example.com", "other.example.com")
            .replace("[store]", "[limits]\ntoken_requests_per_client = 5\n[store]");
        assert_eq!(
            waiting_keys(&now),
            [
                "client_certificates.header.name",
                "issuers",
                "limits",
                "store.url",
                "tokens.lifetime"
            ]
        );
    }

    #[test]
    fn names_nothing_that_has_not_changed_or_is_followed() {
        let followed = BEFORE.replace("\"one\"", "\"other\"") + "\n[outbound_tls]\ntrust = ['root.pem']";
        let spelled_otherwise = BEFORE.replace("issuer =", "# A comment.\nissuer   =");
        for now in [BEFORE, &followed, &spelled_otherwise] {
            assert_eq!(waiting_keys(now), [""; 0], "{now}");
        }
    }
}
