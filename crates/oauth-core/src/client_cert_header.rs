//! The `Client-Cert` header: how a gateway tells the API behind it which certificate the connection presented; and the
//! other headers by which load balancers tell a gateway, in [`encoding`].
//!
//! Whoever reads one must know, by other means, that only the gateway or the load balancer could have written it.

pub mod encoding;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The header's name, in the lower case of HTTP/2.
///
/// [RFC 9440 §2.2](https://www.rfc-editor.org/rfc/rfc9440#section-2.2)
pub const CLIENT_CERT: &str = "client-cert";

/// The name of the header that carries the rest of the chain.
///
/// RFC 9440 §2.3
pub const CLIENT_CERT_CHAIN: &str = "client-cert-chain";

/// Writes a certificate as a Byte Sequence: `:`, base64 of the DER, `:`.
///
/// RFC 9440 §2.1, RFC 8941 §3.3.5
pub fn encode(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// Reads the one value of a `Client-Cert` header back to DER.
///
/// # Errors
///
/// [`MalformedClientCert`] for anything but one Byte Sequence: no colons, PEM, a list, parameters.
///
/// RFC 9440 §2.1
pub fn decode(value: &str) -> Result<Vec<u8>, MalformedClientCert> {
    let encoded = value
        .strip_prefix(':')
        .and_then(|rest| rest.strip_suffix(':'))
        .ok_or(MalformedClientCert)?;
    let der = STANDARD.decode(encoded).map_err(|_| MalformedClientCert)?;
    if der.is_empty() {
        Err(MalformedClientCert)
    } else {
        Ok(der)
    }
}

/// The value is not one RFC 9440 Byte Sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Client-Cert header must be `:`, the base64 of the certificate's DER, `:`")]
pub struct MalformedClientCert;

#[cfg(test)]
mod tests {
    use super::*;

    /// H1.
    #[test]
    fn reads_back_what_it_wrote() {
        assert_eq!(encode(b"der"), ":ZGVy:");
        assert_eq!(decode(":ZGVy:"), Ok(b"der".to_vec()));
    }

    /// H10.
    #[test]
    fn refuses_missing_colons_pem_lists_and_parameters() {
        for value in [
            "",
            ":",
            "::",
            "ZGVy",
            ":ZGVy",
            ":ZGVy:;a=1",
            ":ZGVy:, :ZGVy:",
            "-----BEGIN CERTIFICATE-----",
            ":ZG Vy:",
        ] {
            assert_eq!(decode(value), Err(MalformedClientCert), "{value}");
        }
    }
}
