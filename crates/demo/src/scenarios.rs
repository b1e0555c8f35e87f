//! What the partner does and what the thieves try, in the order of the story, each with what must come of it.

use std::io::Write;

use mtls::Alert;
use oauth_core::client_cert_header;
use pki::Member;
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    actor::{Answer, TRANSACTIONS},
    narration::{Attempt, Narration, Outcome},
    system::System,
};

/// A bearer token that nobody issued, of the right shape.
pub const MADE_UP_TOKEN: &str = "AZmxdFJ1f3uKXQ7D0m3l1QAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What must come of an attempt.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This status, without an OAuth error.
    Status(u16),
    /// This status with this `error`.
    Error(u16, &'static str),
    /// One of these TLS alerts.
    Alert(&'static [Alert]),
}

impl Expected {
    fn is_met_by(self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Status(expected), Answer::Http { status, .. }) => {
                *status == expected && answer.error().is_none()
            }
            (Self::Error(expected, error), Answer::Http { status, .. }) => {
                *status == expected && answer.error().as_deref() == Some(error)
            }
            (Self::Alert(expected), Answer::Refused(alert)) => expected.contains(alert),
            _ => false,
        }
    }
}

/// Tells the whole story.
///
/// # Errors
///
/// When the story cannot go on: no output, or no token where one was due.
pub async fn tell<W: Write>(system: &System, narration: &mut Narration<W>) -> anyhow::Result<()> {
    partner(system, narration).await?;
    without_certificate_or_token(system, narration).await?;
    thief_with_a_good_certificate(system, narration).await?;
    bad_certificates(system, narration).await?;
    around_the_gateway(system, narration).await
}

async fn partner<W: Write>(system: &System, narration: &mut Narration<W>) -> anyhow::Result<()> {
    narration.heading("The partner: certificate CN=demo-partner, client_id partner-client")?;
    let partner = system.actor(Some(Member::Example))?;
    let issued = partner.request_token("partner-client").await;
    let token = issued.access_token()?;
    show(
        narration,
        "asks for a token over mutual TLS",
        &issued,
        Expected::Status(200),
        "the certificate carries the registered subject: an opaque token is issued, bound to it (RFC 8705 §2.1, §3)",
    )?;
    show(
        narration,
        "posts a transaction with it",
        &partner.call(Some(&token), HeaderMap::new()).await,
        Expected::Status(200),
        "the gateway introspects the token, finds this certificate's thumbprint in it, and forwards a JWT",
    )?;
    show(
        narration,
        "lists its transactions: the token is in the gateway's cache now",
        &partner
            .request(Method::GET, TRANSACTIONS, Some(&token), HeaderMap::new())
            .await,
        Expected::Status(200),
        "a cache hit saves the introspection, never the check of expiry, binding and scope",
    )?;
    show(
        narration,
        "sends another's certificate in a Client-Cert header",
        &partner
            .call(Some(&token), client_cert(system, Member::Other)?)
            .await,
        Expected::Status(200),
        "the gateway drops the header and writes its own, from the connection (RFC 9440 §2.4): no harm done",
    )?;
    show(
        narration,
        "asks for a token under the other partner's client_id",
        &partner.request_token("other-client").await,
        Expected::Error(401, "invalid_client"),
        "the certificate is good, and not the one registered for other-client (RFC 8705 §2)",
    )
}

async fn without_certificate_or_token<W: Write>(
    system: &System,
    narration: &mut Narration<W>,
) -> anyhow::Result<()> {
    narration.heading("Strangers: no certificate, or no token")?;
    let partner = system.actor(Some(Member::Example))?;
    let stranger = system.actor(None)?;
    let stolen = partner.request_token("partner-client").await.access_token()?;
    show(
        narration,
        "calls the API without a certificate, with a stolen token",
        &stranger.call(Some(&stolen), HeaderMap::new()).await,
        Expected::Alert(&[Alert::CertificateRequired]),
        "the API's host demands a client certificate in the handshake (RFC 8446 §4.4.2.4)",
    )?;
    show(
        narration,
        "asks for a token without a certificate",
        &stranger.request_token("partner-client").await,
        Expected::Error(401, "invalid_client"),
        "the token endpoint lets the handshake pass and answers as OAuth does (RFC 6749 §5.2)",
    )?;
    show(
        narration,
        "calls the API with a certificate and no token",
        &partner.call(None, HeaderMap::new()).await,
        Expected::Error(401, "unauthorized"),
        "the challenge says what is missing and names no error in WWW-Authenticate (RFC 6750 §3.1)",
    )?;
    show(
        narration,
        "calls the API with a made-up token",
        &partner.call(Some(MADE_UP_TOKEN), HeaderMap::new()).await,
        Expected::Error(401, "invalid_token"),
        "no such token was issued; from outside it looks like any other that does not fit",
    )?;
    partner.revoke("partner-client", &stolen).await;
    show(
        narration,
        "calls the API with a token that its owner revoked",
        &partner.call(Some(&stolen), HeaderMap::new()).await,
        Expected::Error(401, "invalid_token"),
        "revocation counts at once where the gateway has not cached the token (RFC 7009 §2)",
    )
}

