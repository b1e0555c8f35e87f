//! Routes: which API a request goes to, and what its token must be good for.
//!
//! The longest prefix of whole path segments wins; query and fragment take no part, and `;` has no meaning. Where an
//! API that reads paths more leniently would find itself under another route's rules, nobody is let through. Rules are
//! looked up for every request and never cached with a token.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use oauth_core::confirmation::BindingPolicy;
use oauth_core::scope::Scope;

use crate::host::HostName;
use crate::path::folded;
use crate::token_kind::TokenKind;
use crate::upstream::Upstreams;

/// One API behind the gateway, and what is demanded of whoever calls it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) host: HostName,
    pub(crate) prefix: PathPrefix,
    pub(crate) methods: AllowedMethods,
    pub(crate) upstreams: Upstreams,
    /// Who may have issued its tokens; `None`: every issuer that is trusted.
    pub(crate) issuers: Option<Vec<String>>,
    pub(crate) audience: String,
    pub(crate) scope: Scope,
    pub(crate) binding: BindingPolicy,
    /// The kinds of token it takes.
    pub(crate) tokens: Vec<TokenKind>,
    pub(crate) client_cert_header: ClientCertHeader,
    pub(crate) forwarding: Forwarding,
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
            folded: folded(literal).into_owned(),
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

/// How requests of a route go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forwarding {
    /// For a connection to one server: name, TCP and TLS.
    pub(crate) connect_timeout: Duration,
    /// From the last piece of the request to the answer's head.
    pub(crate) answer_timeout: Duration,
    /// Whether the API is told the rest of the client's chain too. RFC 9440 §2.3
    pub(crate) client_cert_chain: ClientCertHeader,
    pub(crate) upgrades: Upgrades,
}

/// To which protocols a connection of the route's may be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrades {
    None,
    /// RFC 6455
    WebSocket,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            client_cert_chain: ClientCertHeader::NotSent,
            upgrades: Upgrades::None,
        }
    }
}

impl Route {
    /// Whether it takes tokens of this issuer.
    pub(crate) fn takes_from(&self, issuer: &str) -> bool {
        let is_among = |issuers: &Vec<String>| issuers.iter().any(|accepted| accepted == issuer);
        self.issuers.as_ref().is_none_or(is_among)
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

    /// Takes over the servers of the routes that stay, by host and path. Before anybody else has the routes.
    pub(crate) fn inherit(&mut self, former: &Self) {
        for (host, routes) in &mut self.0 {
            let former = former.0.get(host).map(Vec::as_slice).unwrap_or_default();
            for route in routes.iter_mut().filter_map(Arc::get_mut) {
                let same = former.iter().find(|former| former.prefix == route.prefix);
                if let Some(same) = same {
                    route.upstreams.inherit(&same.upstreams);
                }
            }
        }
    }

    /// Every route, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.values().flatten()
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
            upstreams: Upstreams::new(Vec::new()),
            issuers: None,
            audience: host.to_owned(),
            scope: Scope::default(),
            binding: BindingPolicy::Required,
            tokens: vec![TokenKind::Opaque],
            client_cert_header: ClientCertHeader::NotSent,
            forwarding: Forwarding::default(),
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
    fn names_the_methods_allowed() {
        let methods = AllowedMethods::These(vec![Method::GET, Method::POST]);
        assert!(methods.allow(&Method::GET) && !methods.allow(&Method::DELETE));
        assert_eq!(methods.list(), "GET, POST");
        assert!(AllowedMethods::All.allow(&Method::DELETE));
    }
}
