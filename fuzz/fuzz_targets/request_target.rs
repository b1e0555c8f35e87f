//! Request targets: the path that is matched is the path that is forwarded, and browsers and servers read the same.
//!
//! First line the target, second line the `Host` header.

#![no_main]

use std::sync::LazyLock;

use gateway::{Configuration, fuzzing};
use http::header::HOST;
use http::{HeaderValue, Request, Uri};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;

const SERVER_NAME: &str = "api.example.com";
const PREFIXES: [&str; 3] = ["/api", "/api/admin", "/raw"];

static CONFIGURATION: LazyLock<Configuration> = LazyLock::new(|| {
    let mut file = gateway::ConfigurationFile::demo().expect("the demo's configuration");
    let route = file.routes.remove(0);
    file.routes.extend(PREFIXES.map(|path| {
        let mut route = route.clone();
        path.clone_into(&mut route.path);
        route
    }));
    Configuration::try_from(file).expect("a sound configuration")
});

fuzz_target!(|text: &str| {
    let (target, host) = text.split_once('\n').unwrap_or((text, SERVER_NAME));
    let (Ok(uri), Ok(host)) = (target.parse::<Uri>(), HeaderValue::from_str(host)) else {
        return;
    };
    let Ok(request) = Request::get(uri.clone()).header(HOST, &host).body(()) else {
        return;
    };
    let Ok(request) = fuzzing::well_formed(request, SERVER_NAME) else {
        return;
    };
    assert_eq!(request.uri(), &uri, "nothing is rewritten");
    let named = fuzzing::host_of_authority(host.as_bytes()).expect("a host");
    assert!(named.eq_ignore_ascii_case(SERVER_NAME));
    verify_query(uri.query().unwrap_or_default());
    verify_path(uri.path());
});

fn verify_query(query: &str) {
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    assert!(!names.any(|name| name == "access_token"));
}

/// The URL Standard resolves dots and backslashes: there must have been none.
fn verify_path(path: &str) {
    assert!(fuzzing::is_unambiguous(path));
    let url = url::Url::parse(&format!("https://h{path}")).expect("a URL");
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    assert_eq!(
        decoded(url.path()),
        decoded(path),
        "{path} is read as {}",
        url.path()
    );
    assert_eq!(url.path().split('/').count(), path.split('/').count());
    verify_route(path);
}

/// A path that some server could take for one under `/api/admin` is served under that route's rules or not at all.
fn verify_route(path: &str) {
    let Some(prefix) = fuzzing::route(&CONFIGURATION, SERVER_NAME, path) else {
        return;
    };
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .map(|segment| {
            segment
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        })
        .filter(|segment| !segment.is_empty())
        .collect();
    let leads_to = |prefix: &str| {
        let prefix: Vec<&str> = prefix.split('/').skip(1).collect();
        segments.iter().map(String::as_str).take(prefix.len()).eq(prefix)
    };
    assert!(
        path.starts_with(&prefix) && leads_to(&prefix),
        "{path} under {prefix}"
    );
    assert_eq!(
        leads_to("/api/admin"),
        prefix == "/api/admin",
        "{path} under {prefix}"
    );
}
