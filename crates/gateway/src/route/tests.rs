use std::collections::HashSet;

use super::*;
use crate::upstream::{Protocols, Server, Upstream, UpstreamPlace};

fn route_to(server: &str, host: &str) -> Route {
    let upstream = Upstream::parse(server, Protocols::Http1).unwrap();
    Route {
        upstreams: Upstreams::new(vec![upstream]),
        ..Route::of_test(host, "/")
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
    paths
        .iter()
        .map(|path| Route::of_test("api.example.com", path))
        .collect()
}

/// N2.
#[test]
fn a_prefix_matches_whole_segments() {
    let routes: Routes = [Route::of_test("api.example.com", "/api")].into_iter().collect();
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
        .map(|path| Route::of_test("api.example.com", path))
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
                    .map(|prefix| Route::of_test("api.example.com", &prefix.to_string()));
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
    let routes: Routes = [Route::of_test("other.example.com", "/")].into_iter().collect();
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
