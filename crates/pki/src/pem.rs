//! PEM in and out. Files may be PEM, with text around the block, or plain DER.

use x509_cert::der::pem::{self, LineEnding};

use crate::error::Error;

/// The DER of `file`: the file itself where it starts like DER, else the first PEM block under one of `labels`.
pub(crate) fn der_of(file: &[u8], labels: &[&str]) -> Option<Vec<u8>> {
    /// How every certificate, request and revocation list begins: an ASN.1 SEQUENCE.
    const SEQUENCE: u8 = 0x30;
    if file.first() == Some(&SEQUENCE) {
        return Some(file.to_vec());
    }
    let text = str::from_utf8(file).ok()?;
    labels.iter().find_map(|label| first_block(text, label))
}

/// `der` as a PEM block under `label`.
pub(crate) fn encode(label: &str, der: &[u8]) -> Result<String, Error> {
    pem::encode_string(label, LineEnding::LF, der)
        .map_err(|error| Error::Encoding(x509_cert::der::ErrorKind::Pem(error).into()))
}

fn first_block(text: &str, label: &str) -> Option<Vec<u8>> {
    let end_line = format!("-----END {label}-----");
    let start = text.find(&format!("-----BEGIN {label}-----"))?;
    let block = &text[start..];
    let end = block.find(&end_line)? + end_line.len();
    let (_, der) = pem::decode_vec(&block.as_bytes()[..end]).ok()?;
    Some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_block_between_other_text() {
        let block = encode("CERTIFICATE", &[0x30, 0]).unwrap();
        let file = format!("subject=CN = demo\n{block}and more\n{block}");
        assert_eq!(der_of(file.as_bytes(), &["CERTIFICATE"]), Some(vec![0x30, 0]));
    }

    #[test]
    fn takes_der_as_it_is() {
        assert_eq!(der_of(&[0x30, 0], &["CERTIFICATE"]), Some(vec![0x30, 0]));
    }

    #[test]
    fn finds_nothing_under_another_label() {
        let block = encode("PRIVATE KEY", &[0x30, 0]).unwrap();
        assert_eq!(der_of(block.as_bytes(), &["CERTIFICATE"]), None);
        assert_eq!(der_of(b"\xff\xfe", &["CERTIFICATE"]), None);
    }
}
