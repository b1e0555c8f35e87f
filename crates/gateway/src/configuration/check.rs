//! From the file's values to values that cannot be wrong, noting everything that stands in the way.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use http::Method;
use mtls::TrustedProxies;
use oauth_core::scope::Scope;
use service::Problems;
use url::Url;

use super::check_tokens::{check_issuers_of_routes, check_sources, introspection, issuers};
use super::file::{
    CacheSection, ConfigurationFile, ListenSection, PassthroughSection, ProxyProtocolSection, RouteSection,
};
use super::resources::resource;
use super::{Configuration, client_certificates};
use crate::authorize::HexThumbprints;
use crate::host::HostName;
use crate::passthrough::{EndsOfConnection, PassThrough};
use crate::route::{AllowedMethods, ClientCertHeader, Forwarding, PathPrefix, Route, Routes, Upgrades};
use crate::upstream::{Protocols, Upstream, Upstreams};

/// Far above the cores of any machine.
const MOST_WORKERS: usize = 1024;
/// Bounds for how long a server that is not there can hold a request.
const LONGEST_CONNECT: Duration = Duration::from_secs(60);
/// Bounds for how long a stuck API can hold a request; the longest for which a connection is served.
const LONGEST_ANSWER: Duration = Duration::from_secs(60 * 60);

/// Everything but the files that the configuration names; worth nothing once there is a problem.
pub(super) fn values(file: ConfigurationFile, problems: &mut Problems) -> Configuration {
    check_listen(&file.listen, problems);
    let proxies = proxies(file.listen.proxy_protocol.as_ref(), problems);
    check_cache(&file.cache, problems);
    let certificate_header = client_certificates::check(&file.client_certificates, problems);
    let passthrough = passthrough(&file.passthrough, problems);
    let routes = routes(&file.routes, &passthrough, problems);
    let issuers = issuers(file.issuers, problems);
    check_issuers_of_routes(&file.routes, &issuers, problems);
    check_sources(&file.routes, file.introspection.as_ref(), &issuers, problems);
    let introspection = file
        .introspection
        .and_then(|section| introspection(section, &issuers, problems));
    Configuration {
        hex_thumbprints: match file.accept_hex_thumbprint {
            true => HexThumbprints::Accepted,
            false => HexThumbprints::Refused,
        },
        listen: file.listen,
        proxies,
        passthrough,
        tls: file.tls,
        client_certificates: file.client_certificates,
        certificate_header,
        introspection,
        issuers,
        cache: file.cache,
        routes,
        outbound_tls: file.outbound_tls,
        origin: None,
    }
}

fn check_listen(listen: &ListenSection, problems: &mut Problems) {
    if !(1..=tokio::sync::Semaphore::MAX_PERMITS).contains(&listen.connections) {
        problems.add("listen.connections", "must be at least 1");
    }
    if !(1..=MOST_WORKERS).contains(&listen.workers) {
        problems.add(
            "listen.workers",
            format!("must be at least 1 and at most {MOST_WORKERS}"),
        );
    }
    if listen.connections_per_address == 0 {
        problems.add("listen.connections_per_address", "must be at least 1");
    }
    if listen.public == listen.admin && listen.public.port() != 0 {
        problems.add(
            "listen.admin",
            "is the public address; operate the gateway on another",
        );
    }
}

fn proxies(section: Option<&ProxyProtocolSection>, problems: &mut Problems) -> TrustedProxies {
    let proxies = section.map(|section| TrustedProxies::parse(&section.trusted_peers));
    proxies
        .and_then(|proxies| problems.take("listen.proxy_protocol.trusted_peers", proxies))
        .unwrap_or_default()
}

fn check_cache(cache: &CacheSection, problems: &mut Problems) {
    if cache.capacity == 0 {
        problems.add(
            "cache.capacity",
            "must be at least 1; to look up every token anew, set max_age = \"0s\"",
        );
    }
}

fn passthrough(sections: &[PassthroughSection], problems: &mut Problems) -> HashMap<HostName, PassThrough> {
    let mut passthrough = HashMap::new();
    for (index, section) in sections.iter().enumerate() {
        let key = |name: &str| format!("passthrough[{index}].{name}");
        if !is_host_and_port(&section.upstream) {
            problems.add(key("upstream"), "must be `host:port`, such as 127.0.0.1:8444");
        }
        let Some(host) = problems.take(key("host"), HostName::parse(&section.host)) else {
            continue;
        };
        let destination = PassThrough {
            upstream: section.upstream.clone(),
            ends: match section.proxy_protocol {
                true => EndsOfConnection::Told,
                false => EndsOfConnection::NotTold,
            },
        };
        if passthrough.insert(host, destination).is_some() {
            problems.add(key("host"), "is passed through already");
        }
    }
    passthrough
}

