//! A client certificate in a header, in each encoding that a load balancer writes. The first byte says which.
//!
//! A value has one reading: what it holds is DER, and written anew as a Byte Sequence or as hexadecimal it is the same.
//! A value that is refused is said to be another encoding only where it is one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_core::client_cert_header;
use oauth_core::client_cert_header::encoding::HeaderEncoding;
use oauth_core::thumbprint::CertificateThumbprint;

fuzz_target!(|data: &[u8]| {
    let Some((chosen, value)) = data.split_first() else {
        return;
    };
    let encoding = HeaderEncoding::ALL[usize::from(*chosen) % HeaderEncoding::ALL.len()];
    match encoding.decode(value) {
        Ok(chain) => chain.iter().for_each(|der| verify_der(der)),
        Err(error) => {
            assert_eq!(error.expected, encoding);
            assert!(
                error
                    .seen
                    .is_none_or(|seen| seen != encoding && seen.decode(value).is_ok())
            );
        }
    }
    if let Ok(text) = str::from_utf8(value)
        && let Ok(thumbprint) = CertificateThumbprint::parse_hex(text)
    {
        assert!(thumbprint.to_hex().eq_ignore_ascii_case(&text.replace(':', "")));
        assert_eq!(
            CertificateThumbprint::parse_hex(&thumbprint.to_hex()),
            Ok(thumbprint)
        );
    }
});

fn verify_der(der: &[u8]) {
    assert_eq!(der.first(), Some(&0x30), "a SEQUENCE");
    let written = client_cert_header::encode(der);
    assert_eq!(
        HeaderEncoding::Rfc9440.decode(written.as_bytes()).as_deref(),
        Ok(&[der.to_vec()][..])
    );
    let bare = written.trim_matches(':').to_owned();
    assert_eq!(
        HeaderEncoding::Base64Der.decode(bare.as_bytes()).as_deref(),
        Ok(&[der.to_vec()][..])
    );
}
