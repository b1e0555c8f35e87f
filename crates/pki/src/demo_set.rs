//! The whole demo PKI in memory: one root, its servers and clients, its revocation list, and the refused fixtures.
//!
//! Each refused fixture has exactly one fault; in everything else it equals a good client.

use std::time::Duration;

use oauth_core::time::Timestamp;

use crate::{
    certificate::Certificate,
    error::Error,
    identity::Identity,
    key::{KeyAlgorithm, PrivateKey},
    revocation::RevocationList,
    root::{Leaf, Root, Usage},
    subject_alternative_name::SubjectAlternativeName,
    validity::{Days, RENEWAL_MARGIN, ROOT_DAYS, Validity},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One certificate of the demo set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Member {
    /// The authorization server, under both of its host names.
    Login,
    /// The gateway's public face.
    Api,
    /// The sample API, for the gateway alone.
    ApiInternal,
    /// The partner: `CN=demo-partner`.
    Example,
    /// Another partner: `CN=other-partner`.
    Other,
    /// The gateway as a client, named by its DNS subjectAltName.
    Gateway,
    /// Refused: the partner's subject, under another root of the same name.
    Rogue,
    /// Refused: its time is over.
    Expired,
    /// Refused: its time has not come.
    NotYetValid,
    /// Refused: in the revocation list.
    Revoked,
    /// Refused: only `serverAuth`.
    ServerOnly,
}

impl Member {
    /// Every member, in the order in which they are made.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::Api,
        Self::ApiInternal,
        Self::Example,
        Self::Other,
        Self::Gateway,
        Self::Rogue,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::ServerOnly,
    ];

    /// Where the member's files lie in `certs/`, without `.pem`, `.key` and `.p12`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Login => "login.tls",
            Self::Api => "api.tls",
            Self::ApiInternal => "api-internal.tls",
            Self::Example => "example.client",
            Self::Other => "other.client",
            Self::Gateway => "gateway.client",
            Self::Rogue => "refused/rogue.client",
            Self::Expired => "refused/expired.client",
            Self::NotYetValid => "refused/not-yet-valid.client",
            Self::Revoked => "refused/revoked.client",
            Self::ServerOnly => "refused/server-only.client",
        }
    }

    /// Whether the member also comes as PKCS#12.
    pub const fn has_pkcs12(self) -> bool {
        matches!(self, Self::Example | Self::Other)
    }

    /// Whether a certificate of this member no longer shows what it is there to show, or soon will not.
    pub(crate) fn is_stale(self, certificate: &Certificate, now: Timestamp) -> bool {
        let soon = now.plus(RENEWAL_MARGIN);
        match self {
            Self::Expired => false,
            Self::NotYetValid => certificate.not_before() <= soon,
            _ => certificate.not_after() <= soon,
        }
    }

    /// Certifies `key` as this member.
    pub(crate) fn issue(self, root: &Root, key: PrivateKey, now: Timestamp) -> Result<Identity, Error> {
        let leaf = self.leaf(now)?;
        match self {
            Self::Rogue => Root::create(KeyAlgorithm::EcdsaP256, now)?.issue(Usage::Client, &leaf, key),
            Self::NotYetValid => root.issue_outside_own_validity(&leaf, key),
            Self::Login | Self::Api | Self::ApiInternal | Self::ServerOnly => {
                root.issue(Usage::Server, &leaf, key)
            }
            _ => root.issue(Usage::Client, &leaf, key),
        }
    }

    fn leaf(self, now: Timestamp) -> Result<Leaf, Error> {
        let mut names = Vec::new();
        for host in self.hosts() {
            names.push(SubjectAlternativeName::dns(host)?);
        }
        if self.is_server() {
            names.push(SubjectAlternativeName::ip("127.0.0.1")?);
            names.push(SubjectAlternativeName::ip("::1")?);
        }
        Ok(Leaf {
            subject: self.subject().parse()?,
            subject_alternative_names: names,
            validity: self.validity(now),
        })
    }

    const fn is_server(self) -> bool {
        matches!(self, Self::Login | Self::Api | Self::ApiInternal)
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Login => "CN=login.example.com",
            Self::Api => "CN=api.example.com",
            Self::ApiInternal => "CN=api-internal.example.com",
            Self::Other => "CN=other-partner",
            Self::Gateway => "CN=gateway",
            Self::Example
            | Self::Rogue
            | Self::Expired
            | Self::NotYetValid
            | Self::Revoked
            | Self::ServerOnly => "CN=demo-partner",
        }
    }

    const fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Login => &["login.example.com", "login-internal.example.com", "localhost"],
            Self::Api => &["api.example.com", "localhost"],
            Self::ApiInternal => &["api-internal.example.com", "localhost"],
            Self::Gateway => &["gateway-internal.example.com"],
            _ => &[],
        }
    }

    fn validity(self, now: Timestamp) -> Validity {
        match self {
            Self::Expired => Validity {
                not_before: now.minus(2 * DAY),
                not_after: now.minus(DAY),
            },
            // So far away that the fixture stays what it is for as long as a root lives.
            Self::NotYetValid => Validity {
                not_before: now.plus((ROOT_DAYS - 365) * DAY),
                not_after: now.plus(ROOT_DAYS * DAY),
            },
            server if server.is_server() => Validity::starting(Days::SERVER, now),
            _ => Validity::starting(Days::CLIENT, now),
        }
    }
}

/// The demo PKI, in memory.
#[derive(Debug)]
pub struct DemoSet {
    root: Root,
    identities: Vec<Identity>,
    revocation_list: RevocationList,
}

impl DemoSet {
    /// Makes a fresh set; nothing is written anywhere.
    ///
    /// # Errors
    ///
    /// [`Error`] where a key or a certificate cannot be made.
    pub fn create(algorithm: KeyAlgorithm, now: Timestamp) -> Result<Self, Error> {
        let root = Root::create(algorithm, now)?;
        let identities = Member::ALL
            .into_iter()
            .map(|member| member.issue(&root, PrivateKey::generate(algorithm)?, now))
            .collect::<Result<Vec<_>, _>>()?;
        let revoked = identities[Member::Revoked as usize].certificate();
        let revocation_list = RevocationList::empty(&root, Days::REVOCATION_LIST, now)?;
        let revocation_list = revocation_list.revoke(revoked, &root, Days::REVOCATION_LIST, now)?;
        Ok(Self {
            root,
            identities,
            revocation_list,
        })
    }

    /// The root.
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// A member's certificate and key.
    pub fn identity(&self, member: Member) -> &Identity {
        // One identity was made for each of Member::ALL, in the order of the variants.
        &self.identities[member as usize]
    }

    /// The list in which [`Member::Revoked`] stands.
    pub const fn revocation_list(&self) -> &RevocationList {
        &self.revocation_list
    }
}

#[cfg(test)]
mod tests;
