//! `--connect-to`: where a host is really reached, by address or by another name.

use std::convert::Infallible;
use std::str::FromStr;

use anyhow::Context;
use mtls::ConnectTo;

/// A mapping as it stands on the command line; a name in it is looked up later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// `none`, or nothing: hosts are reached by their own names.
    None,
    /// `HOST=ADDRESS:PORT` or `HOST=NAME:PORT`.
    HostTo(String),
}

impl FromStr for Mapping {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.trim() {
            "" | "none" => Self::None,
            mapping => Self::HostTo(mapping.to_owned()),
        })
    }
}

/// The mapping with its address; a name stands for the first address it resolves to.
pub(crate) async fn resolve(mapping: &Mapping) -> anyhow::Result<Option<ConnectTo>> {
    let Mapping::HostTo(mapping) = mapping else {
        return Ok(None);
    };
    if let Ok(with_address) = mapping.parse() {
        return Ok(Some(with_address));
    }
    let malformed = || format!("--connect-to {mapping}: expected HOST=ADDRESS:PORT");
    let (host, target) = mapping.split_once('=').with_context(malformed)?;
    let mut addresses = tokio::net::lookup_host(target).await.ok().with_context(|| {
        format!("--connect-to {mapping}: {target} is no address with a port, and no name that resolves")
    })?;
    let address = addresses
        .next()
        .with_context(|| format!("--connect-to {mapping}: {target} has no address"))?;
    format!("{host}={address}")
        .parse()
        .map(Some)
        .with_context(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(text: &str) -> anyhow::Result<Option<String>> {
        let mapping = text.parse::<Mapping>()?;
        Ok(resolve(&mapping).await?.map(|mapping| mapping.to_string()))
    }

    #[tokio::test]
    async fn accepts_an_address_a_name_and_none() {
        let address = resolved("api.example.com=127.0.0.1:3000").await.unwrap();
        assert_eq!(address.as_deref(), Some("api.example.com=127.0.0.1:3000"));
        let name = resolved("api.example.com=localhost:3000").await.unwrap().unwrap();
        assert!(
            name.starts_with("api.example.com=") && name.ends_with(":3000"),
            "{name}"
        );
        assert_eq!(resolved("none").await.unwrap(), None);
        assert_eq!(resolved("").await.unwrap(), None);
    }

    #[tokio::test]
    async fn refuses_what_lacks_a_part() {
        for text in [
            "api.example.com",
            "=127.0.0.1:3000",
            "api.example.com=127.0.0.1",
            "a/b=127.0.0.1:3000",
        ] {
            let error = resolved(text).await.unwrap_err();
            assert!(format!("{error:#}").contains(text), "{error:#}");
        }
    }
}
