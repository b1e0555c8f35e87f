//! Why a handshake failed, in words for the one who has to mend it.
//!
//! [`peer_alert`] reads what the other side said; [`server_certificate_fault`] what we found wrong with it.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// A fatal alert a peer sent, as far as it concerns certificates and routing. RFC 8446 §6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    /// 116: a certificate is demanded and none was sent.
    CertificateRequired,
    /// 45: expired or not yet valid.
    CertificateExpired,
    /// 44: revoked.
    CertificateRevoked,
    /// 48: issued by no authority the peer trusts, or of unknown revocation status.
    UnknownCa,
    /// 42: damaged, or with an extension the peer does not understand.
    BadCertificate,
    /// 43: not meant for this use.
    UnsupportedCertificate,
    /// 46: unacceptable for another reason.
    CertificateUnknown,
    /// 49: valid, and not let in.
    AccessDenied,
    /// 51: a signature does not verify.
    DecryptError,
    /// 112: the server name is not served here.
    UnrecognizedName,
    /// 70: no common TLS version.
    ProtocolVersion,
    /// 40: no common ground otherwise.
    HandshakeFailure,
    /// 120: no common application protocol.
    NoApplicationProtocol,
    /// Any other, by its number.
    Other(u8),
}

impl Alert {
    /// The alert's name in the specification. RFC 8446 §6.2.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateRequired => "certificate_required",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateRevoked => "certificate_revoked",
            Self::UnknownCa => "unknown_ca",
            Self::BadCertificate => "bad_certificate",
            Self::UnsupportedCertificate => "unsupported_certificate",
            Self::CertificateUnknown => "certificate_unknown",
            Self::AccessDenied => "access_denied",
            Self::DecryptError => "decrypt_error",
            Self::UnrecognizedName => "unrecognized_name",
            Self::ProtocolVersion => "protocol_version",
            Self::HandshakeFailure => "handshake_failure",
            Self::NoApplicationProtocol => "no_application_protocol",
            Self::Other(_) => "of another kind",
        }
    }

    /// One sentence for the one whose certificate or request was refused.
    pub fn sentence(self) -> String {
        match self {
            Self::CertificateRequired => {
                "the server demands a client certificate and none was sent".into()
            }
            Self::CertificateExpired => {
                "the server refused your certificate: expired, or not yet valid".into()
            }
            Self::CertificateRevoked => "the server refused your certificate: revoked".into(),
            Self::UnknownCa => {
                "the server refused your certificate: issued by an authority it does not trust, or its revocation status is unknown"
                    .into()
            }
            Self::BadCertificate => "the server refused your certificate: it cannot be read".into(),
            Self::UnsupportedCertificate => {
                "the server refused your certificate: not issued for client authentication".into()
            }
            Self::CertificateUnknown => "the server refused your certificate: unacceptable".into(),
            Self::AccessDenied => {
                "the server refused your certificate: valid, but not let in here".into()
            }
            Self::DecryptError => {
                "the server refused your certificate: a signature does not verify, or the key is too weak".into()
            }
            Self::UnrecognizedName => "the server does not serve this host name".into(),
            Self::ProtocolVersion => "the server speaks no TLS version in common with us".into(),
            Self::HandshakeFailure => "the server found nothing in common to agree on in the handshake".into(),
            Self::NoApplicationProtocol => "the server speaks no HTTP version in common with us".into(),
            Self::Other(number) => format!("the server ended the connection with TLS alert {number}"),
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence())
    }
}

impl From<AlertDescription> for Alert {
    fn from(alert: AlertDescription) -> Self {
        match u8::from(alert) {
            116 => Self::CertificateRequired,
            45 => Self::CertificateExpired,
            44 => Self::CertificateRevoked,
            48 => Self::UnknownCa,
            42 => Self::BadCertificate,
            43 => Self::UnsupportedCertificate,
            46 => Self::CertificateUnknown,
            49 => Self::AccessDenied,
            51 => Self::DecryptError,
            112 => Self::UnrecognizedName,
            70 => Self::ProtocolVersion,
            40 => Self::HandshakeFailure,
            120 => Self::NoApplicationProtocol,
            other => Self::Other(other),
        }
    }
}

