//! The command line, and the configuration it stands for.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use client::{ClientConfiguration, Method, TokenEndpoint, https_url};
use mtls::{ConnectTo, Credentials, Timeouts, TrustAnchors};
use oauth_core::metadata::{ResourceIdentifier, metadata_url};
use oauth_core::scope::Scope;

use crate::connect_to::{Mapping, resolve};

const DEMO_URL: &str = "https://api.example.com/api/transactions";
const DEMO_TOKEN_ENDPOINT: &str = "https://login.example.com/oauth/v2/oauth-token-mutual-tls";
const DEMO_CONNECT_TO: &str = "login.example.com=127.0.0.1:3000,api.example.com=127.0.0.1:3000";

/// Holds the password of a PKCS#12 archive where no file does; no flag, since every user of the machine can read those.
const PKCS12_PASSWORD: &str = "CERTBOUND_PASSWORD";

const AFTER_HELP: &str = "\
Examples:
  The demo's call, POST to the sample API as partner-client:
      client call
  The caller's transactions, with status and headers:
      client call https://api.example.com/api/transactions --include
  The demo's call as another partner:
      client --client-id other-client --cert certs/other.client.pem \\
          --key certs/other.client.key call
  With a PKCS#12 archive and a body:
      client --p12 certs/example.client.p12 --password-file password.txt \\
          call --data '{\"amount\":1}'
  Elsewhere, with the token endpoint from the issuer's metadata:
      client --connect-to none --cacert ca.pem \\
          --issuer https://login.example.org \\
          call https://api.example.org/orders
  The same, with the issuer from the API's own metadata:
      client --connect-to none --cacert ca.pem \\
          --resource https://api.example.org \\
          call https://api.example.org/orders
  With curl:
      curl --cert certs/example.client.pem --key certs/example.client.key \\
          --cacert certs/root.pem \\
          --connect-to api.example.com::127.0.0.1:3000 \\
          -H \"Authorization: Bearer $(client token)\" \\
          https://api.example.com/api/transactions

Environment:
  CERTBOUND_PASSWORD   password of --p12, where there is no --password-file
  RUST_LOG             what is logged on standard error (default: warn)

Every flag is also an environment variable: --client-id is CERTBOUND_CLIENT_ID. Paths are relative to the working directory.

Each run gets a new token and keeps none; programs that call often have the library of the same name keep theirs.

Exit code: 0 for an answer of 2xx, 1 for any other or none, 64 for arguments, files and values that cannot be used.";

/// Calls an API with a client certificate and an access token that is bound to it.
///
/// Gets the token from the authorization server with the same certificate. The answer goes to standard output;
/// whatever goes wrong is one sentence on standard error.
#[derive(Debug, Parser)]
#[command(name = "client", version, after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    identity: Identity,

    #[command(flatten)]
    servers: Servers,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Who calls")]
struct Identity {
    /// Client certificate, PEM: the chain, leaf first
    #[arg(
        long,
        value_name = "FILE",
        env = "CERTBOUND_CERT",
        global = true,
        default_value = "certs/example.client.pem"
    )]
    cert: PathBuf,

    /// Its private key, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "CERTBOUND_KEY",
        global = true,
        default_value = "certs/example.client.key"
    )]
    key: PathBuf,

    /// Client certificate and private key as a PKCS#12 archive; goes before --cert and --key
    #[arg(long, value_name = "FILE", env = "CERTBOUND_P12", global = true)]
    p12: Option<PathBuf>,

    /// File whose first line is the password of the PKCS#12 archive
    #[arg(long, value_name = "FILE", env = "CERTBOUND_PASSWORD_FILE", global = true)]
    password_file: Option<PathBuf>,

    /// The client's id at the authorization server
    #[arg(
        long,
        value_name = "ID",
        env = "CERTBOUND_CLIENT_ID",
        global = true,
        default_value = "partner-client"
    )]
    client_id: String,

    /// Scope to ask for, tokens separated by blanks [default: what the client is registered for]
    #[arg(long, value_name = "SCOPE", env = "CERTBOUND_SCOPE", global = true)]
    scope: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Whom to call")]