fn is_host_and_port(upstream: &str) -> bool {
    let Some((host, port)) = upstream.rsplit_once(':') else {
        return false;
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && (is_bracketed || !host.contains([':', '/', '@', ' ']));
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn routes(
    sections: &[RouteSection],
    passthrough: &HashMap<HostName, PassThrough>,
    problems: &mut Problems,
) -> Routes {
    if sections.is_empty() {
        problems.add(
            "routes",
            "there is none; the gateway would let no request through",
        );
    }
    let (mut seen, mut described) = (HashSet::new(), HashMap::new());
    let mut routes = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let Some(route) = route(index, section, problems) else {
            continue;
        };
        if passthrough.contains_key(&route.host) {
            problems.add(
                format!("routes[{index}].host"),
                "is passed through: its requests are never seen here",
            );
        }
        if !seen.insert((route.host.clone(), route.prefix.folded().to_owned())) {
            problems.add(
                format!("routes[{index}].path"),
                "another route has the same host and path; letter case, encoding, parameters behind `;`, and blanks \
                 and dots at a segment's end tell no paths apart",
            );
        }
        let place = (route.host.clone(), route.resource.metadata_path());
        let first = described.entry(place).or_insert_with(|| route.resource.clone());
        if *first != route.resource {
            problems.add(
                format!("routes[{index}].resource"),
                format!(
                    "{} and {first}, of another route, would be described at one place",
                    route.resource
                ),
            );
        }
        routes.push(route);
    }
    routes.into_iter().collect()
}

fn route(index: usize, section: &RouteSection, problems: &mut Problems) -> Option<Route> {
    let key = |name: &str| format!("routes[{index}].{name}");
    if section.audience.is_empty() {
        problems.add(key("audience"), "must not be empty");
    }
    let host = problems.take(key("host"), HostName::parse(&section.host));
    let resource = host.as_ref().and_then(|host| {
        let resource = resource(section.resource.as_deref(), host);
        problems.take(key("resource"), resource)
    });
    let prefix = problems.take(key("path"), PathPrefix::parse(&section.path));
    let scope = problems.take(key("scope"), section.scope.parse::<Scope>());
    let methods = methods(&key("methods"), section.methods.as_deref(), problems);
    let upstreams = upstreams(&key("upstream"), section, problems);
    let forwarding = forwarding(&key, section, problems);
    if section.tokens.is_empty() {
        problems.add(
            key("tokens"),
            "names no kind of token: \"opaque\", \"jwt\" or both",
        );
    }
    Some(Route {
        host: host?,
        prefix: prefix?,
        resource: resource?,
        methods: methods?,
        upstreams: upstreams?,
        issuers: section.issuers.clone(),
        audience: section.audience.clone(),
        scope: scope?,
        binding: section.binding,
        tokens: section.tokens.clone(),
        client_cert_header: client_cert_header(&key("client_cert_chain_header"), section, problems),
        forwarding,
    })
}

fn methods(key: &str, names: Option<&[String]>, problems: &mut Problems) -> Option<AllowedMethods> {
    let Some(names) = names else {
        return Some(AllowedMethods::All);
    };
    if names.is_empty() {
        problems.add(
            key,
            "is empty and would let nothing through; leave it away to allow all",
        );
    }
    let mut methods = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let is_method =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let method = Method::from_bytes(name.as_bytes())
            .ok()
            .filter(|method| is_method && *method != Method::CONNECT);
        let problem = "is not a method such as \"GET\"; methods are upper case, and CONNECT is never allowed";
        methods.extend(problems.take(format!("{key}[{index}]"), method.ok_or(problem)));
    }
    (methods.len() == names.len()).then_some(AllowedMethods::These(methods))
}

fn upstreams(key: &str, section: &RouteSection, problems: &mut Problems) -> Option<Upstreams> {
    let texts = &section.upstream;
    let offers = match section.upstream_http2 {
        true => Protocols::Http2OrHttp1,
        false => Protocols::Http1,
    };
    if texts.is_empty() {
        problems.add(key, "names no server");
        return None;
    }
    let mut upstreams = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        upstreams.extend(problems.take(format!("{key}[{index}]"), Upstream::parse(text, offers)));
    }
    (upstreams.len() == texts.len()).then(|| Upstreams::new(upstreams))
}

fn forwarding(key: &impl Fn(&str) -> String, section: &RouteSection, problems: &mut Problems) -> Forwarding {
    let RouteSection {
        connect_timeout,
        answer_timeout,
        ..
    } = *section;
    if connect_timeout.is_zero() || connect_timeout > LONGEST_CONNECT {
        problems.add(key("connect_timeout"), "must be more than 0s and at most 60s");
    }
    if answer_timeout.is_zero() || answer_timeout > LONGEST_ANSWER {
        problems.add(key("answer_timeout"), "must be more than 0s and at most 1h");
    }
    Forwarding {
        connect_timeout,
        answer_timeout,
        upgrades: upgrades(&key("upgrade"), &section.upgrade, problems),
    }
}

fn upgrades(key: &str, protocols: &[String], problems: &mut Problems) -> Upgrades {
    let mut upgrades = Upgrades::None;
    for (index, protocol) in protocols.iter().enumerate() {
        match protocol.as_str() {
            "websocket" => upgrades = Upgrades::WebSocket,
            _ => problems.add(format!("{key}[{index}]"), "must be \"websocket\""),
        }
    }
    upgrades
}

fn client_cert_header(key: &str, section: &RouteSection, problems: &mut Problems) -> ClientCertHeader {
    match (section.client_cert_header, section.client_cert_chain_header) {
        (true, true) => ClientCertHeader::SentWithChain,
        (true, false) => ClientCertHeader::Sent,
        (false, false) => ClientCertHeader::NotSent,
        (false, true) => {
            problems.add(
                key,
                "needs client_cert_header = true: the chain goes with the certificate alone",
            );
            ClientCertHeader::NotSent
        }
    }
}

pub(super) fn https_url(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err("must be an https URL without query and fragment"),
    }
}
