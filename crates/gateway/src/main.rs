//! The certbound gateway: one public port, pass-through or termination, the binding checked on every request.

use std::process::ExitCode;

use gateway::Configuration;
use service::About;

fn main() -> ExitCode {
    mtls::install_crypto_provider();
    let about = About {
        name: "gateway",
        description: "One public port: connections passed through or terminated, every token's binding checked.",
    };
    service::run(
        about,
        Configuration::load,
        |configuration| Some(configuration.admin_address()),
        gateway::start,
    )
}
