//! Routes: which API a request goes to, and what its token must be good for.
//!
//! The longest prefix of whole path segments wins; query and fragment take no part, and `;` has no meaning. Where an
//! API that reads paths more leniently would find itself under another route's rules, nobody is let through. Rules are
//! looked up for every request and never cached with a token.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri};
use oauth_core::confirmation::BindingPolicy;
use oauth_core::scope::Scope;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::host::{HostName, host_of_authority};
use crate::path::folded;
use crate::token_kind::TokenKind;

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
    /// The kinds of token it takes.
    pub(crate) tokens: Vec<TokenKind>,
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
pub(crate) struct PathPrefix {
    literal: String,
    folded: String,
}

impl PathPrefix {
    /// Reads a prefix; `/` is the one that may end with a slash.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedPrefix> {
        if crate::path::verify(text).is_err() {
            return Err(MalformedPrefix::Ambiguous);
        }
        let literal = match text.strip_suffix('/') {
            Some("") => "",
            Some(_) => return Err(MalformedPrefix::TrailingSlash),
            None => text,
        };
        Ok(Self {
            literal: literal.to_owned(),
            folded: folded(literal),
        })
    }

    /// What lenient servers make of it; no two routes of a host have the same.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }
}

/// Whether `path` starts with the whole segments of `prefix`.
fn starts_with_segments(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.literal.is_empty() {
            "/"
        } else {
            &self.literal
        })
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

/// Requests that one server of a route has in hand at once, each over a connection of its own. Bounds what a crowd of
/// callers, or a server that hangs, takes of the gateway's descriptors and of the server.
const MOST_REQUESTS_PER_SERVER: usize = 1_000;

/// One server of an API.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    places: Arc<Semaphore>,
}

/// A request's place at a server, until the answer has gone out.
#[derive(Debug)]
pub(crate) struct UpstreamPlace {
    _permit: OwnedSemaphorePermit,
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
            places: Arc::new(Semaphore::new(MOST_REQUESTS_PER_SERVER)),
        })
    }

    /// A place for one more request; `None` where this server has its fill.
    pub(crate) fn place(&self) -> Option<UpstreamPlace> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(UpstreamPlace { _permit: permit })
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
    ///
    /// # Errors
    ///
    /// [`NoRoute::Ambiguous`] where the path in its folded form, among the prefixes in theirs, leads to another route:
    /// with `/raw` and `/raw/admin`, neither `/raw/admin;x` nor `/raw/ADMIN` may be served under the rules of `/raw`.
    /// A host with one route has no other whose rules could be evaded.
    pub(crate) fn find(&self, host: &HostName, path: &str) -> Result<&Arc<Route>, NoRoute> {
        let routes = self.0.get(host).map(Vec::as_slice).unwrap_or_default();
        // Longest first, so the first that matches is the one.
        let found = routes
            .iter()
            .find(|route| starts_with_segments(path, &route.prefix.literal));
        if routes.len() > 1 && found.map(Arc::as_ptr) != find_folded(routes, path).map(Arc::as_ptr) {
            return Err(NoRoute::Ambiguous);
        }
        found.ok_or(NoRoute::Unknown)
    }

    /// Whether any route of `host` takes tokens of this kind.
    pub(crate) fn take(&self, host: &HostName, kind: TokenKind) -> bool {
        let routes = self.0.get(host).map(Vec::as_slice).unwrap_or_default();
        routes.iter().any(|route| route.tokens.contains(&kind))
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

fn find_folded<'a>(routes: &'a [Arc<Route>], path: &str) -> Option<&'a Arc<Route>> {
    let path = folded(path);
    routes
        .iter()
        .filter(|route| starts_with_segments(&path, &route.prefix.folded))
        .max_by_key(|route| route.prefix.folded.len())
}

/// Why a path leads to no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// No prefix matches it.
    Unknown,
    /// It could be taken for a path of another route than the one it matches.
    Ambiguous,
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
            routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.literal.len()));
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
            tokens: vec![TokenKind::Opaque],
            client_cert_header: ClientCertHeader::NotSent,
        }
    }

    fn find(routes: &Routes, path: &str) -> Result<String, NoRoute> {
        let host = HostName::parse("api.example.com").unwrap();
        routes.find(&host, path).map(|route| route.prefix.to_string())
    }

    fn found(routes: &Routes, path: &str) -> Option<String> {
        find(routes, path).ok()
    }

    fn routes_of(paths: &[&str]) -> Routes {
        paths.iter().map(|path| route("api.example.com", path)).collect()
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

    /// N1: what an API could take for `/raw/admin` is not served under the rules of `/raw`.
    #[test]
    fn refuses_another_spelling_of_a_nested_routes_path() {
        let routes = routes_of(&["/raw", "/raw/admin"]);
        for path in [
            "/raw/admin;x",
            "/raw/admin;x=1/users",
            "/raw/admin%3bx/users",
            "/raw;x/admin",
            "/raw/ADMIN",
            "/RAW/admin/users",
            "/raw/admin%20",
            "/raw/admin.",
            "/raw/;x/admin",
            // Nothing matches these literally.
            "/raw;x",
            "/RAW",
        ] {
            crate::path::verify(path).unwrap();
            assert_eq!(find(&routes, path), Err(NoRoute::Ambiguous), "{path}");
        }
        assert_eq!(find(&routes, "/raw/admin/users").unwrap(), "/raw/admin");
        assert_eq!(find(&routes, "/raw/admin/Users;v=1").unwrap(), "/raw/admin");
        assert_eq!(find(&routes, "/elsewhere"), Err(NoRoute::Unknown));
    }

    /// N2: `;`, letter case and encoding alone are no reason to refuse.
    #[test]
    fn serves_odd_paths_that_no_spelling_leads_elsewhere() {
        let routes = routes_of(&["/api", "/api/admin", "/Other"]);
        for (path, prefix) in [
            ("/api/transactions;v=1", "/api"),
            ("/api/Transactions/%20x.", "/api"),
            ("/api/admins", "/api"),
            ("/api/x/admin;x", "/api"),
            ("/Other/x", "/Other"),
        ] {
            assert_eq!(find(&routes, path).unwrap(), prefix, "{path}");
        }
        let single = routes_of(&["/api"]);
        assert_eq!(find(&single, "/api/a;b=c").unwrap(), "/api");
        assert_eq!(find(&single, "/API"), Err(NoRoute::Unknown));
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
    fn a_server_takes_so_many_requests_and_another_once_one_is_over() {
        let server = Upstream::parse("http://a").unwrap();
        let mut places: Vec<_> = std::iter::from_fn(|| server.clone().place()).collect();
        assert_eq!(places.len(), MOST_REQUESTS_PER_SERVER);
        assert!(Upstream::parse("http://b").unwrap().place().is_some());
        drop(places.pop());
        assert!(server.place().is_some());
    }

    #[test]
    fn names_the_methods_allowed() {
        let methods = AllowedMethods::These(vec![Method::GET, Method::POST]);
        assert!(methods.allow(&Method::GET) && !methods.allow(&Method::DELETE));
        assert_eq!(methods.list(), "GET, POST");
        assert!(AllowedMethods::All.allow(&Method::DELETE));
    }
}