async fn thief_with_a_good_certificate<W: Write>(
    system: &System,
    narration: &mut Narration<W>,
) -> anyhow::Result<()> {
    narration
        .heading("The thief: another partner's good certificate, CN=other-partner, and a stolen token")?;
    let partner = system.actor(Some(Member::Example))?;
    let thief = system.actor(Some(Member::Other))?;
    let stolen = partner.request_token("partner-client").await.access_token()?;
    show(
        narration,
        "uses the stolen token before its owner does",
        &thief.call(Some(&stolen), HeaderMap::new()).await,
        Expected::Error(401, "invalid_token"),
        "the token is bound to its owner's certificate, and this connection shows another (RFC 8705 §3)",
    )?;
    show(
        narration,
        "(its owner uses it: the theft did no harm)",
        &partner.call(Some(&stolen), HeaderMap::new()).await,
        Expected::Status(200),
        "the token itself is good, and now in the gateway's cache",
    )?;
    show(
        narration,
        "uses it again, from the cache, on the kept-alive connection",
        &thief.call(Some(&stolen), HeaderMap::new()).await,
        Expected::Error(401, "invalid_token"),
        "the binding is checked against the connection on every request, hit or miss",
    )?;
    show(
        narration,
        "sends the owner's certificate in a Client-Cert header",
        &thief
            .call(Some(&stolen), client_cert(system, Member::Example)?)
            .await,
        Expected::Error(401, "invalid_token"),
        "a certificate is public; only the handshake proves its key, and no header replaces it (RFC 9440 §2.4)",
    )?;
    show(
        narration,
        "asks for a token as partner-client",
        &thief.request_token("partner-client").await,
        Expected::Error(401, "invalid_client"),
        "the certificate's subject is not the registered one; the answer tells no more than that",
    )
}

async fn bad_certificates<W: Write>(system: &System, narration: &mut Narration<W>) -> anyhow::Result<()> {
    narration
        .heading("Forgers: certificates that say CN=demo-partner and must not pass, with a stolen token")?;
    let stolen = system
        .actor(Some(Member::Example))?
        .request_token("partner-client")
        .await
        .access_token()?;
    let attempts: [(&str, &str, Member, &[Alert], &str); 5] = [
        (
            "another root, same subject: asks for a token",
            "another root, same subject: calls the API",
            Member::Rogue,
            &[Alert::UnknownCa, Alert::DecryptError],
            "the name is right and the signature is not our root's: trust is in keys, not in names",
        ),
        (
            "expired: asks for a token",
            "expired: calls the API",
            Member::Expired,
            &[Alert::CertificateExpired],
            "past its notAfter (RFC 5280 §4.1.2.5)",
        ),
        (
            "not yet valid: asks for a token",
            "not yet valid: calls the API",
            Member::NotYetValid,
            &[Alert::CertificateExpired],
            "before its notBefore; TLS has one alert for both ends of the validity (RFC 8446 §6.2)",
        ),
        (
            "revoked: asks for a token",
            "revoked: calls the API",
            Member::Revoked,
            &[Alert::CertificateRevoked],
            "its serial number stands in the root's revocation list (RFC 5280 §5)",
        ),
        (
            "for servers only: asks for a token",
            "for servers only: calls the API",
            Member::ServerOnly,
            &[Alert::UnsupportedCertificate],
            "its extended key usage lacks clientAuth (RFC 5280 §4.2.1.12)",
        ),
    ];
    for (token_title, call_title, member, alerts, reason) in attempts {
        let forger = system.actor(Some(member))?;
        let asked = forger.request_token("partner-client").await;
        show(narration, token_title, &asked, Expected::Alert(alerts), reason)?;
        let called = forger.call(Some(&stolen), HeaderMap::new()).await;
        show(narration, call_title, &called, Expected::Alert(alerts), reason)?;
    }
    Ok(())
}

async fn around_the_gateway<W: Write>(system: &System, narration: &mut Narration<W>) -> anyhow::Result<()> {
    narration.heading("Detours: around the gateway, or through the wrong door")?;
    let partner = system.actor(Some(Member::Example))?;
    let token = partner.request_token("partner-client").await.access_token()?;
    let api = format!(
        "https://localhost:{}/api/transactions",
        system.sample_api().port()
    );
    show(
        narration,
        "calls the API itself, past the gateway",
        &partner
            .request(
                Method::POST,
                &api,
                Some(&token),
                client_cert(system, Member::Example)?,
            )
            .await,
        Expected::Alert(&[Alert::AccessDenied]),
        "the API lets in the gateway's certificate alone, and verifies JWT and binding again even then",
    )?;
    let misdirected = HeaderMap::from_iter([(
        HeaderName::from_static("host"),
        HeaderValue::from_static("login.example.com"),
    )]);
    show(
        narration,
        "connects to the API's host and asks for another in Host",
        &system
            .http1_actor(Some(Member::Example))?
            .call(Some(&token), misdirected)
            .await,
        Expected::Error(421, "misdirected_request"),
        "the handshake decided under which rules this connection stands (RFC 9110 §15.5.20)",
    )
}

fn client_cert(system: &System, member: Member) -> anyhow::Result<HeaderMap> {
    let value = client_cert_header::encode(system.credentials(member)?.leaf_der());
    Ok(HeaderMap::from_iter([(
        HeaderName::from_static(client_cert_header::CLIENT_CERT),
        value.parse()?,
    )]))
}

fn show<W: Write>(
    narration: &mut Narration<W>,
    title: &'static str,
    answer: &Answer,
    expected: Expected,
    reason: &'static str,
) -> anyhow::Result<()> {
    let outcome = if expected.is_met_by(answer) {
        Outcome::AsExpected
    } else {
        Outcome::Otherwise
    };
    let expected = match expected {
        Expected::Status(status) => status.to_string(),
        Expected::Error(status, error) => format!("{status} {error}"),
        Expected::Alert(alerts) => format!(
            "TLS alert {}",
            alerts
                .iter()
                .map(|alert| alert.name())
                .collect::<Vec<_>>()
                .join(" or ")
        ),
    };
    narration.attempt(&Attempt {
        title,
        answer: answer.to_string(),
        expected,
        outcome,
        reason,
    })?;
    Ok(())
}
