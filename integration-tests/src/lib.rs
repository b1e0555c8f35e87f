//! What the end-to-end tests stand on: a whole system per test with a PKI of its own, raw TLS, an upstream that
//! records, and the log of every refusal.
#![expect(
    clippy::unwrap_used,
    reason = "a harness that cannot be set up fails the test that asked for it"
)]

pub mod issuer;
pub mod log;
pub mod nginx;
pub mod processes;
pub mod raw;
pub mod upstream;

use std::{ops::Deref, path::Path, time::SystemTime};

use demo::{
    actor::Actor,
    configuration::{Listeners, Parts, Settings},
    system::{System, prepare_certificates},
};
use mtls::{Credentials, TrustAnchors};
use oauth_core::{client_cert_header, time::Timestamp};
use pki::{Authority, Certificate, Existing, KeyAlgorithm, Member, Pkcs12, Preparation};
use reqwest::header::{HeaderMap, HeaderName};
use service::Shutdown;
use tempfile::TempDir;

/// A PKI and a token store in a directory of their own, without services.
#[derive(Debug)]
pub struct Ground {
    directory: TempDir,
}

impl Default for Ground {
    fn default() -> Self {
        Self::new()
    }
}

impl Ground {
    /// A fresh PKI.
    pub fn new() -> Self {
        Self::with_pkcs12(Pkcs12::Skip)
    }

    /// A fresh PKI with PKCS#12 files, whose password hash is cheap.
    pub fn with_pkcs12(pkcs12: Pkcs12) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let preparation = Preparation {
            existing: Existing::Replace,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            pkcs12,
        };
        prepare_certificates(&directory.path().join("certs"), &preparation).unwrap();
        Self { directory }
    }

    /// The directory that holds `certs/` and `data/`.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The root that everybody here trusts.
    pub fn trust(&self) -> TrustAnchors {
        TrustAnchors::from_pem_files(&[self.path().join("certs/root.pem")]).unwrap()
    }

    /// A member's certificate and key.
    pub fn credentials(&self, member: Member) -> Credentials {
        let file = |extension| {
            let name = format!("{}.{extension}", member.path());
            self.path().join("certs").join(name)
        };
        Credentials::from_pem_files(&file("pem"), &file("key")).unwrap()
    }

    /// Starts the services on free ports; a second start finds what the first one stored.
    pub async fn start(&self, settings: Settings) -> System {
        log::capture();
        System::start(self.parts(Listeners::free(), settings), Shutdown::new())
            .await
            .unwrap()
    }

    /// What a system on this ground is made of.
    pub fn parts(&self, listeners: Listeners, settings: Settings) -> Parts {
        let (certificates, data) = (self.path().join("certs"), self.path().join("data"));
        Parts {
            certificates,
            data,
            listeners,
            settings,
        }
    }
}

/// A running system on its own ground.
#[derive(Debug)]
pub struct TestSystem {
    system: System,
    ground: Ground,
}

impl TestSystem {
    /// The demo's system, fresh.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// The demo's system with other settings.
    pub async fn start_with(settings: Settings) -> Self {
        let ground = Ground::new();
        Self {
            system: ground.start(settings).await,
            ground,
        }
    }

    /// A system on a ground that is there already.
    pub async fn on(ground: Ground, settings: Settings) -> Self {
        let system = ground.start(settings).await;
        Self { system, ground }
    }

    /// The ground it stands on.
    pub const fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The partner, `CN=demo-partner`.
    pub fn partner(&self) -> Actor {
        self.actor(Some(Member::Example)).unwrap()
    }

    /// The other partner, `CN=other-partner`: the thief, where one is needed.
    pub fn other(&self) -> Actor {
        self.actor(Some(Member::Other)).unwrap()
    }

    /// A member's certificate as the value of `Client-Cert`. RFC 9440 §2.2
    pub fn client_cert_value(&self, member: Member) -> String {
        client_cert_header::encode(self.ground.credentials(member).leaf_der())
    }

    /// A member's certificate in `Client-Cert`.
    pub fn client_cert(&self, member: Member) -> HeaderMap {
        let value = self.client_cert_value(member).parse().unwrap();
        HeaderMap::from_iter([(HeaderName::from_static("client-cert"), value)])
    }

    /// Puts a member's certificate on the revocation list, which every service then reads.
    pub fn revoke(&self, member: Member) {
        let directory = self.ground.path().join("certs");
        let certificate = Certificate::from_pem_or_der(self.ground.credentials(member).leaf_der()).unwrap();
        let authority = Authority::open(&directory).unwrap();
        let now = Timestamp::from(SystemTime::now());
        authority.revoke(&certificate, now).unwrap().unwrap();
        self.reload();
    }

    /// A fresh token of the partner's.
    pub async fn partner_token(&self) -> String {
        self.partner()
            .request_token("partner-client")
            .await
            .access_token()
            .unwrap()
    }
}

impl Deref for TestSystem {
    type Target = System;

    fn deref(&self) -> &System {
        &self.system
    }
}
