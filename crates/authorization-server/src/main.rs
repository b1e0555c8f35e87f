//! The certbound authorization server, in the foreground.

use std::process::ExitCode;

use authorization_server::Configuration;
use authorization_server::operations::OPERATIONS;
use service::{Commands, PlainCommand};

fn main() -> ExitCode {
    mtls::install_crypto_provider();
    let about = service::About {
        name: "authorization-server",
        description: "Issues opaque access tokens bound to client certificates, and says what they are worth.",
    };
    let client_secret = PlainCommand {
        name: "client-secret",
        about: "Make a client secret: prints it, for the client, and its hash, for the registration",
        run: authorization_server::client_secret::run,
    };
    let commands = Commands {
        operations: OPERATIONS,
        plain: &[client_secret],
    };
    service::run_with_commands(
        about,
        commands,
        Configuration::load,
        |configuration| Some(configuration.listen.admin),
        authorization_server::start,
    )
}
