//! The steps of a request that are counted alone: the rules of `oauth-core`, as the services call them.

use std::hint::black_box;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use oauth_core::access_token::{SECRET_LENGTH, TokenDigest};
use oauth_core::bearer::parse_authorization;
use oauth_core::certificate::ClientCertificate;
use oauth_core::client::{ClientMetadata, ClientRegistration, ClientRegistry};
use oauth_core::client_authentication::{ClientCredentials, authenticate};
use oauth_core::client_cert_header;
use oauth_core::confirmation::{BindingPolicy, verify_binding};
use oauth_core::form::FormParameters;
use oauth_core::introspection::IntrospectionResponse;
use oauth_core::jwt::{
    AccessTokenClaims, AccessTokenVerifier, SignatureAlgorithm, SigningKey, VerificationKeys,
};
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use oauth_core::token_request::{Grant, Issuance, TokenRequest, grant};
use pki::{Days, KeyAlgorithm, Leaf, PrivateKey, Root, Validity};
use uuid::Uuid;

use crate::measure::CpuClock;

/// The one function whose instructions count.
pub(crate) const MEASURED: &str = "steps::measured";
const ISSUER: &str = "https://login.example.com";
const FORM: &[u8] = b"grant_type=client_credentials&client_id=partner-client&scope=transactions";
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hot: the token out of the `Authorization` field.
    ParseBearer,
    /// Hot: what the cache is asked for.
    DigestToken,
    /// Hot: the token's certificate is the connection's.
    VerifyBinding,
    /// Cold, and at the API: signature, type, issuer, audience, times.
    VerifyJwt,
    /// At the API: the certificate that the gateway names.
    ReadClientCert,
    /// Issue: parameters out of a form.
    ParseForm,
    /// Issue: the client by its certificate.
    AuthenticateClient,
    /// Issue: what the client gets.
    GrantToken,
    /// Introspect: the answer as JSON.
    WriteJson,
    /// Introspect: the answer as a JWT.
    SignJwt,
}

impl Step {
    /// Every step.
    pub(crate) const ALL: [Self; 10] = [
        Self::ParseBearer,
        Self::DigestToken,
        Self::VerifyBinding,
        Self::VerifyJwt,
        Self::ReadClientCert,
        Self::ParseForm,
        Self::AuthenticateClient,
        Self::GrantToken,
        Self::WriteJson,
        Self::SignJwt,
    ];

    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ParseBearer => "step: parse bearer",
            Self::DigestToken => "step: digest token",
            Self::VerifyBinding => "step: verify binding",
            Self::VerifyJwt => "step: verify JWT",
            Self::ReadClientCert => "step: read Client-Cert",
            Self::ParseForm => "step: parse token request",
            Self::AuthenticateClient => "step: authenticate client",
            Self::GrantToken => "step: grant token",
            Self::WriteJson => "step: write introspection",
            Self::SignJwt => "step: sign JWT",
        }
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|step| step.name() == name);
        found.with_context(|| format!("no step is called {name:?}"))
    }
}

/// Executes a step so often as is asked.
pub(crate) fn repeat(step: Step, count: u64) -> anyhow::Result<()> {
    with(step, |once| {
        measured(once, count);
        Ok(())
    })
}

/// CPU time of one execution of a step on the core that this process runs on: the median of some batches.
pub(crate) fn cpu_time(step: Step) -> anyhow::Result<Duration> {
    const BATCHES: usize = 25;
    const EXECUTIONS: u32 = 100;
    let clock = CpuClock::of(std::process::id())?;
    with(step, |once| {
        let mut batches = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let before = clock.read()?;
            measured(once, EXECUTIONS.into());
            batches.push((clock.read()? - before) / EXECUTIONS);
        }
        batches.sort_unstable();
        Ok(batches[BATCHES / 2])
    })
}

/// Prepares a step, executes it once to see it succeed and fill what is filled once, and hands it over.
fn with<T>(
    step: Step,
    measure: impl FnOnce(&mut dyn FnMut() -> bool) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let ground = Ground::new()?;
    let form = FormParameters::parse(Some(FORM_TYPE), FORM)?;
    let credentials = ClientCredentials::from_request(None, &form, Some(&ground.certificate))?;
    let authorization = format!("Bearer {}", ground.grant.token.expose());
    let Ground {
        grant: granted, now, ..
    } = &ground;
    let (now, thumbprint) = (*now, *ground.certificate.thumbprint());
    let mut once: Box<dyn FnMut() -> bool + '_> = match step {
        Step::ParseBearer => {
            Box::new(|| parse_authorization([black_box(authorization.as_bytes())].into_iter()).is_ok())
        }
        Step::DigestToken => Box::new(|| {
            black_box(TokenDigest::of(black_box(granted.token.expose())));
            true
        }),
        Step::VerifyBinding => Box::new(move || {
            let confirmation = black_box(granted.record.confirmation.as_ref());
            verify_binding(
                confirmation,
                black_box(Some(&thumbprint)),
                BindingPolicy::Required,
            )
            .is_ok()
        }),
        Step::VerifyJwt => Box::new(|| {
            ground
                .verifier
                .verify(black_box(&ground.jwt), &ground.keys, now)
                .is_ok()
        }),
        Step::ReadClientCert => Box::new(|| {
            let der = client_cert_header::decode(black_box(&ground.client_cert));
            der.is_ok_and(|der| CertificateThumbprint::of_der(&der) == thumbprint)
        }),
        Step::ParseForm => Box::new(|| {
            FormParameters::parse(Some(FORM_TYPE), black_box(FORM))
                .is_ok_and(|form| TokenRequest::parse(&form).is_ok())
        }),
        Step::AuthenticateClient => {
            Box::new(|| authenticate(black_box(&credentials), &ground.registry, ISSUER, now).is_ok())
        }
        Step::GrantToken => Box::new(|| ground.grant_again(&form).is_ok()),
        Step::WriteJson => Box::new(|| {
            let answer = IntrospectionResponse::active(black_box(&granted.record), ISSUER);
            serde_json::to_vec(&answer).is_ok()
        }),
        Step::SignJwt => Box::new(|| {
            let claims = AccessTokenClaims::of(black_box(&granted.record), ISSUER);
            claims.sign(&ground.signing_key).is_ok()
        }),
    };
    if !once() {
        bail!("{} fails", step.name());
    }
    measure(&mut *once)
}

