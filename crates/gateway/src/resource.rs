//! The resources behind the gateway, as they are described to whoever looks for their authorization servers: one
//! document each, readable by everybody who reaches the host, without token and without certificate.
//!
//! [RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use oauth_core::confirmation::BindingPolicy;
use oauth_core::metadata::{ProtectedResourceMetadata, ResourceIdentifier};

use crate::host::HostName;
use crate::rejection::Rejection;
use crate::route::{Route, Routes};

/// For how long a client may go without asking whether a resource is described anew.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A resource, described.
#[derive(Debug)]
pub(crate) struct Resource {
    metadata_url: String,
    document: Bytes,
}

/// Every resource of every host.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// By the path of their metadata.
    of_hosts: HashMap<HostName, BTreeMap<String, Resource>>,
}

/// `https://HOST`.
pub(crate) fn resource_of_host(host: &HostName) -> ResourceIdentifier {
    format!("https://{host}")
        .parse()
        .expect("a host name behind https:// is a resource identifier")
}

impl Resources {
    /// Describes the resources that `routes` belong to, whose tokens `issuers` issue.
    pub(crate) fn describe(routes: &Routes, issuers: &[String]) -> Self {
        let mut members: HashMap<_, Vec<&Arc<Route>>> = HashMap::new();
        for route in routes.iter() {
            let resource = (&route.host, &route.resource);
            members.entry(resource).or_default().push(route);
        }
        let mut resources = Self::default();
        for ((host, identifier), routes) in members {
            let resource = Resource::describe(identifier, &routes, issuers);
            let of_host = resources.of_hosts.entry(host.clone()).or_default();
            of_host.insert(identifier.metadata_path(), resource);
        }
        resources
    }

    /// The resource whose metadata is at `path` of `host`.
    pub(crate) fn described_at(&self, host: &HostName, path: &str) -> Option<&Resource> {
        self.of_hosts.get(host)?.get(path)
    }

    /// Where the resource is described that `path` of `host` belongs to; a path without route belongs to that of the
    /// host, if there is one.
    pub(crate) fn metadata_url(&self, host: &HostName, path: &str, routes: &Routes) -> Option<&str> {
        let place = match routes.find(host, path) {
            Ok(route) => route.resource.metadata_path(),
            Err(_) => resource_of_host(host).metadata_path(),
        };
        let resource = self.described_at(host, &place)?;
        Some(&resource.metadata_url)
    }

    /// The hosts that have resources.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.of_hosts.keys()
    }
}

impl Resource {
    fn describe(identifier: &ResourceIdentifier, routes: &[&Arc<Route>], issuers: &[String]) -> Self {
        let scopes: BTreeSet<&str> = routes.iter().flat_map(|route| route.scope.tokens()).collect();
        let metadata = ProtectedResourceMetadata {
            authorization_servers: issuers
                .iter()
                .filter(|issuer| routes.iter().any(|route| route.takes_from(issuer)))
                .cloned()
                .collect(),
            scopes_supported: scopes.into_iter().map(str::to_owned).collect(),
            tls_client_certificate_bound_access_tokens: routes
                .iter()
                .all(|route| route.binding == BindingPolicy::Required),
            ..ProtectedResourceMetadata::of(identifier)
        };
        let document = serde_json::to_vec(&metadata).expect("strings and a flag can be written as JSON");
        Self {
            metadata_url: identifier.metadata_url(),
            document: document.into(),
        }
    }

