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
use oauth_core::metadata::ResourceIdentifier;
use oauth_core::scope::Scope;

use crate::host::HostName;
use crate::path::folded;
use crate::prefix_tree::PrefixTree;
#[cfg(test)]
use crate::resource::resource_of_host;
use crate::token_kind::TokenKind;
use crate::upstream::{Servers, Upstreams};

/// One API behind the gateway, and what is demanded of whoever calls it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) host: HostName,
    pub(crate) prefix: PathPrefix,
    /// What it is part of, as RFC 9728 describes it.
    pub(crate) resource: ResourceIdentifier,
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
    NotSent,
    Sent,
    /// The rest of the client's chain too. RFC 9440 §2.3
    SentWithChain,
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
impl Route {
    /// To no server, of a token for the host with the scope `transactions`.
    pub(crate) fn of_test(host: &str, path: &str) -> Self {
        let host = HostName::parse(host).unwrap();
        Self {
            prefix: PathPrefix::parse(path).unwrap(),
            resource: resource_of_host(&host),
            methods: AllowedMethods::All,
            upstreams: Upstreams::new(Vec::new()),
            issuers: None,
            audience: host.to_string(),
            scope: "transactions".parse().unwrap(),
            binding: BindingPolicy::Required,
            tokens: vec![TokenKind::Opaque],
            client_cert_header: ClientCertHeader::NotSent,
            forwarding: Forwarding::default(),
            host,
        }
    }
}

#[cfg(test)]
mod tests;
