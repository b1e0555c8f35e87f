//! Profiles: what a community of partners asks for beyond the specifications, held at start rather than hoped for.

use oauth_core::client::{ClientAuthenticationMethod, ClientKeys, ClientRegistration, TokenBinding};
use oauth_core::jwt::SignatureAlgorithm;
use serde::Deserialize;
use service::configuration::Problems;

/// What the whole server is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The specifications alone.
    #[default]
    None,
    /// FAPI 2.0: no client secrets, no unbound tokens, no RS256.
    ///
    /// [FAPI 2.0 Security Profile §5.3.2.1, §5.4.1](https://openid.net/specs/fapi-security-profile-2_0-final.html)
    Fapi2,
}

impl Profile {
    /// Whether signatures of this algorithm are made and accepted.
    pub(crate) fn admits(self, algorithm: SignatureAlgorithm) -> bool {
        match self {
            Self::None => true,
            Self::Fapi2 => algorithm != SignatureAlgorithm::RS256,
        }
    }

    pub(super) fn verify_signing(self, algorithm: SignatureAlgorithm, problems: &mut Problems) {
        if !self.admits(algorithm) {
            problems.add(
                "signing.algorithm",
                "is RS256, which the profile fapi2 does not admit; use ES256, PS256 or EdDSA",
            );
        }
    }

    /// Notes under `key` what the profile does not admit of a registration.
    pub(super) fn verify_client(self, client: &ClientRegistration, key: &str, problems: &mut Problems) {
        if self == Self::None {
            return;
        }
        if matches!(
            client.authentication,
            ClientAuthenticationMethod::ClientSecretBasic(_)
        ) {
            problems.add(
                key,
                "token_endpoint_auth_method: the profile fapi2 admits no client secrets; use tls_client_auth, \
                 self_signed_tls_client_auth or private_key_jwt",
            );
        }
        if let ClientAuthenticationMethod::PrivateKeyJwt(ClientKeys::Registered(keys)) =
            &client.authentication
            && !keys.algorithms().all(|algorithm| self.admits(algorithm))
        {
            problems.add(
                key,
                "jwks: a key is for RS256, which the profile fapi2 does not admit; register one for PS256, ES256 or \
                 EdDSA",
            );
        }
        let grant = client.grant.as_ref();
        if grant.is_some_and(|grant| grant.binding == TokenBinding::Unbound) {
            problems.add(
                key,
                "tls_client_certificate_bound_access_tokens: the profile fapi2 admits bound tokens alone; remove it",
            );
        }
        let resource_server = client.resource_server.as_ref();
        if resource_server
            .and_then(|server| server.signed_response_algorithm)
            .is_some_and(|algorithm| !self.admits(algorithm))
        {
            problems.add(
                key,
                "introspection_signed_response_alg: is RS256, which the profile fapi2 does not admit; use ES256, PS256 \
                 or EdDSA",
            );
        }
    }
}