    /// The document, for whoever reads it.
    ///
    /// # Errors
    ///
    /// [`Rejection::MetadataNotRead`] where the method does anything else.
    ///
    /// RFC 9728 §3.1
    pub(crate) fn answer(&self, method: &Method) -> Result<Response<Bytes>, Rejection> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Rejection::MetadataNotRead);
        }
        let mut response = Response::new(self.document.clone());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, CACHED);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::configuration::tests::configured;

    const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

    fn host(name: &str) -> HostName {
        HostName::parse(name).unwrap()
    }

    fn document(resources: &Resources, name: &str, path: &str) -> Option<Value> {
        let resource = resources.described_at(&host(name), path)?;
        let answer = resource.answer(&Method::GET).unwrap();
        Some(serde_json::from_slice(answer.body()).unwrap())
    }

    fn route(host: &str, path: &str, rest: &str) -> String {
        format!(
            "[[routes]]\nhost = {host:?}\npath = {path:?}\nupstream = [\"https://localhost:1\"]\n\
             audience = \"a\"\n{rest}\n"
        )
    }

    /// S1, S3, S5.
    #[test]
    fn describes_the_one_resource_of_a_host_by_all_its_routes() {
        let routes = [
            route("api.example.com", "/a", "scope = \"write read\""),
            route(
                "api.example.com",
                "/b",
                "scope = \"read\"\nbinding = \"if-bound\"",
            ),
            route("other.example.com", "/", "scope = \"\""),
        ];
        let (resources, _) = configured(&routes.concat());
        assert_eq!(
            document(&resources, "api.example.com", WELL_KNOWN).unwrap(),
            json!({
                "resource": "https://api.example.com",
                "authorization_servers": ["https://login.example.com/oauth/v2/oauth-anonymous"],
                "scopes_supported": ["read", "write"],
                "bearer_methods_supported": ["header"],
            })
        );
        let other = document(&resources, "other.example.com", WELL_KNOWN).unwrap();
        assert_eq!(other["tls_client_certificate_bound_access_tokens"], true);
        assert!(other.get("scopes_supported").is_none());
        for path in ["/", "/a", "/.well-known/oauth-protected-resource/a"] {
            assert_eq!(document(&resources, "api.example.com", path), None, "{path}");
        }
        assert_eq!(document(&resources, "login.example.com", WELL_KNOWN), None);
    }

    /// S1, S4.
    #[test]
    fn describes_resources_that_routes_name_apart_from_that_of_the_host() {
        let v1 = "scope = \"one\"\nresource = \"https://api.example.com/v1\"";
        let routes = [
            route("api.example.com", "/v1", v1),
            route("api.example.com", "/v1/admin", &v1.replace("one", "admin")),
            route("api.example.com", "/v2", "scope = \"two\""),
        ];
        let (resources, routes) = configured(&routes.concat());
        let v1 = document(&resources, "api.example.com", &format!("{WELL_KNOWN}/v1")).unwrap();
        assert_eq!(
            (&v1["resource"], &v1["scopes_supported"]),
            (&json!("https://api.example.com/v1"), &json!(["admin", "one"]))
        );
        let rest = document(&resources, "api.example.com", WELL_KNOWN).unwrap();
        assert_eq!(rest["scopes_supported"], json!(["two"]));
        let url_for = |path| resources.metadata_url(&host("api.example.com"), path, &routes);
        let of_host = format!("https://api.example.com{WELL_KNOWN}");
        let of_v1 = format!("{of_host}/v1");
        for (path, url) in [
            ("/v1/x", &of_v1),
            ("/v1/admin", &of_v1),
            ("/v2", &of_host),
            ("/elsewhere", &of_host),
        ] {
            assert_eq!(url_for(path), Some(url.as_str()), "{path}");
        }
    }

    #[test]
    fn names_no_metadata_where_there_is_none() {
        let v1 = "scope = \"one\"\nresource = \"https://api.example.com/v1\"";
        let (resources, routes) = configured(&route("api.example.com", "/v1", v1));
        let host = host("api.example.com");
        assert_eq!(resources.metadata_url(&host, "/elsewhere", &routes), None);
    }

    /// S1.
    #[test]
    fn is_read_and_nothing_else() {
        let (resources, _) = configured(&route("api.example.com", "/", "scope = \"\""));
        let resource = resources
            .described_at(&host("api.example.com"), WELL_KNOWN)
            .unwrap();
        assert!(resource.answer(&Method::HEAD).is_ok());
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let refused = resource.answer(&method).unwrap_err();
            assert_eq!(refused.reason(), "method_refused", "{method}");
        }
    }
}
