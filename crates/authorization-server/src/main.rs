//! The certbound authorization server, in the foreground.

use std::process::ExitCode;

use authorization_server::Configuration;
use authorization_server::operations::OPERATIONS;

fn main() -> ExitCode {
    mtls::install_crypto_provider();
    let about = service::About {
        name: "authorization-server",
        description: "Issues opaque access tokens bound to client certificates, and says what they are worth.",
    };
    service::run_with_operations(
        about,
        OPERATIONS,
        Configuration::load,
        |configuration| Some(configuration.listen.admin),
        authorization_server::start,
    )
}
