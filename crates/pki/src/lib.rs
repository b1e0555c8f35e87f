//! A small certificate authority for certbound: one root, its servers, its clients and its revocation list.
//!
//! Everything is made in memory first ([`Root`], [`DemoSet`]), so tests get a fresh PKI without touching a disk;
//! [`prepare`] puts the same set into a `certs/` directory. Nothing here decides whether a certificate is trusted in
//! a handshake: that is the business of the TLS listeners. Only the demo, the tests and the `pki` command depend on it.

mod authority;
mod certificate;
mod demo_set;
mod description;
mod error;
mod files;
mod hand_out;
mod identity;
mod inventory;
mod key;
mod layout;
mod pem;
mod pkcs12;
mod prepare;
mod request;
mod revocation;
mod root;
mod signature;
mod subject;
mod subject_alternative_name;
mod validity;

pub use authority::{Authority, FileName, Issued, Overwrite};
pub use certificate::Certificate;
pub use demo_set::{DemoSet, Member};
pub use description::{Description, Registration};
pub use error::Error;
pub use files::write_public;
pub use hand_out::{Owner, Share, give_to_directory_owner};
pub use identity::Identity;
pub use key::{KeyAlgorithm, PrivateKey};
pub use pkcs12::{PKCS12_ITERATIONS, Pkcs12};
pub use prepare::{Existing, Outcome, Preparation, Report, ReportEntry, prepare};
pub use request::CertificateRequest;
pub use revocation::{RevocationList, RevokedCertificate};
pub use root::{Leaf, Root, Usage};
pub use subject::Subject;
pub use subject_alternative_name::SubjectAlternativeName;
pub use validity::{Days, RENEWAL_MARGIN, Validity};
