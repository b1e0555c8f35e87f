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
use crate::prefix_tree::PrefixTree;
use crate::token_kind::TokenKind;
use crate::upstream::{Servers, Upstreams};

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

/// All routes, by host. Those that name the same server share it, unless HTTP/2 is offered to it.
#[derive(Debug, Default)]
pub(crate) struct Routes(HashMap<HostName, RoutesOfHost>);

#[derive(Debug, Default)]
struct RoutesOfHost {
    routes: Vec<Arc<Route>>,
    /// Where among them the route of a prefix is, as the prefix is written.
    literal: PrefixTree,
    /// Where among them the route of a prefix is, by what lenient servers make of the prefix.
    folded: PrefixTree,
}

impl Routes {
    /// The one route of `host` whose prefix is the longest that matches `path`.
    ///
    /// # Errors
    ///
    /// [`NoRoute::Ambiguous`] where the path in its folded form, among the prefixes in theirs, leads to another route:
    /// with `/raw` and `/raw/admin`, neither `/raw/admin;x` nor `/raw/ADMIN` may be served under the rules of `/raw`.
    /// A host with one route has no other whose rules could be evaded.
    pub(crate) fn find(&self, host: &HostName, path: &str) -> Result<&Arc<Route>, NoRoute> {
        let of_host = self.0.get(host).ok_or(NoRoute::Unknown)?;
        let found = of_host.literal.find(path);
        if of_host.routes.len() > 1 && found != of_host.folded.find(&folded(path)) {
            return Err(NoRoute::Ambiguous);
        }
        found.map(|index| &of_host.routes[index]).ok_or(NoRoute::Unknown)
    }

    /// Whether any route of `host` takes tokens of this kind.
    pub(crate) fn take(&self, host: &HostName, kind: TokenKind) -> bool {
        self.of(host).iter().any(|route| route.tokens.contains(&kind))
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.0.keys()
    }

    /// Takes over every server that stays, whichever route names it, and the places of the routes that stay, by host
    /// and path. Before anybody else has the routes.
    pub(crate) fn inherit(&mut self, former: &Self) {
        let mut servers = former.servers();
        for (host, of_host) in &mut self.0 {
            let former: HashMap<_, _> = former
                .of(host)
                .iter()
                .map(|route| (&route.prefix, route))
                .collect();
            for route in of_host.routes.iter_mut().filter_map(Arc::get_mut) {
                route.upstreams.share(&mut servers);
                if let Some(same) = former.get(&route.prefix) {
                    route.upstreams.inherit(&same.upstreams);
                }
            }
        }
    }

    /// Every server that some route names, once.
    fn servers(&self) -> Servers {
        self.iter().flat_map(|route| route.upstreams.servers()).collect()
    }

