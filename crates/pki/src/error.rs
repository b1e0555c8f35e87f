//! What can go wrong while certificates are made or read, in words that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

use oauth_core::distinguished_name::DistinguishedNameError;

/// Why a certificate, key, request or revocation list cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file at `path` is the trouble; `source` says why.
    #[error("{}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// The file system refused.
    #[error("cannot be read or written")]
    Io(#[from] io::Error),
    /// There is a file already, and it is never overwritten unasked.
    #[error("already exists; use --force to overwrite it, or another name")]
    AlreadyExists,
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A key could not be generated or used, or a certificate not be laid out.
    #[error("the certificate or key cannot be made")]
    Making(#[from] rcgen::Error),
    /// A structure could not be encoded as DER.
    #[error("cannot be encoded as DER")]
    Encoding(#[from] x509_cert::der::Error),
    /// PKCS#12 could not be written.
    #[error("the PKCS#12 file cannot be made")]
    Pkcs12(#[from] p12_keystore::error::Error),
    /// A point in time that a certificate cannot hold.
    #[error("a point in time lies outside what a certificate can hold")]
    Time(#[from] time::error::ComponentRange),
    /// Not one X.509 certificate.
    #[error("holds no X.509 certificate (PEM or DER)")]
    NotACertificate,
    /// Not a private key in PEM.
    #[error("holds no unencrypted private key in PEM (`BEGIN PRIVATE KEY`)")]
    NotAPrivateKey,
    /// Not a PKCS#10 request.
    #[error("holds no certificate signing request (PEM or DER)")]
    NotARequest,
    /// Not a CRL.
    #[error("holds no certificate revocation list (PEM or DER)")]
    NotARevocationList,
    /// The certificate may not sign others.
    #[error("is no certificate authority: it lacks CA:TRUE, keyCertSign or cRLSign")]
    NotAnAuthority,
    /// Key and certificate do not belong together.
    #[error(
        "does not belong to the key beside it; restore the right one, or remove both files and run init again"
    )]
    KeyMismatch,
    /// A certificate whose key is lost.
    #[error("is there without its key; restore the .key file, or remove the certificate and run init again")]
    KeyMissing,
    /// A PKCS#12 file whose key file is lost.
    #[error("is there without its .key file; restore that, or move this file away and run init again")]
    Pkcs12WithoutKey,
    /// Certificates are there but the root that signed them is not.
    #[error("is missing, but certificates it signed are there; restore it, or start anew with init --force")]
    RootMissing,
    /// There is no root in the directory.
    #[error("is missing; name the right --dir, or make a root with init")]
    NoRoot,
    /// There is no revocation list, though certificates may have been revoked.
    #[error(
        "is missing, and it alone knows what was revoked; restore it from a backup, or start with an empty one by pki \
         crl --anew (whatever was revoked before is let in again until it is revoked again)"
    )]
    NoRevocationList,
    /// A new list was asked for beside the one that is there.
    #[error(
        "is there; pki crl --anew is for a lost list, and would forget what this one revokes; if it cannot be used, move \
         it away first"
    )]
    RevocationListThere,
    /// A certificate authority's certificate was to be revoked by its own list.
    #[error(
        "is a certificate authority's, which its own list cannot revoke; to be rid of it, make a new root with pki \
         init --force and have every listener trust that one alone"
    )]
    RevokesAuthority,
    /// A certificate that another root signed.
    #[error("was not issued by this root; name the right --dir, or remove the file")]
    NotIssuedHere,
    /// The rogue fixture, but signed by our own root.
    #[error("must come from another root, but this root issued it; remove both files and run init again")]
    RogueIssuedHere,
    /// A CRL that another root signed, or that was tampered with.
    #[error(
        "was not signed by this root; restore it from a backup, or move it away and start with an empty one by pki \
         crl --anew (whatever was revoked before is let in again until it is revoked again)"
    )]
    ForeignRevocationList,
    /// The CRL's number is larger than any this tool writes.
    #[error("carries a CRL number beyond 64 bits; it was not written by this tool")]
    CrlNumber,
    /// The root itself has run out.
    #[error("the root certificate has expired; run init --renew-expired")]
    RootExpired,
    /// The request's key can be broken.
    #[error(
        "the request's RSA key has {0} bits, which is too weak: at least 2048 are needed; have a new key and request made"
    )]
    WeakKey(usize),
    /// The request's signature does not verify.
    #[error(
        "the request's signature does not verify under its own key: it is damaged, or whoever made it does not hold \
         the key, or it was not signed with SHA-256 or better"
    )]
    NoProofOfPossession,
    /// A request that names nobody.
    #[error("the request has neither a subject nor a subjectAltName: the certificate would name nobody")]
    NamesNobody,
    /// A request whose key cannot be certified unchanged.
    #[error(
        "the request's public key is of a kind that cannot be certified; accepted are ECDSA P-256 and P-384, Ed25519, \
         and RSA from 2048 to 8192 bits"
    )]
    UnsupportedKey,
    /// A server that nobody would find.
    #[error(
        "the request names no host: servers are known by their subjectAltNames alone, whatever the subject says; have it \
         made again with one, such as openssl req -addext subjectAltName=DNS:api.example.com"
    )]
    NamesNoHost,
    /// A subjectAltName that the operator has not granted.
    #[error(
        "the request asks for the subjectAltName {0}, and whoever carries a name may be taken for its owner; if it is the \
         requester's, grant it by --san-dns, --san-ip, --san-uri or --san-email"
    )]
    NameNotGranted(String),
    /// A subject that somebody has already.
    #[error(
        "the request asks for the subject {subject}, which {} carries; if it is the same owner's, grant it by --subject",
        .path.display()
    )]
    SubjectTaken {
        /// The subject.
        subject: String,
        /// The certificate that carries it.
        path: PathBuf,
    },
    /// A subjectAltName other than dNSName, iPAddress, URI or rfc822Name.
    #[error("the request asks for a subjectAltName other than a DNS name, IP address, URI or e-mail address")]
    UnsupportedAlternativeName,
    /// A subjectAltName that cannot be written as asked.
    #[error("`{0}` is no {1}")]
    BadAlternativeName(String, &'static str),
    /// A subject that is not RFC 4514.
    #[error("the subject is not written as in RFC 4514, for example `CN=demo-partner,O=Example,C=SE`")]
    Subject(#[from] DistinguishedNameError),
    /// A subject with a value its attribute type does not allow.
    #[error("the subject cannot be written into a certificate; try it without exotic characters or escapes")]
    SubjectValue,
    /// A number of days out of bounds.
    #[error("a lifetime must be between 1 and {0} days")]
    Days(u32),
    /// An unknown key algorithm.
    #[error("key algorithm must be one of ecdsa-p256, rsa-2048, rsa-3072, rsa-4096")]
    KeyAlgorithm,
    /// An owner that is not two numbers.
    #[error("an owner is two numbers, UID:GID")]
    Owner,
    /// A share that is not written as it should be.
    #[error("a share is written DIRECTORY=FILE,FILE,... and its files are plain names")]
    Share,
    /// A name that is no plain file name.
    #[error("a name consists of letters, digits, `.`, `-` and `_`, and does not start with `.` or `-`")]
    FileName,
}

impl Error {
    /// The same error, with the file that caused it in front.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            source: Box::new(self),
        }
    }
}
