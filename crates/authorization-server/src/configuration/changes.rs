//! What has changed in a configuration file since the start, of that which only a start puts in force.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// What follows the file while the server runs.
const FOLLOWED: [&str; 2] = ["clients", "outbound_tls"];

/// The dotted keys that differ between two texts of a configuration and wait for the next start. A text that is no TOML
/// has none: whoever reads it says what is wrong with it.
pub(crate) fn keys_waiting_for_a_restart(started_with: &str, now: &str) -> Vec<String> {
    let (Ok(before), Ok(after)) = (started_with.parse::<Table>(), now.parse::<Table>()) else {
        return Vec::new();
    };
    let mut changed = Vec::new();
    compare("", &before, &after, &mut changed);
    changed.retain(|key| {
        let section = key.split('.').next().unwrap_or(key);
        !FOLLOWED.contains(&section)
    });
    changed
}

/// Values are compared and never kept: some are secret.
fn compare(section: &str, before: &Table, after: &Table, changed: &mut Vec<String>) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let path = if section.is_empty() {
            key.clone()
        } else {
            format!("{section}.{key}")
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

    const STARTED_WITH: &str = r#"
        issuer = "https://login.example.com"
        [tokens]
        lifetime = "5m"
        [store]
        url = "postgres://certbound:secret@localhost/certbound"
        [[clients]]
        client_id = "one"
    "#;

    #[test]
    fn names_what_has_changed_and_waits_and_shows_no_value() {
        let now = STARTED_WITH
            .replace("5m", "10m")
            .replace("secret", "other")
            .replace("[store]", "[limits]\ntoken_requests_per_client = 5\n[store]");
        assert_eq!(
            keys_waiting_for_a_restart(STARTED_WITH, &now),
            ["limits", "store.url", "tokens.lifetime"]
        );
    }

    #[test]
    fn names_nothing_that_has_not_changed_or_is_followed() {
        let followed = STARTED_WITH.replace("\"one\"", "\"other\"") + "[outbound_tls]\ntrust = ['root.pem']";
        let spelled_otherwise = STARTED_WITH.replace("issuer =", "# A comment.\nissuer   =");
        for now in [STARTED_WITH, &followed, &spelled_otherwise, "no TOML"] {
            assert_eq!(keys_waiting_for_a_restart(STARTED_WITH, now), [""; 0], "{now}");
        }
    }
}