    /// Every route, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.values().flat_map(|of_host| &of_host.routes)
    }

    fn of(&self, host: &HostName) -> &[Arc<Route>] {
        self.0.get(host).map_or(&[], |of_host| &of_host.routes)
    }

    /// Every audience that some route expects, once.
    pub(crate) fn audiences(&self) -> Vec<String> {
        let mut audiences: Vec<_> = self.iter().map(|route| route.audience.clone()).collect();
        audiences.sort();
        audiences.dedup();
        audiences
    }
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
        let (mut all, mut servers) = (Self::default(), Servers::default());
        for mut route in routes {
            route.upstreams.share(&mut servers);
            let of_host = all.0.entry(route.host.clone()).or_default();
            let index = of_host.routes.len();
            of_host.literal.insert(&route.prefix.literal, index);
            of_host.folded.insert(&route.prefix.folded, index);
            of_host.routes.push(Arc::new(route));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::upstream::{Protocols, Server, Upstream, UpstreamPlace};

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

    fn route_to(server: &str, host: &str) -> Route {
        let upstream = Upstream::parse(server, Protocols::Http1).unwrap();
        Route {
            upstreams: Upstreams::new(vec![upstream]),
            ..route(host, "/")
        }
    }

    fn upstream_of<'a>(routes: &'a Routes, host: &str) -> &'a Upstream {
        let route = routes.find(&HostName::parse(host).unwrap(), "/").unwrap();
        route.upstreams.in_turn().next().unwrap()
    }

    fn server_of<'a>(routes: &'a Routes, host: &str) -> &'a Arc<Server> {
        upstream_of(routes, host).server()
    }

    fn places_left(routes: &Routes, host: &str) -> Vec<UpstreamPlace> {
        std::iter::from_fn(|| upstream_of(routes, host).place()).collect()
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

    /// N1, N2: every path and every set of three prefixes of these segments.
    #[test]
    fn decides_as_if_every_route_were_looked_at() {
        let segments = |starts: &[String]| -> Vec<String> {
            let longer = |start: &String| ["/a", "/A;x", "/ab"].map(|segment| format!("{start}{segment}"));
            starts.iter().flat_map(longer).collect()
        };
        let one = segments(&[String::new()]);
        let two = segments(&one);
        let paths = [&one[..], &two, &segments(&two)].concat();
        let with_slash = paths.iter().map(|path| format!("{path}/"));
        let odd = [
            "",
            "/",
            "*",
            "/;x",
            "/;x/a",
            "/a./ab",
            "/a/;x/ab",
            "/%41",
            "/%C3%84/a",
        ]
        .map(str::to_owned);
        let paths: Vec<String> = with_slash.chain(odd).chain(paths.iter().cloned()).collect();
        let prefixes = [&["/".to_owned()], &one[..], &two].concat();
        let prefixes: Vec<_> = prefixes
            .iter()
            .map(|path| PathPrefix::parse(path).unwrap())
            .collect();
        for first in &prefixes {
            for second in &prefixes {
                for third in &prefixes {
                    let mut seen = HashSet::new();
                    let mut set = vec![first, second, third];
                    set.retain(|prefix| seen.insert(prefix.folded()));
                    let routes = set
                        .iter()
                        .map(|prefix| route("api.example.com", &prefix.to_string()));
                    let routes = routes.collect();
                    for path in &paths {
                        assert_eq!(find(&routes, path), looked_at_each(&set, path), "{set:?} {path}");
                    }
                }
            }
        }
    }

    fn looked_at_each(prefixes: &[&PathPrefix], path: &str) -> Result<String, NoRoute> {
        let longest = |path: &str, form: fn(&PathPrefix) -> &str| {
            let matches = |prefix: &&&PathPrefix| {
                path.strip_prefix(form(prefix))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let matching = prefixes.iter().filter(matches);
            matching.max_by_key(|prefix| form(prefix).len())
        };
        let found = longest(path, |prefix| &prefix.literal);
        if prefixes.len() > 1 && found != longest(&folded(path), PathPrefix::folded) {
            return Err(NoRoute::Ambiguous);
        }
        found.map(ToString::to_string).ok_or(NoRoute::Unknown)
    }

    #[test]
    fn another_host_has_none_of_these_routes() {
        let routes: Routes = [route("other.example.com", "/")].into_iter().collect();
        assert_eq!(found(&routes, "/"), None);
    }

    #[test]
    fn routes_share_the_server_they_all_name_and_no_other() {
        let routes: Routes = [
            route_to("http://a", "one.example.com"),
            route_to("http://b", "two.example.com"),
            route_to("http://a", "three.example.com"),
        ]
        .into_iter()
        .collect();
        let one = server_of(&routes, "one.example.com");
        assert!(Arc::ptr_eq(one, server_of(&routes, "three.example.com")));
        assert!(!Arc::ptr_eq(one, server_of(&routes, "two.example.com")));
    }

    #[test]
    fn a_server_stays_as_long_as_any_route_names_it() {
        let routes = |servers: &[(&str, &str)]| -> Routes {
            let routes = servers.iter().map(|(host, server)| route_to(server, host));
            routes.collect()
        };
        let former = routes(&[("one.example.com", "http://a"), ("two.example.com", "http://b")]);
        let server = Arc::downgrade(server_of(&former, "one.example.com"));
        let mut latter = routes(&[("three.example.com", "http://a"), ("two.example.com", "http://b")]);
        latter.inherit(&former);
        drop(former);
        let stays = server.upgrade().unwrap();
        assert!(Arc::ptr_eq(&stays, server_of(&latter, "three.example.com")));
        drop(stays);
        let mut last = routes(&[("two.example.com", "http://b")]);
        last.inherit(&latter);
        drop(latter);
        assert!(server.upgrade().is_none());
    }

    #[test]
    fn a_route_that_stays_keeps_its_places_and_another_has_its_own() {
        let former: Routes = [route_to("http://a", "one.example.com")].into_iter().collect();
        let _in_hand = places_left(&former, "one.example.com");
        let hosts = ["one.example.com", "two.example.com"];
        let mut latter: Routes = hosts.map(|host| route_to("http://a", host)).into_iter().collect();
        latter.inherit(&former);
        assert_eq!(
            hosts.map(|host| places_left(&latter, host).is_empty()),
            [true, false]
        );
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
