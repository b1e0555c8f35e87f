//! The peers whose word is taken for who their own callers are: told by address, by certificate, or by both.
//!
//! Fails closed: a peer that is not described is not trusted, and a description that names nothing describes nobody.

use std::net::IpAddr;

use mtls::Network;
use oauth_core::certificate::ClientCertificate;
use oauth_core::distinguished_name::DistinguishedName;
use oauth_core::thumbprint::CertificateThumbprint;

/// Several descriptions, of which one is enough.
#[derive(Clone, Debug)]
pub(crate) struct TrustedPeers(Vec<TrustedPeer>);

/// One description: all that it names must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedPeer {
    /// Where it connects from.
    pub(crate) network: Option<Network>,
    /// Its own certificate.
    pub(crate) x5t_s256: Option<CertificateThumbprint>,
    /// Among the dNSNames of its own certificate, which a trusted authority issued.
    pub(crate) san_dns: Option<String>,
    /// The subject of its own certificate, which a trusted authority issued.
    pub(crate) subject_dn: Option<DistinguishedName>,
}

impl TrustedPeers {
    /// These, and nobody else.
    pub(crate) const fn new(peers: Vec<TrustedPeer>) -> Self {
        Self(peers)
    }

    /// Whether a peer at `address` that proved to hold the key of `certificate` is one of them; the names in it count
    /// where an authority vouches for them.
    pub(crate) fn contain(
        &self,
        address: IpAddr,
        certificate: Option<&ClientCertificate>,
        is_vouched_for: impl Fn() -> bool,
    ) -> bool {
        let is_believed = |peer: &TrustedPeer| !peer.is_named() || is_vouched_for();
        self.0
            .iter()
            .any(|peer| peer.is(address, certificate) && is_believed(peer))
    }
}

impl TrustedPeer {
    /// Whether the address alone tells.
    pub(crate) const fn shows_no_certificate(&self) -> bool {
        self.x5t_s256.is_none() && !self.is_named()
    }

    /// Whether it is told by what an authority says of it.
    pub(crate) const fn is_named(&self) -> bool {
        self.san_dns.is_some() || self.subject_dn.is_some()
    }

    fn is(&self, address: IpAddr, certificate: Option<&ClientCertificate>) -> bool {
        if self.shows_no_certificate() {
            return self.network.is_some_and(|network| network.contains(address));
        }
        self.network.is_none_or(|network| network.contains(address))
            && certificate.is_some_and(|certificate| self.shows(certificate))
    }

    fn shows(&self, certificate: &ClientCertificate) -> bool {
        let names = certificate.subject_alternative_names().dns_names();
        self.x5t_s256
            .is_none_or(|thumbprint| thumbprint == *certificate.thumbprint())
            && self
                .san_dns
                .as_ref()
                .is_none_or(|expected| names.iter().any(|name| name.eq_ignore_ascii_case(expected)))
            && self
                .subject_dn
                .as_ref()
                .is_none_or(|subject| subject.matches(certificate.subject()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use pki::{DemoSet, KeyAlgorithm, Member};

    use super::*;
    use crate::clock::now;

    static PKI: LazyLock<DemoSet> =
        LazyLock::new(|| DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap());

    fn certificate(member: Member) -> ClientCertificate {
        ClientCertificate::from_der(PKI.identity(member).certificate().der()).unwrap()
    }

    fn is_trusted(peer: &TrustedPeer, address: &str, member: Option<Member>) -> bool {
        let certificate = member.map(certificate);
        let (peers, address) = (TrustedPeers::new(vec![peer.clone()]), address.parse().unwrap());
        let is_trusted = |is_vouched_for| peers.contain(address, certificate.as_ref(), || is_vouched_for);
        assert_eq!(
            is_trusted(false),
            is_trusted(true) && !peer.is_named(),
            "what nobody vouches for gives itself its names: {peer:?}"
        );
        is_trusted(true)
    }

    fn named(san_dns: &str) -> TrustedPeer {
        TrustedPeer {
            san_dns: Some(san_dns.to_owned()),
            ..TrustedPeer::default()
        }
    }

    /// W2.
    #[test]
    fn an_address_tells_a_peer_where_nothing_else_is_asked() {
        let peer = TrustedPeer {
            network: Some("10.0.0.0/24".parse().unwrap()),
            ..TrustedPeer::default()
        };
        assert!(is_trusted(&peer, "10.0.0.7", None));
        assert!(is_trusted(&peer, "::ffff:10.0.0.7", Some(Member::Other)));
        assert!(!is_trusted(&peer, "10.0.1.7", None));
        assert!(!is_trusted(
            &TrustedPeer::default(),
            "10.0.0.7",
            Some(Member::Other)
        ));
    }

    /// W2.
    #[test]
    fn a_certificate_tells_a_peer_wherever_it_connects_from() {
        let thumbprint = TrustedPeer {
            x5t_s256: Some(*certificate(Member::Gateway).thumbprint()),
            ..TrustedPeer::default()
        };
        let subject = TrustedPeer {
            subject_dn: Some(DistinguishedName::parse("CN=demo-partner").unwrap()),
            ..TrustedPeer::default()
        };
        for (peer, member) in [
            (&thumbprint, Member::Gateway),
            (&named("GATEWAY-internal.example.com"), Member::Gateway),
            (&subject, Member::Example),
        ] {
            assert!(is_trusted(peer, "192.0.2.1", Some(member)), "{peer:?}");
            assert!(!is_trusted(peer, "192.0.2.1", Some(Member::Other)), "{peer:?}");
            assert!(!is_trusted(peer, "192.0.2.1", None), "{peer:?}");
        }
        // A certificate has all of what is asked, not one of it.
        let both = TrustedPeer {
            subject_dn: subject.subject_dn,
            ..thumbprint
        };
        assert!(!is_trusted(&both, "192.0.2.1", Some(Member::Gateway)));
    }

    /// W2: each alone is not enough.
    #[test]
    fn address_and_certificate_must_both_hold_where_both_are_asked() {
        let peer = TrustedPeer {
            network: Some("10.0.0.0/24".parse().unwrap()),
            ..named("gateway-internal.example.com")
        };
        assert!(is_trusted(&peer, "10.0.0.7", Some(Member::Gateway)));
        assert!(!is_trusted(&peer, "10.0.1.7", Some(Member::Gateway)));
        assert!(!is_trusted(&peer, "10.0.0.7", Some(Member::Other)));
        assert!(!is_trusted(&peer, "10.0.0.7", None));
    }
}