struct Servers {
    /// Certification authorities to trust for servers, PEM; the system's are not
    #[arg(
        long,
        value_name = "FILE",
        env = "CERTBOUND_CACERT",
        global = true,
        default_value = "certs/root.pem"
    )]
    cacert: PathBuf,

    /// Where tokens come from
    #[arg(long, value_name = "URL", env = "CERTBOUND_TOKEN_ENDPOINT", global = true, default_value = DEMO_TOKEN_ENDPOINT)]
    token_endpoint: String,

    /// Issuer whose metadata names the token endpoint; goes before --token-endpoint
    #[arg(long, value_name = "URL", env = "CERTBOUND_ISSUER", global = true)]
    issuer: Option<String>,

    /// API whose metadata names the issuer; goes before --issuer and --token-endpoint
    #[arg(long, value_name = "URL", env = "CERTBOUND_RESOURCE", global = true)]
    resource: Option<String>,

    /// Where a host is really reached: HOST=ADDRESS:PORT, repeatable or separated by commas; `none` for no mapping
    /// [default: login.example.com and api.example.com at 127.0.0.1:3000]
    ///
    /// ADDRESS is an IP address or a name. The default is the demo's; one mapping of your own replaces it whole, and
    /// so does an empty environment variable. Certificates are verified against HOST all the same.
    #[arg(long, value_name = "HOST=ADDRESS:PORT", env = "CERTBOUND_CONNECT_TO", global = true, value_delimiter = ',', default_value = DEMO_CONNECT_TO, hide_default_value = true)]
    connect_to: Vec<Mapping>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Call the API and print its answer
    Call(CallArguments),
    /// Print a token alone, for other programs to call with
    Token,
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    /// What to call, by https [default: the sample API's transactions]
    #[arg(env = "CERTBOUND_URL")]
    url: Option<String>,

    /// HTTP method; without it POST with --data and for the default URL, else GET
    #[arg(short = 'X', long, env = "CERTBOUND_METHOD")]
    method: Option<Method>,

    /// JSON to send as body, or a file to read it from: @FILE
    #[arg(short, long, value_name = "JSON", env = "CERTBOUND_DATA")]
    data: Option<String>,

    /// Print status and header fields before the body
    #[arg(short, long, env = "CERTBOUND_INCLUDE", value_parser = clap::builder::FalseyValueParser::new())]
    include: bool,
}

/// A call, ready to be made.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) body: Option<Bytes>,
    pub(crate) head: Head,
}

/// Whether the head of the answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Printed,
    LeftOut,
}

impl Arguments {
    /// Reads what the flags name, and looks at every value before anybody is called.
    pub(crate) async fn configuration(&self) -> anyhow::Result<ClientConfiguration> {
        let Servers {
            cacert,
            token_endpoint,
            issuer,
            resource,
            connect_to,
        } = &self.servers;
        let token_endpoint = match resource {
            Some(resource) => checked_resource(resource)?,
            None => checked_token_endpoint(token_endpoint, issuer.as_deref())?,
        };
        let scope = self.identity.scope.as_deref().unwrap_or_default();
        Ok(ClientConfiguration {
            token_endpoint,
            client_id: checked_client_id(&self.identity.client_id)?,
            scope: scope.parse::<Scope>().context("--scope")?,
            credentials: self.identity.credentials()?,
            trust: TrustAnchors::from_pem_files(std::slice::from_ref(cacert)).context("--cacert")?,
            connect_to: resolved(connect_to).await?,
            timeouts: Timeouts::default(),
        })
    }
}