/// The alert the peer sent, if that is what ended the connection behind `error`.
///
/// With TLS 1.3 a client sees its handshake succeed and learns of the refusal with the first read, so this is to be
/// asked of errors of requests as well as of connections. RFC 8446 §4.4.2.4.
pub fn peer_alert(error: &(dyn Error + 'static)) -> Option<Alert> {
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => Some(Alert::from(*alert)),
        Some(_) => None,
        None => links(error).find_map(|link| alert_in_words(&link.to_string())),
    }
}

/// The h2 crate keeps of an error of the connection only the words. They are compared with rustls's own, whole, so
/// that nothing else is taken for an alert. This can go when h2 hands the error on.
fn alert_in_words(words: &str) -> Option<Alert> {
    (0..=u8::MAX)
        .map(AlertDescription::from)
        .find(|alert| rustls::Error::AlertReceived(*alert).to_string() == words)
        .map(Alert::from)
}

/// Why we refused the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerCertificateFault {
    /// Issued by no authority we trust.
    UnknownIssuer,
    /// Issued for other hosts.
    WrongHost,
    /// Expired.
    Expired,
    /// Not yet valid.
    NotYetValid,
    /// Another fault, in rustls's words.
    Other(String),
}

impl ServerCertificateFault {
    /// One sentence for the one who called the server.
    pub fn sentence(&self) -> String {
        match self {
            Self::UnknownIssuer => {
                "the server's certificate was issued by an authority that is not trusted here".into()
            }
            Self::WrongHost => "the server's certificate was issued for another host name".into(),
            Self::Expired => "the server's certificate has expired".into(),
            Self::NotYetValid => "the server's certificate is not yet valid".into(),
            Self::Other(reason) => format!("the server's certificate was refused: {reason}"),
        }
    }
}

impl fmt::Display for ServerCertificateFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence())
    }
}

/// What we found wrong with the server's certificate, if that is what ended the connection behind `error`.
pub fn server_certificate_fault(error: &(dyn Error + 'static)) -> Option<ServerCertificateFault> {
    use CertificateError as Fault;
    let rustls::Error::InvalidCertificate(fault) = tls_error(error)? else {
        return None;
    };
    Some(match fault {
        Fault::UnknownIssuer => ServerCertificateFault::UnknownIssuer,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => ServerCertificateFault::WrongHost,
        Fault::Expired | Fault::ExpiredContext { .. } => ServerCertificateFault::Expired,
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => ServerCertificateFault::NotYetValid,
        other => ServerCertificateFault::Other(other.to_string()),
    })
}

/// The rustls error at the bottom of `error`, through every wrapper.
pub(crate) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    links(error).find_map(|link| link.downcast_ref())
}

fn links<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&link: &&'e (dyn Error + 'static)| {
        // An `io::Error` names as its source the source of the error it wraps, and so leaves that error itself out.
        match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => link.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(error: rustls::Error) -> io::Error {
        io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn finds_the_alert_through_nested_errors() {
        let error = wrapped(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired,
        ));
        assert_eq!(peer_alert(&error), Some(Alert::CertificateRequired));
        assert_eq!(server_certificate_fault(&error), None);
    }

    #[test]
    fn finds_the_alert_of_which_only_the_words_are_left() {
        let words = rustls::Error::AlertReceived(AlertDescription::AccessDenied).to_string();
        assert_eq!(
            peer_alert(&io::Error::other(words.clone())),
            Some(Alert::AccessDenied)
        );
        assert_eq!(peer_alert(&io::Error::other(format!("{words}, it said"))), None);
    }

    #[test]
    fn finds_no_alert_where_the_peer_sent_none() {
        assert_eq!(peer_alert(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
        assert_eq!(peer_alert(&wrapped(rustls::Error::DecryptError)), None);
    }

    #[test]
    fn finds_the_fault_of_the_servers_certificate() {
        let error = wrapped(CertificateError::UnknownIssuer.into());
        assert_eq!(
            server_certificate_fault(&error),
            Some(ServerCertificateFault::UnknownIssuer)
        );
        assert_eq!(peer_alert(&error), None);
    }

    #[test]
    fn keeps_the_number_of_an_alert_it_has_no_words_for() {
        let alert = Alert::from(AlertDescription::from(80));
        assert_eq!(alert, Alert::Other(80));
        assert!(alert.sentence().ends_with("80"));
    }
}