/// Counted from its first instruction to its last.
#[inline(never)]
fn measured(once: &mut dyn FnMut() -> bool, count: u64) {
    for _ in 0..count {
        black_box(once());
    }
}

/// What the steps work on: one partner, one token.
struct Ground {
    now: Timestamp,
    certificate: ClientCertificate,
    client_cert: String,
    registry: ClientRegistry,
    grant: Grant,
    signing_key: SigningKey,
    jwt: String,
    keys: VerificationKeys,
    verifier: AccessTokenVerifier,
}

impl Ground {
    fn new() -> anyhow::Result<Self> {
        let now = Timestamp::from(SystemTime::now());
        let certificate = certificate(now)?;
        let registry = registry()?;
        let grant = grant_to(
            &registry,
            &FormParameters::parse(Some(FORM_TYPE), FORM)?,
            &certificate,
            now,
        )?;
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256)?;
        let signing_key = SigningKey::from_pkcs8_pem(key.pem().as_bytes(), SignatureAlgorithm::ES256)?;
        let keys = serde_json::json!({ "keys": [signing_key.public_jwk()?] });
        Ok(Self {
            now,
            client_cert: client_cert_header::encode(certificate.der()),
            jwt: AccessTokenClaims::of(&grant.record, ISSUER).sign(&signing_key)?,
            keys: VerificationKeys::from_jwks(keys.to_string().as_bytes())?,
            verifier: AccessTokenVerifier {
                issuer: ISSUER.to_owned(),
                audiences: vec!["api.example.com".to_owned()],
                algorithms: SignatureAlgorithm::ALL.to_vec(),
            },
            certificate,
            registry,
            grant,
            signing_key,
        })
    }

    fn grant_again(&self, form: &FormParameters<'_>) -> anyhow::Result<Grant> {
        grant_to(&self.registry, form, &self.certificate, self.now)
    }
}

fn grant_to(
    registry: &ClientRegistry,
    form: &FormParameters<'_>,
    certificate: &ClientCertificate,
    now: Timestamp,
) -> anyhow::Result<Grant> {
    let client = registry
        .find("partner-client")
        .context("the partner is registered")?;
    let issuance = Issuance {
        id: Uuid::from_u128(1),
        lifetime: Duration::from_secs(900),
        now,
    };
    let secret = [7; SECRET_LENGTH];
    Ok(grant(
        TokenRequest::parse(form)?,
        client,
        Some(certificate),
        secret,
        issuance,
    )?)
}

fn certificate(now: Timestamp) -> anyhow::Result<ClientCertificate> {
    let root = Root::create(KeyAlgorithm::EcdsaP256, now)?;
    let leaf = Leaf {
        subject: "CN=demo-partner".parse()?,
        subject_alternative_names: Vec::new(),
        validity: Validity::starting(Days::of_leaf(1)?, now),
    };
    let identity = root.issue_client(&leaf, KeyAlgorithm::EcdsaP256)?;
    Ok(ClientCertificate::from_der(identity.certificate().der())?)
}

fn registry() -> anyhow::Result<ClientRegistry> {
    let mut registry = ClientRegistry::default();
    let metadata = ClientMetadata {
        client_id: "partner-client".to_owned(),
        token_endpoint_auth_method: "tls_client_auth".to_owned(),
        tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
        scope: "transactions".to_owned(),
        grant_types: vec!["client_credentials".to_owned()],
        audience: Some("api.example.com".to_owned()),
        ..ClientMetadata::default()
    };
    registry.register(ClientRegistration::try_from(metadata)?)?;
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_succeeds_and_is_found_by_its_name() {
        for step in Step::ALL {
            assert_eq!(step.name().parse::<Step>().unwrap(), step);
            repeat(step, 1).unwrap();
        }
        assert!(cpu_time(Step::VerifyJwt).unwrap() > Duration::ZERO);
        assert!("step: something else".parse::<Step>().is_err());
    }
}