fn checked_token_endpoint(url: &str, issuer: Option<&str>) -> anyhow::Result<TokenEndpoint> {
    let Some(issuer) = issuer else {
        ensure!(
            https_url(url).is_some(),
            "--token-endpoint: `{url}` is not an https URL, and no certificate is shown to any other"
        );
        return Ok(TokenEndpoint::Url(url.to_owned()));
    };
    let metadata = metadata_url(issuer).ok();
    ensure!(
        metadata.is_some_and(|url| https_url(&url).is_some()),
        "--issuer: `{issuer}` is not an https URL without query and fragment"
    );
    Ok(TokenEndpoint::Issuer(issuer.to_owned()))
}

fn checked_resource(text: &str) -> anyhow::Result<TokenEndpoint> {
    let resource: ResourceIdentifier = text
        .parse()
        .with_context(|| format!("--resource: `{text}` is none"))?;
    ensure!(
        https_url(&resource.metadata_url()).is_some(),
        "--resource: `{text}` is not an https URL"
    );
    Ok(TokenEndpoint::Resource(resource))
}

/// RFC 6749 §A.1
fn checked_client_id(client_id: &str) -> anyhow::Result<String> {
    let is_printable = client_id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    ensure!(
        !client_id.is_empty() && is_printable,
        "--client-id: a client_id consists of printable ASCII characters"
    );
    Ok(client_id.to_owned())
}

/// RFC 6750 §5.3
fn checked_url(url: &str) -> anyhow::Result<String> {
    ensure!(
        !url.is_empty(),
        "the URL is empty; name one, or unset CERTBOUND_URL to call the demo's API"
    );
    ensure!(
        https_url(url).is_some(),
        "`{url}` is not an https URL, and no token is sent to any other"
    );
    Ok(url.to_owned())
}

async fn resolved(mappings: &[Mapping]) -> anyhow::Result<Vec<ConnectTo>> {
    let mut resolved = Vec::new();
    for mapping in mappings {
        resolved.extend(resolve(mapping).await?);
    }
    Ok(resolved)
}

impl Identity {
    fn credentials(&self) -> anyhow::Result<Credentials> {
        let Some(archive) = &self.p12 else {
            return Credentials::from_pem_files(&self.cert, &self.key).context("--cert, --key");
        };
        let bytes = read(archive).context("--p12")?;
        Credentials::from_pkcs12(&bytes, &self.password()?)
            .with_context(|| format!("--p12: {} cannot be used", archive.display()))
    }

    fn password(&self) -> anyhow::Result<String> {
        let Some(file) = &self.password_file else {
            let password = std::env::var_os(PKCS12_PASSWORD).with_context(|| {
                format!("--p12 needs a password: name a --password-file, or set {PKCS12_PASSWORD}")
            })?;
            let password = password.into_string().ok();
            return password.with_context(|| format!("{PKCS12_PASSWORD} is not UTF-8"));
        };
        let bytes = read(file).context("--password-file")?;
        let text = String::from_utf8(bytes)
            .ok()
            .with_context(|| format!("--password-file: {} is not UTF-8", file.display()))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

impl Command {
    /// The call to be made; `None` where only a token is wanted.
    pub(crate) fn prepare(&self) -> anyhow::Result<Option<Call>> {
        let Self::Call(CallArguments {
            url,
            method,
            data,
            include,
        }) = self
        else {
            return Ok(None);
        };
        let body = data.as_deref().map(body).transpose()?;
        let default_method = if body.is_some() || url.is_none() {
            Method::POST
        } else {
            Method::GET
        };
        Ok(Some(Call {
            method: method.clone().unwrap_or(default_method),
            url: checked_url(url.as_deref().unwrap_or(DEMO_URL))?,
            body,
            head: if *include { Head::Printed } else { Head::LeftOut },
        }))
    }
}

fn body(data: &str) -> anyhow::Result<Bytes> {
    let bytes = match data.strip_prefix('@') {
        Some(file) => read(Path::new(file)).context("--data")?,
        None => data.as_bytes().to_vec(),
    };
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).context("--data is not JSON")?;
    Ok(bytes.into())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests;
