//! The certbound sample API, in the foreground.

use std::process::ExitCode;

use sample_api::Configuration;

fn main() -> ExitCode {
    mtls::install_crypto_provider();
    let about = service::About {
        name: "sample-api",
        description: "An API that lets in whoever holds a token and the certificate it is bound to.",
    };
    service::run(
        about,
        Configuration::load,
        |configuration| Some(configuration.listen.admin),
        sample_api::start,
    )
}
