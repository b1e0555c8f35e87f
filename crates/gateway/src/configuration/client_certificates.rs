//! `[client_certificates]`: where client certificates come from, and what is asked of them.

use std::path::PathBuf;

use http::HeaderName;
use mtls::{CrlPolicy, Network, Presence, ServerFiles, TlsSection};
use oauth_core::client_cert_header::encoding::HeaderEncoding;
use oauth_core::distinguished_name::DistinguishedName;
use oauth_core::thumbprint::CertificateThumbprint;
use serde::Deserialize;
use service::Problems;

use crate::certificate_header::{CertificateHeaderRules, Forwarding};
use crate::headers;
use crate::trusted_peers::{TrustedPeer, TrustedPeers};

const HEADER: &str = "client_certificates.header";

/// `[client_certificates]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificatesSection {
    /// PEM files of the trusted certification authorities.
    #[serde(default)]
    pub trust: Vec<PathBuf>,
    /// PEM or DER files of their revocation lists.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
    /// What the absence of a revocation list means.
    #[serde(default)]
    pub crl_policy: CrlPolicy,
    /// Whether a certificate must carry the extended key usage clientAuth.
    #[serde(default = "yes")]
    pub require_client_eku: bool,
    /// PEM files of certificates that are let in one by one, whoever issued them, as long as they are valid in time;
    /// no revocation list is asked. Without `trust`, these alone.
    #[serde(default)]
    pub pinned: Vec<PathBuf>,
    /// Whether somebody must vouch for a certificate.
    #[serde(default)]
    pub verify: CertificateVerification,
    /// Whether there is a connection without a certificate.
    #[serde(default)]
    pub client_certificate: ClientCertificatePolicy,
    /// `[client_certificates.header]`: where load balancers hand on the certificates of their clients; absent: nowhere.
    pub header: Option<CertificateHeaderSection>,
}

/// What is asked of a certificate, in the handshake and in a header alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateVerification {
    /// An authority in `trust` must vouch for it, and no revocation list contradict; or it is `pinned`.
    #[default]
    Pki,
    /// That its client holds the key, and that it is valid in time: then nothing counts but that a token is bound to it.
    /// [RFC 8705 §6.2](https://www.rfc-editor.org/rfc/rfc8705#section-6.2)
    ProofOfPossession,
}

/// What a handshake without a client certificate comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificatePolicy {
    /// No connection.
    #[default]
    Required,
    /// A connection on which tokens that must be bound are refused with 401.
    Optional,
}

/// `[client_certificates.header]`.
///
/// From a trusted peer the header's certificate is the client's, and without the header the client has none. From
/// anybody else the header is dropped, and the connection's own certificate counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateHeaderSection {
    /// The header's name, in any letter case.
    #[serde(default = "wso2_name")]
    pub name: String,
    /// How the certificate is written into it.
    pub encoding: HeaderEncoding,
    /// Who is believed; never everybody. While `client_certificate` is `"required"`, a peer that is told by its address
    /// alone must have a client certificate nonetheless, like everybody else.
    #[serde(default)]
    pub trusted_peers: Vec<TrustedPeerSection>,
    /// Whether APIs get the header as it came.
    #[serde(default)]
    pub forward: bool,
}

/// One of `trusted_peers`: a network, or a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "must be a network such as \"10.0.0.0/24\", or a table of `network`, `\"x5t#S256\"`, `san_dns` and \
                 `subject_dn`"
)]
pub enum TrustedPeerSection {
    /// Whoever connects from there.
    Network(String),
    /// Whoever has all that the table names.
    Described(TrustedPeerTable),
}

/// A peer that is told by its own client certificate, which the handshake has verified, and perhaps by its address; all
/// that is given must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedPeerTable {
    /// Where it connects from.
    pub network: Option<String>,
    /// The SHA-256 thumbprint of its certificate, as `pki show` prints it.
    #[serde(rename = "x5t#S256")]
    pub x5t_s256: Option<String>,
    /// A dNSName of its certificate, which an authority in `trust` must have issued: of a `pinned` one, no name counts.
    pub san_dns: Option<String>,
    /// The subject of its certificate, as in RFC 4514; issued as above.
    pub subject_dn: Option<String>,
}

impl ClientCertificatesSection {
    /// What the TLS of the public listener is made of.
    pub(crate) fn server_files(&self, tls: TlsSection) -> ServerFiles {
        let presence = match self.client_certificate {
            ClientCertificatePolicy::Required => Presence::Required,
            ClientCertificatePolicy::Optional => Presence::Optional,
        };
        let files = ServerFiles::new(tls).pin(self.pinned.clone()).resume_sessions();
        match self.verify {
            CertificateVerification::Pki => files.asking_for(self.verification(), presence),
            CertificateVerification::ProofOfPossession => files.asking_for_proof_of_possession(presence),
        }
    }

    /// The part of the section that every service has.
    fn verification(&self) -> mtls::ClientCertificatesSection {
        mtls::ClientCertificatesSection {
            trust: self.trust.clone(),
            crl: self.crl.clone(),
            crl_policy: self.crl_policy,
            require_client_eku: self.require_client_eku,
        }
    }
}

/// Notes what in the section contradicts itself, and gives the rules of its header, if there is one.
pub(super) fn check(
    section: &ClientCertificatesSection,
    problems: &mut Problems,
) -> Option<CertificateHeaderRules> {
    check_verification(section, problems);
    section
        .header
        .as_ref()
        .and_then(|header| header_rules(header, section, problems))
}

