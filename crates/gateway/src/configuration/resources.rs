//! Which resource each route belongs to, where the file names one.

use std::collections::HashMap;

use oauth_core::metadata::ResourceIdentifier;
use service::Problems;

use super::file::RouteSection;
use crate::host::{HostName, host_of_authority};
use crate::path;
use crate::resource::{NamedResources, resource_of_host};
use crate::route::PathPrefix;

/// Checks the key `resource` of every route whose host and path are in order; the others are noted already.
pub(super) fn named_resources(sections: &[RouteSection], problems: &mut Problems) -> NamedResources {
    let mut named = NamedResources::new();
    let mut described: HashMap<_, ResourceIdentifier> = HashMap::new();
    for (index, section) in sections.iter().enumerate() {
        let (host, prefix) = (HostName::parse(&section.host), PathPrefix::parse(&section.path));
        let (Ok(host), Ok(prefix)) = (host, prefix) else {
            continue;
        };
        let key = format!("routes[{index}].resource");
        let identifier = match &section.resource {
            None => resource_of_host(&host),
            Some(text) => {
                let Some(identifier) = problems.take(&key, identifier(text, &host)) else {
                    continue;
                };
                named.insert((host.clone(), prefix), identifier.clone());
                identifier
            }
        };
        let place = (host, identifier.metadata_path());
        let first = described.entry(place).or_insert_with(|| identifier.clone());
        if *first != identifier {
            problems.add(
                key,
                format!("{identifier} and {first}, of another route, would be described at one place"),
            );
        }
    }
    named
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
