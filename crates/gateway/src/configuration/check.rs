//! From the file's values to values that cannot be wrong, noting everything that stands in the way.

use std::collections::{HashMap, HashSet};

use http::Method;
use oauth_core::scope::Scope;
use service::{ConfigurationError, Problems};
use url::Url;

use super::Configuration;
use super::check_tokens::{check_sources, introspection, issuers};
use super::file::{CacheSection, ConfigurationFile, ListenSection, PassthroughSection, RouteSection};
use crate::host::HostName;
use crate::route::{AllowedMethods, ClientCertHeader, PathPrefix, Route, Routes, Upstream, Upstreams};

pub(super) fn check(file: ConfigurationFile) -> Result<Configuration, ConfigurationError> {
    let mut problems = Problems::new();
    check_listen(&file.listen, &mut problems);
    check_cache(&file.cache, &mut problems);
    let passthrough = passthrough(&file.passthrough, &mut problems);
    let routes = routes(&file.routes, &passthrough, &mut problems);
    let issuers = issuers(file.issuers, &mut problems);
    check_sources(&file.routes, file.introspection.as_ref(), &issuers, &mut problems);
    let introspection = file
        .introspection
        .and_then(|section| introspection(section, &issuers, &mut problems));
    problems.into_result(Configuration {
        listen: file.listen,
        passthrough,
        tls: file.tls,
        client_certificates: file.client_certificates,
        introspection,
        issuers,
        cache: file.cache,
        routes,
        outbound_tls: file.outbound_tls,
    })
}

fn check_listen(listen: &ListenSection, problems: &mut Problems) {
    if !(1..=tokio::sync::Semaphore::MAX_PERMITS).contains(&listen.connections) {
        problems.add("listen.connections", "must be at least 1");
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

fn check_cache(cache: &CacheSection, problems: &mut Problems) {
    if cache.capacity == 0 {
        problems.add(
            "cache.capacity",
            "must be at least 1; to look up every token anew, set max_age = \"0s\"",
        );
    }
}

fn passthrough(sections: &[PassthroughSection], problems: &mut Problems) -> HashMap<HostName, String> {
    let mut passthrough = HashMap::new();
    for (index, section) in sections.iter().enumerate() {
        let key = |name: &str| format!("passthrough[{index}].{name}");
        if !is_host_and_port(&section.upstream) {
            problems.add(key("upstream"), "must be `host:port`, such as 127.0.0.1:8444");
        }
        let Some(host) = problems.take(key("host"), HostName::parse(&section.host)) else {
            continue;
        };
        if passthrough.insert(host, section.upstream.clone()).is_some() {
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
    passthrough: &HashMap<HostName, String>,
    problems: &mut Problems,
) -> Routes {
    if sections.is_empty() {
        problems.add(
            "routes",
            "there is none; the gateway would let no request through",
        );
    }
    let mut seen = HashSet::new();
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
    let prefix = problems.take(key("path"), PathPrefix::parse(&section.path));
    let scope = problems.take(key("scope"), section.scope.parse::<Scope>());
    let methods = methods(&key("methods"), section.methods.as_deref(), problems);
    let upstreams = upstreams(&key("upstream"), &section.upstream, problems);
    if section.tokens.is_empty() {
        problems.add(
            key("tokens"),
            "names no kind of token: \"opaque\", \"jwt\" or both",
        );
    }
    Some(Route {
        host: host?,
        prefix: prefix?,
        methods: methods?,
        upstreams: upstreams?,
        audience: section.audience.clone(),
        scope: scope?,
        binding: section.binding,
        tokens: section.tokens.clone(),
        client_cert_header: match section.client_cert_header {
            true => ClientCertHeader::Sent,
            false => ClientCertHeader::NotSent,
        },
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

fn upstreams(key: &str, texts: &[String], problems: &mut Problems) -> Option<Upstreams> {
    if texts.is_empty() {
        problems.add(key, "names no server");
        return None;
    }
    let mut servers = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        servers.extend(problems.take(format!("{key}[{index}]"), Upstream::parse(text)));
    }
    (servers.len() == texts.len()).then(|| Upstreams::new(servers))
}

pub(super) fn https_url(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err("must be an https URL without query and fragment"),
    }
}
