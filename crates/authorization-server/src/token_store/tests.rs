//! One suite for both engines, and what is peculiar to each.

use std::sync::Arc;

use oauth_core::access_token::SECRET_LENGTH;
use oauth_core::confirmation::Confirmation;
use oauth_core::revocation::CertificateId;
use oauth_core::thumbprint::CertificateThumbprint;
use uuid::NoContext;

use super::*;

pub(crate) mod cluster;
mod embedded;
mod postgres;
pub(crate) mod shared;
mod suite;

const HOUR: u64 = 60 * 60;
const START: u64 = 500_000 * HOUR;
const LIFETIME: Duration = Duration::from_secs(900);

fn token_issued_at(seconds: u64) -> (AccessToken, TokenRecord) {
    let issued_at = Timestamp::from_unix_seconds(seconds);
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0));
    let token = AccessToken::new(id, [7; SECRET_LENGTH]);
    let record = TokenRecord {
        id,
        digest: token.digest(),
        client_id: "partner-client".to_owned(),
        scope: "transactions".parse().unwrap(),
        audience: "api.example.com".to_owned(),
        confirmation: Some(Confirmation::new(CertificateThumbprint::of_der(b"certificate"))),
        certificate: Some(CertificateId::new(b"issuer", b"1")),
        issued_at,
        expires_at: issued_at.plus(LIFETIME),
        revoked_at: None,
    };
    (token, record)
}

pub(crate) fn record_issued_at(seconds: u64) -> TokenRecord {
    token_issued_at(seconds).1
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

async fn find(store: &Arc<dyn TokenStore>, token: &AccessToken) -> Option<TokenRecord> {
    store.find(token).await.unwrap().map(Arc::unwrap_or_clone)
}