fn check_verification(section: &ClientCertificatesSection, problems: &mut Problems) {
    let is_given = |files: &[PathBuf]| !files.is_empty();
    match section.verify {
        CertificateVerification::Pki => {
            if !is_given(&section.trust) && !is_given(&section.pinned) {
                problems.add(
                    "client_certificates.trust",
                    "names no certification authority; name at least one PEM file, or let certificates in one by one in \
                     `pinned`",
                );
            }
            if !is_given(&section.trust) && is_given(&section.crl) {
                problems.add(
                    "client_certificates.crl",
                    "is given, and `trust` names no authority whose list it could be",
                );
            }
        }
        CertificateVerification::ProofOfPossession => {
            for (key, files) in [
                ("trust", &section.trust),
                ("crl", &section.crl),
                ("pinned", &section.pinned),
            ] {
                if is_given(files) {
                    let problem = "is not looked at where `verify` is \"proof-of-possession\"; leave it away";
                    problems.add(format!("client_certificates.{key}"), problem);
                }
            }
        }
    }
}

fn header_rules(
    section: &CertificateHeaderSection,
    certificates: &ClientCertificatesSection,
    problems: &mut Problems,
) -> Option<CertificateHeaderRules> {
    let name = problems.take(format!("{HEADER}.name"), header_name(&section.name));
    let peers: Vec<TrustedPeer> = section
        .trusted_peers
        .iter()
        .enumerate()
        .filter_map(|(index, section)| {
            let key = format!("{HEADER}.trusted_peers[{index}]");
            trusted_peer(&key, section, certificates.verify, problems)
        })
        .collect();
    check_somebody(section, &peers, problems);
    check_names(certificates, &peers, problems);
    (peers.len() == section.trusted_peers.len()).then_some(CertificateHeaderRules {
        name: name?,
        encoding: section.encoding,
        trusted_peers: TrustedPeers::new(peers),
        forwarding: match section.forward {
            true => Forwarding::Forwarded,
            false => Forwarding::NotForwarded,
        },
    })
}

/// Neither nobody nor everybody is trusted.
fn check_somebody(section: &CertificateHeaderSection, peers: &[TrustedPeer], problems: &mut Problems) {
    let key = format!("{HEADER}.trusted_peers");
    if section.trusted_peers.is_empty() {
        problems.add(
            &key,
            "is missing: anybody could claim any certificate; name the networks or the client certificates of the load \
             balancers",
        );
    }
    let networks: Vec<Network> = peers
        .iter()
        .filter(|peer| peer.shows_no_certificate())
        .filter_map(|peer| peer.network)
        .collect();
    if Network::are_everybody(&networks) {
        problems.add(
            &key,
            "are all addresses together, and anybody could claim any certificate",
        );
    }
}

/// Nobody but an authority gives names that count.
fn check_names(section: &ClientCertificatesSection, peers: &[TrustedPeer], problems: &mut Problems) {
    let are_verified = section.verify == CertificateVerification::Pki;
    if are_verified && section.trust.is_empty() && peers.iter().any(TrustedPeer::is_named) {
        problems.add(
            format!("{HEADER}.trusted_peers"),
            "are told by a name, and `trust` names no authority that could have given it; use `\"x5t#S256\"`",
        );
    }
}

fn header_name(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "is not the name of a header")?;
    let read_as = headers::canonical(name.as_str());
    if headers::reads_as_hop_or_request(&read_as) {
        Err("means something else in HTTP")
    } else if headers::OWN.iter().any(|own| *own == *read_as) {
        Err("is what the gateway tells APIs itself")
    } else {
        Ok(name)
    }
}

fn trusted_peer(
    key: &str,
    section: &TrustedPeerSection,
    verify: CertificateVerification,
    problems: &mut Problems,
) -> Option<TrustedPeer> {
    let table = match section {
        TrustedPeerSection::Network(network) => {
            return Some(TrustedPeer {
                network: Some(problems.take(key, network.parse::<Network>())?),
                ..TrustedPeer::default()
            });
        }
        TrustedPeerSection::Described(table) => table,
    };
    let network = parsed(key, "network", &table.network, str::parse::<Network>, problems);
    let x5t_s256 = parsed(
        key,
        "x5t#S256",
        &table.x5t_s256,
        CertificateThumbprint::parse,
        problems,
    );
    let subject_dn = parsed(
        key,
        "subject_dn",
        &table.subject_dn,
        DistinguishedName::parse,
        problems,
    );
    let peer = TrustedPeer {
        network: network?,
        x5t_s256: x5t_s256?,
        san_dns: table.san_dns.clone(),
        subject_dn: subject_dn?,
    };
    if peer.network.is_none() && peer.shows_no_certificate() {
        problems.add(key, "names nothing by which the peer could be told");
    }
    if peer.san_dns.as_ref().is_some_and(String::is_empty) {
        problems.add(format!("{key}.san_dns"), "must not be empty");
    }
    if peer.is_named() && verify == CertificateVerification::ProofOfPossession {
        problems.add(
            key,
            "is told by a name that anybody could give themselves, since `verify` is \"proof-of-possession\"; use \
             `\"x5t#S256\"`",
        );
    }
    Some(peer)
}

/// The value of a key of the table; `None` where there is one that cannot be read.
fn parsed<T, E: std::fmt::Display>(
    table: &str,
    key: &str,
    text: &Option<String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
    problems: &mut Problems,
) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => problems.take(format!("{table}.{key}"), parse(text)).map(Some),
    }
}

const fn yes() -> bool {
    true
}

fn wso2_name() -> String {
    "X-WSO2-CLIENT-CERTIFICATE".to_owned()
}

#[cfg(test)]
mod tests;
