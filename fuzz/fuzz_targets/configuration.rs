//! Configuration files of the services: whatever stands in them, they are read or every problem is named.

#![no_main]

use libfuzzer_sys::fuzz_target;
use service::ConfigurationError;

fuzz_target!(|text: &str| {
    verify(gateway::Configuration::from_toml(text));
    verify(authorization_server::Configuration::from_toml(text));
    verify(sample_api::Configuration::from_toml(text));
});

fn verify<T>(read: Result<T, ConfigurationError>) {
    if let Err(error) = read {
        assert!(!error.to_string().is_empty());
        assert!(!matches!(&error, ConfigurationError::Invalid(problems) if problems.is_empty()));
    }
}
