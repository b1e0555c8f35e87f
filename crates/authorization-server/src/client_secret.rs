//! Making client secrets: as strong as a key, since nobody has to remember them, and kept as hashes alone.

use std::io::{self, Write as _};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_core::client::ClientSecretDigest;
use zeroize::Zeroizing;

/// Twice what FAPI 2.0 §5.4.1 asks for, so that one round of SHA-256 is protection enough.
const SECRET_BYTES: usize = 32;

/// The subcommand `client-secret`: prints a new secret, for the client, and its hash, for the registration.
///
/// # Errors
///
/// Without randomness, or where standard output cannot be written.
pub fn run() -> anyhow::Result<()> {
    let secret = ClientSecret::random()?;
    let text = format!(
        "# For the client alone; it is kept nowhere else.\nclient_secret = \"{}\"\n\n\
         # For its registration here.\nclient_secret_hash = \"{}\"\n",
        *secret.0,
        secret.digest()
    );
    let text = Zeroizing::new(text);
    io::stdout()
        .write_all(text.as_bytes())
        .context("standard output cannot be written")
}

/// A client secret of 256 random bits.
struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    fn random() -> anyhow::Result<Self> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut *bytes)
            .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
    }

    fn digest(&self) -> ClientSecretDigest {
        ClientSecretDigest::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use oauth_core::client::{ClientMetadata, ClientRegistration};

    use super::*;

    /// O19, F12.
    #[test]
    fn makes_a_secret_that_no_two_clients_share_and_whose_hash_registers() {
        let (one, two) = (ClientSecret::random().unwrap(), ClientSecret::random().unwrap());
        assert_ne!(*one.0, *two.0);
        assert_eq!(
            URL_SAFE_NO_PAD.decode(one.0.as_bytes()).unwrap().len(),
            SECRET_BYTES
        );
        let registration = ClientRegistration::try_from(ClientMetadata {
            client_id: "foreign-gateway".to_owned(),
            token_endpoint_auth_method: "client_secret_basic".to_owned(),
            client_secret_hash: Some(one.digest().to_string()),
            ..ClientMetadata::default()
        });
        assert!(registration.is_ok(), "{registration:?}");
    }
}
