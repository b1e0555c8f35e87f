//! Which resource a route belongs to.

use oauth_core::metadata::ResourceIdentifier;

use crate::host::{HostName, host_of_authority};
use crate::path;
use crate::resource::resource_of_host;

/// The resource that a route of `host` names, or else the host's.
///
/// # Errors
///
/// What is wrong with the name.
pub(super) fn resource(named: Option<&str>, host: &HostName) -> Result<ResourceIdentifier, String> {
    named.map_or_else(|| Ok(resource_of_host(host)), |text| identifier(text, host))
}

fn identifier(text: &str, host: &HostName) -> Result<ResourceIdentifier, String> {
    let identifier: ResourceIdentifier = text
        .parse()
        .map_err(|error| format!("{text:?} is none: {error}"))?;
    let named = host_of_authority(identifier.authority().as_bytes());
    if !named.is_some_and(|named| named.eq_ignore_ascii_case(host.as_str())) {
        return Err(format!(
            "is of another host than the route; write https://{host} or a path below it"
        ));
    }
    let metadata_path = identifier.metadata_path();
    if metadata_path.contains('?') || path::verify(&metadata_path).is_err() {
        return Err(
            "has a query, or a path that no request may have; write its path in plain form".to_owned(),
        );
    }
    Ok(identifier)
}
