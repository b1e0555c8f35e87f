//! Routes: which API a request goes to, and what its token must be good for.
//!
//! The longest prefix of whole path segments wins; query and fragment take no part. Rules are looked up for every
//! request and never cached with a token.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri};
use oauth_core::confirmation::BindingPolicy;
use oauth_core::scope::Scope;

use crate::host::{HostName, host_of_authority};

/// One API behind the gateway, and what is demanded of whoever calls it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) host: HostName,
    pub(crate) prefix: PathPrefix,
    pub(crate) methods: AllowedMethods,
    pub(crate) upstreams: Upstreams,
    pub(crate) audience: String,
    pub(crate) scope: Scope,
    pub(crate) binding: BindingPolicy,
    pub(crate) client_cert_header: ClientCertHeader,
}

/// Whether the API is told the client certificate. Off by default, RFC 9440 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertHeader {
    Sent,
    NotSent,
}

/// A path prefix of whole segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathPrefix(String);

impl PathPrefix {
    /// Reads a prefix; `/` is the one that may end with a slash.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedPrefix> {
        if crate::path::verify(text).is_err() {
            return Err(MalformedPrefix::Ambiguous);
        }
        match text.strip_suffix('/') {
            Some("") => Ok(Self(String::new())),
            Some(_) => Err(MalformedPrefix::TrailingSlash),
            None => Ok(Self(text.to_owned())),
        }
    }

    fn matches(&self, path: &str) -> bool {
        path.strip_prefix(self.0.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// Why a path cannot be a route's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedPrefix {
    /// It would never match, since such paths are refused.
    #[error("must start with `/`, without `.`, `..` or empty segments and without needless percent-encoding")]
    Ambiguous,
    #[error("must not end with `/`: `/api` matches `/api` and `/api/x` already")]
    TrailingSlash,
}

/// The methods a route lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowedMethods {
    All,
    These(Vec<Method>),
}

impl AllowedMethods {
    pub(crate) fn allow(&self, method: &Method) -> bool {
        match self {
            Self::All => true,
            Self::These(methods) => methods.contains(method),
        }
    }

    /// The value of the `Allow` field of a 405. RFC 9110 §10.2.1
    pub(crate) fn list(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::These(methods) => methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}

/// One server of an API.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

impl Upstream {
    /// Reads `http://host:port` or `https://host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedUpstream> {
        let parts = text.parse::<Uri>().map_err(|_| MalformedUpstream)?.into_parts();
        let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
        let (Some(scheme), Some(authority), "/") = (parts.scheme, parts.authority, path) else {
            return Err(MalformedUpstream);
        };
        let is_web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_web || host_of_authority(authority.as_str().as_bytes()).is_none() {
            return Err(MalformedUpstream);
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| MalformedUpstream)?;
        Ok(Self {
            scheme,
            authority,
            host,
        })
    }

    /// The URI of `path_and_query` on this server, which is passed on as it came.
    pub(crate) fn uri(&self, path_and_query: PathAndQuery) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
    }

    /// The value of the `Host` field.
    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority)
    }
}

/// The text names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `http://host:port` or `https://host:port`, without path, query and user")]
pub(crate) struct MalformedUpstream;

/// The servers of one API; each request starts with the next of them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    servers: Vec<Upstream>,
    next: AtomicUsize,
}

impl Upstreams {
    pub(crate) const fn new(servers: Vec<Upstream>) -> Self {
        Self {
            servers,
            next: AtomicUsize::new(0),
        }
    }

    /// Every server once, in the order in which this request is to try them.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = &Upstream> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.servers.len().max(1);
        let (before, from) = self.servers.split_at(first);
        from.iter().chain(before)
    }
}

/// All routes, by host.
#[derive(Debug, Default)]
pub(crate) struct Routes(HashMap<HostName, Vec<Arc<Route>>>);

impl Routes {
    /// The one route of `host` whose prefix is the longest that matches `path`.
    pub(crate) fn find(&self, host: &HostName, path: &str) -> Option<&Arc<Route>> {
        // Longest first, so the first that matches is the one.
        self.0.get(host)?.iter().find(|route| route.prefix.matches(path))
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.0.keys()
    }

