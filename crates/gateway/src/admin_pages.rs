//! What the admin listener shows beside health and metrics: the metadata of every resource, also where the public
//! listener asks everybody for a certificate.
//!
//! The paths are those of the public listener; `Host` says of which host, and need not where there is only one.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::host::{HostName, host_of_authority};
use crate::hosts::LiveHosts;
use crate::resource::Resources;

const NOT_HERE: &str = "no resource is described here; ask with the resource's host as Host\n";

/// The pages of the admin listener.
pub(crate) fn admin_pages(hosts: LiveHosts) -> Router {
    let metadata = get(metadata);
    Router::new()
        .route("/.well-known/oauth-protected-resource", metadata.clone())
        .route("/.well-known/oauth-protected-resource/{*path}", metadata)
        .with_state(hosts)
}

async fn metadata(State(hosts): State<LiveHosts>, request: Request) -> Response<Body> {
    let hosts = hosts.now();
    let resources = &hosts.resources;
    let host = host_asked(request.headers(), resources);
    let resource = host.and_then(|host| resources.described_at(&host, request.uri().path()));
    match resource.map(|resource| resource.answer(request.method())) {
        Some(Ok(answer)) => answer.map(Body::from),
        Some(Err(_)) | None => (StatusCode::NOT_FOUND, NOT_HERE).into_response(),
    }
}

fn host_asked(headers: &HeaderMap, resources: &Resources) -> Option<HostName> {
    let named = headers
        .get(HOST)
        .and_then(|value| host_of_authority(value.as_bytes()))
        .and_then(|name| HostName::parse(name).ok())
        .filter(|name| resources.hosts().any(|host| host == name));
    let mut hosts = resources.hosts();
    let only = hosts.next().filter(|_| hosts.next().is_none());
    named.or_else(|| only.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::tests::configured;

    fn asked(resources: &Resources, host: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        host_asked(&headers, resources).map(|host| host.to_string())
    }

    fn route(host: &str) -> String {
        format!(
            "[[routes]]\nhost = {host:?}\nupstream = [\"https://localhost:1\"]\naudience = \"a\"\nscope = \"\"\n"
        )
    }

    /// S6.
    #[test]
    fn takes_the_host_that_is_named_and_the_only_one_where_none_is() {
        let (one, _) = configured(&route("api.example.com"));
        assert_eq!(asked(&one, "127.0.0.1:9102").unwrap(), "api.example.com");
        let (two, _) = configured(&[route("api.example.com"), route("other.example.com")].concat());
        assert_eq!(asked(&two, "127.0.0.1:9102"), None);
        assert_eq!(asked(&two, "login.example.com"), None);
        assert_eq!(
            asked(&two, "Other.example.com:9102").unwrap(),
            "other.example.com"
        );
    }
}
