//! Where a configuration was read, to tell later what of it has changed.

use std::path::PathBuf;

use service::Fingerprint;
use toml::{Table, Value};

/// The sections that are put into force again while the gateway runs.
const FOLLOWED: [&str; 2] = ["passthrough", "routes"];

/// The file of a configuration, as it was when the gateway started.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    /// Taken before the file was read.
    pub(crate) read: Fingerprint,
    pub(crate) table: Table,
}

impl Origin {
    /// The keys that have another value in `table` than at the start, though they take effect at a start alone.
    pub(crate) fn keys_that_wait(&self, table: &Table) -> Vec<String> {
        let mut keys = Vec::new();
        note_differences("", &self.table, table, &mut keys);
        keys.retain(|key| !FOLLOWED.contains(&key.as_str()));
        keys
    }
}

fn note_differences(path: &str, before: &Table, after: &Table, keys: &mut Vec<String>) {
    let added = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(added) {
        let path = match path {
            "" => key.clone(),
            _ => format!("{path}.{key}"),
        };
        match (before.get(key), after.get(key)) {
            (Some(Value::Table(before)), Some(Value::Table(after))) => {
                note_differences(&path, before, after, keys);
            }
            (before, after) if before != after => keys.push(path),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "[listen]\npublic = 'a'\nadmin = 'b'\n[cache]\nmax_age = '60s'\n[[routes]]\npath = '/a'\n\
                          [[issuers]]\nissuer = 'i'\n[client_certificates.header]\nname = 'n'\n";

    fn keys_that_wait(after: &str) -> Vec<String> {
        let origin = Origin {
            path: PathBuf::new(),
            read: Fingerprint::of(&[]),
            table: BEFORE.parse().unwrap(),
        };
        origin.keys_that_wait(&after.parse().unwrap())
    }

    #[test]
    fn names_the_keys_that_wait_for_a_start_and_none_that_is_followed() {
        assert!(keys_that_wait(BEFORE).is_empty());
        let followed = BEFORE.replace("/a", "/b") + "[[passthrough]]\nhost = 'h'\n";
        assert!(keys_that_wait(&followed).is_empty());
        let changed = followed
            .replace("'b'", "'c'")
            .replace("'i'", "'j'")
            .replace("'n'", "'m'")
            .replace("[cache]\nmax_age = '60s'\n", "[tls]\nkey = 'k'\n");
        assert_eq!(
            keys_that_wait(&changed),
            [
                "cache",
                "client_certificates.header.name",
                "issuers",
                "listen.admin",
                "tls"
            ]
        );
    }
}