    /// Every audience that some route expects, once.
    pub(crate) fn audiences(&self) -> Vec<String> {
        let mut audiences: Vec<_> = self
            .0
            .values()
            .flatten()
            .map(|route| route.audience.clone())
            .collect();
        audiences.sort();
        audiences.dedup();
        audiences
    }
}

impl FromIterator<Route> for Routes {
    fn from_iter<T: IntoIterator<Item = Route>>(routes: T) -> Self {
        let mut by_host: HashMap<_, Vec<_>> = HashMap::new();
        for route in routes {
            by_host
                .entry(route.host.clone())
                .or_default()
                .push(Arc::new(route));
        }
        for routes in by_host.values_mut() {
            routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.0.len()));
        }
        Self(by_host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, path: &str) -> Route {
        Route {
            host: HostName::parse(host).unwrap(),
            prefix: PathPrefix::parse(path).unwrap(),
            methods: AllowedMethods::All,
            upstreams: Upstreams::new(vec![Upstream::parse("https://localhost:3001").unwrap()]),
            audience: host.to_owned(),
            scope: Scope::default(),
            binding: BindingPolicy::Required,
            client_cert_header: ClientCertHeader::NotSent,
        }
    }

    fn found(routes: &Routes, path: &str) -> Option<String> {
        let host = HostName::parse("api.example.com").unwrap();
        routes.find(&host, path).map(|route| route.prefix.to_string())
    }

    /// N2.
    #[test]
    fn a_prefix_matches_whole_segments() {
        let routes: Routes = [route("api.example.com", "/api")].into_iter().collect();
        for path in ["/api", "/api/", "/api/x", "/api/x/y"] {
            assert_eq!(found(&routes, path).as_deref(), Some("/api"), "{path}");
        }
        for path in ["/apix", "/ap", "/", "/API", "/api;x", "/x/api"] {
            assert_eq!(found(&routes, path), None, "{path}");
        }
    }

    /// N2.
    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let paths = ["/", "/api/transactions", "/api"];
        let routes: Routes = paths
            .map(|path| route("api.example.com", path))
            .into_iter()
            .collect();
        assert_eq!(
            found(&routes, "/api/transactions/1").as_deref(),
            Some("/api/transactions")
        );
        assert_eq!(found(&routes, "/api/other").as_deref(), Some("/api"));
        assert_eq!(found(&routes, "/other").as_deref(), Some("/"));
    }

    #[test]
    fn another_host_has_none_of_these_routes() {
        let routes: Routes = [route("other.example.com", "/")].into_iter().collect();
        assert_eq!(found(&routes, "/"), None);
    }

    #[test]
    fn refuses_prefixes_that_could_never_match() {
        for (text, error) in [
            ("api", MalformedPrefix::Ambiguous),
            ("", MalformedPrefix::Ambiguous),
            ("/a/../b", MalformedPrefix::Ambiguous),
            ("/%61", MalformedPrefix::Ambiguous),
            ("/api/", MalformedPrefix::TrailingSlash),
        ] {
            assert_eq!(PathPrefix::parse(text), Err(error), "{text}");
        }
        assert_eq!(PathPrefix::parse("/").unwrap().to_string(), "/");
    }

    #[test]
    fn accepts_http_and_https_upstreams_alone() {
        for text in [
            "https://localhost:3001",
            "http://127.0.0.1:8080",
            "https://api-internal.example.com/",
        ] {
            assert!(Upstream::parse(text).is_ok(), "{text}");
        }
        for text in [
            "localhost:3001",
            "ftp://a",
            "https://a/x",
            "https://a?x",
            "https://u@a",
            "/x",
            "",
            "https://a:b",
        ] {
            assert!(Upstream::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_request_starts_with_the_next_server_and_could_try_all() {
        let servers = ["http://a", "http://b"].map(|text| Upstream::parse(text).unwrap());
        let upstreams = Upstreams::new(servers.to_vec());
        let order = || upstreams.in_turn().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(order(), ["http://a", "http://b"]);
        assert_eq!(order(), ["http://b", "http://a"]);
        assert_eq!(order(), ["http://a", "http://b"]);
    }

    #[test]
    fn names_the_methods_allowed() {
        let methods = AllowedMethods::These(vec![Method::GET, Method::POST]);
        assert!(methods.allow(&Method::GET) && !methods.allow(&Method::DELETE));
        assert_eq!(methods.list(), "GET, POST");
        assert!(AllowedMethods::All.allow(&Method::DELETE));
    }
}
