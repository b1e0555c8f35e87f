//! Reading a configuration file, and saying everything that is wrong with it at once.
//!
//! A configuration error stops the service at start; it never opens a door.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Where a service's configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationSource {
    /// Nothing was named: the demo registrations apply, on loopback only.
    Demo,
    /// A TOML file, and nothing besides.
    File(PathBuf),
}

impl fmt::Display for ConfigurationSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demo => formatter.write_str("the demo configuration"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Reads a TOML file into its raw form.
///
/// # Errors
///
/// Names the file, and the line and column of what cannot be understood; an unknown key is listed with those known.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigurationError> {
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigurationError::Unreadable {
        path: path.to_path_buf(),
        cause,
    })?;
    toml::from_str(&text).map_err(|error| ConfigurationError::NotUnderstood {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

/// Collects everything that is wrong with a configuration, by key.
///
/// ```
/// # use service::Problems;
/// let mut problems = Problems::new();
/// let port = problems.take("listen.port", "80a".parse::<u16>());
/// if !"example".contains('.') {
///     problems.add("issuer", "is not a host name; write it whole, such as login.example.com");
/// }
/// assert_eq!(port, None);
/// assert_eq!(problems.conclude(port).unwrap_err().problems().len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key's path, such as `tls.certificate` or `clients[2].scope`.
    pub key: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with a key, and what to do about it.
    pub fn add(&mut self, key: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem {
            key: key.into(),
            message: message.to_string(),
        });
    }

    /// The value of a key, or `None` with its error noted.
    pub fn take<T, E: fmt::Display>(&mut self, key: impl Into<String>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(key, error)).ok()
    }

    /// `value`, if nothing is wrong.
    ///
    /// # Errors
    ///
    /// All problems noted, if there is any.
    pub fn into_result<T>(self, value: T) -> Result<T, ConfigurationError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(ConfigurationError::Invalid(self.0))
        }
    }

    /// The value, made of what [`Self::take`] returned, if nothing is wrong and it is there.
    ///
    /// # Errors
    ///
    /// All problems noted, if there is any. Fails closed: no value is an error, noted or not.
    pub fn conclude<T>(mut self, value: Option<T>) -> Result<T, ConfigurationError> {
        match value {
            Some(value) => self.into_result(value),
            None => {
                if self.0.is_empty() {
                    self.add("(configuration)", "is incomplete");
                }
                Err(ConfigurationError::Invalid(self.0))
            }
        }
    }
}

/// Why a configuration cannot be used; a service that meets one exits with 64.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file is absent or unreadable.
    #[error("cannot read {}: {cause}; name an existing file with --config", path.display())]
    Unreadable {
        /// The file as it was named.
        path: PathBuf,
        /// What the operating system said; already part of the message.
        cause: io::Error,
    },
    /// The file is no TOML, or holds keys or types that are not known.
    #[error("{}: {reason}", path.display())]
    NotUnderstood {
        /// The file as it was named.
        path: PathBuf,
        /// Line, column and what was expected.
        reason: String,
    },
    /// The file is understood, and these values cannot be used.
    #[error("{}", listed(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigurationError {
    /// The problems, key by key; empty where the file could not be read that far.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            Self::Unreadable { .. } | Self::NotUnderstood { .. } => &[],
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem:".to_owned(),
        many => format!("{many} problems:"),
    };
    problems.iter().fold(count, |text, Problem { key, message }| {
        format!("{text}\n  {key}: {message}")
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        issuer: String,
    }

    fn read(text: &str) -> Result<Example, ConfigurationError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_toml(file.path())
    }

    #[test]
    fn accepts_a_file_of_known_keys() {
        assert_eq!(
            read("issuer = 'https://login.example.com'").unwrap().issuer,
            "https://login.example.com"
        );
    }

    #[test]
    fn refuses_an_unknown_key_with_its_line_and_the_known_ones() {
        let message = read("issuer = 'a'\nissuers = 'b'").unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
        assert!(
            message.contains("`issuers`") && message.contains("expected `issuer`"),
            "{message}"
        );
    }

    #[test]
    fn refuses_a_wrong_type_with_its_line_and_column() {
        let message = read("issuer = 5").unwrap_err().to_string();
        assert!(message.contains("line 1, column 10"), "{message}");
    }

    #[test]
    fn names_an_absent_file_and_the_remedy() {
        let message = read_toml::<Example>(Path::new("absent/gateway.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("absent/gateway.toml") && message.contains("--config"),
            "{message}"
        );
    }

    #[test]
    fn lists_every_problem_by_key() {
        let mut problems = Problems::new();
        problems.add("tls.certificate", "cannot be read");
        assert_eq!(
            problems.take("listen.tls", "127.0.0.1".parse::<std::net::SocketAddr>()),
            None
        );
        let error = problems.into_result(()).unwrap_err();
        assert_eq!(error.problems().len(), 2);
        assert_eq!(
            error.to_string(),
            "2 problems:\n  tls.certificate: cannot be read\n  listen.tls: invalid socket address syntax"
        );
    }

    #[test]
    fn gives_the_value_when_there_is_no_problem() {
        let mut problems = Problems::new();
        let address = problems.take("listen.tls", "127.0.0.1:1".parse::<std::net::SocketAddr>());
        assert_eq!(problems.conclude(address).unwrap().port(), 1);
    }

    #[test]
    fn gives_no_value_where_none_was_made() {
        assert!(Problems::new().conclude(None::<()>).is_err());
    }
}
