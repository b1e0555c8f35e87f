//! Requests that can be read in one way only: the right host, one framing, one path, and no token in the query.
//!
//! Says nothing of who sends them. [`WellFormedRequest`] is what authorization starts from, and nothing else makes one.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Uri};
use url::form_urlencoded;

use crate::host::{HostName, host_of_authority};
use crate::path;
use crate::rejection::Rejection;

/// A request that passed every check of its form.
#[derive(Debug)]
pub(crate) struct WellFormedRequest<B>(Box<Request<B>>);

impl<B> WellFormedRequest<B> {
    /// Verifies the form of a request that came over a connection to `server_name`.
    ///
    /// # Errors
    ///
    /// [`Rejection`], one for each check.
    pub(crate) fn verify(request: Box<Request<B>>, server_name: &HostName) -> Result<Self, Rejection> {
        verify_host(request.uri(), request.headers(), server_name)?;
        verify_framing(request.headers())?;
        path::verify(request.uri().path()).map_err(|_| Rejection::PathAmbiguous)?;
        verify_query(request.uri().query())?;
        Ok(Self(request))
    }

    /// Whether a browser asks if it may send a request from another site. [Fetch §3.3.5]
    ///
    /// [Fetch §3.3.5]: https://fetch.spec.whatwg.org/#cors-preflight-request
    pub(crate) fn is_cors_preflight(&self) -> bool {
        self.0.method() == Method::OPTIONS
            && self.headers().contains_key(ORIGIN)
            && self.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    pub(crate) fn method(&self) -> &Method {
        self.0.method()
    }

    pub(crate) fn path(&self) -> &str {
        self.0.uri().path()
    }

    pub(crate) fn into_request(self) -> Box<Request<B>> {
        self.0
    }
}

/// Every host the request names, in its target and in `Host`, must be the one the connection was opened for: on any
/// other the certificate shown was another's.
///
/// RFC 9110 §7.2, §15.5.20, RFC 9112 §3.2
fn verify_host(target: &Uri, headers: &HeaderMap, server_name: &HostName) -> Result<(), Rejection> {
    let authority = target.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = headers.get_all(HOST).iter().map(http::HeaderValue::as_bytes);
    let host = hosts.next();
    if hosts.next().is_some() || (authority.is_none() && host.is_none()) {
        return Err(Rejection::HostMalformed);
    }
    for named in authority.into_iter().chain(host) {
        // Most name it without a port.
        if named.eq_ignore_ascii_case(server_name.as_str().as_bytes()) {
            continue;
        }
        let named = host_of_authority(named).ok_or(Rejection::HostMalformed)?;
        if !named.eq_ignore_ascii_case(server_name.as_str()) {
            return Err(Rejection::HostMismatch);
        }
    }
    Ok(())
}

/// Refuses what is left of requests whose end could be found in two ways. hyper has removed a `Content-Length` that
/// came with a `Transfer-Encoding`, refused several that differ, and frames what is forwarded anew.
///
/// RFC 9112 §6.3
fn verify_framing(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let is_sound = match (encodings.next(), encodings.next()) {
        (None, _) => lengths <= 1,
        (Some(encoding), None) => lengths == 0 && encoding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if is_sound {
        Ok(())
    } else {
        Err(Rejection::FramingAmbiguous)
    }
}

/// A token in the query ends up in logs and histories. RFC 6750 §2.3, §5.3
fn verify_query(query: Option<&str>) -> Result<(), Rejection> {
    let mut parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    if parameters.any(|(name, _)| name == "access_token") {
        Err(Rejection::TokenInQuery)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(request: http::request::Builder) -> Result<WellFormedRequest<()>, &'static str> {
        let server_name = HostName::parse("api.example.com").unwrap();
        WellFormedRequest::verify(Box::new(request.body(()).unwrap()), &server_name)
            .map_err(|rejection| rejection.reason())
    }

    fn to(target: &str, hosts: &[&str]) -> Result<(), &'static str> {
        let request = Request::get(target);
        verify(
            hosts
                .iter()
                .fold(request, |request, host| request.header(HOST, *host)),
        )
        .map(|_| ())
    }

    /// T39.
    #[test]
    fn accepts_the_host_of_the_handshake_in_any_case_and_with_any_port() {
        assert_eq!(to("/", &["api.example.com"]), Ok(()));
        assert_eq!(to("/", &["API.EXAMPLE.com:3000"]), Ok(()));
        assert_eq!(to("https://api.example.com/", &[]), Ok(()));
        assert_eq!(to("https://Api.example.com:3000/", &["api.example.com"]), Ok(()));
    }

    /// T39.
    #[test]
    fn refuses_another_host_wherever_it_is_named() {
        for host in [
            "login.example.com",
            "api.example.com.",
            "xapi.example.com",
            "127.0.0.1:3000",
        ] {
            assert_eq!(to("/", &[host]), Err("host_mismatch"), "{host}");
        }
        assert_eq!(
            to("https://login.example.com/", &["api.example.com"]),
            Err("host_mismatch")
        );
        assert_eq!(
            to("https://api.example.com/", &["login.example.com"]),
            Err("host_mismatch")
        );
    }

    /// T39.
    #[test]
    fn refuses_no_host_two_hosts_and_what_is_none() {
        assert_eq!(to("/", &[]), Err("host_malformed"));
        assert_eq!(
            to("/", &["api.example.com", "api.example.com"]),
            Err("host_malformed")
        );
        assert_eq!(to("/", &["user@api.example.com"]), Err("host_malformed"));
        assert_eq!(to("/", &[""]), Err("host_malformed"));
    }

    /// N1.
    #[test]
    fn refuses_an_ambiguous_path() {
        assert_eq!(to("/api/%2e%2e/x", &["api.example.com"]), Err("path_ambiguous"));
        assert_eq!(to("/api/x", &["api.example.com"]), Ok(()));
    }

    /// B8.
    #[test]
    fn refuses_a_token_in_the_query_however_it_is_written() {
        for query in [
            "access_token=x",
            "a=b&access_token=",
            "access%5Ftoken=x",
            "%61ccess_token",
        ] {
            assert_eq!(
                to(&format!("/?{query}"), &["api.example.com"]),
                Err("token_in_query"),
                "{query}"
            );
        }
        for query in ["", "token=x", "q=access_token", "access_tokens=1"] {
            assert_eq!(to(&format!("/?{query}"), &["api.example.com"]), Ok(()), "{query}");
        }
    }

    /// RFC 9112 §6.3.
    #[test]
    fn refuses_bodies_with_two_ends() {
        let framed = |fields: &[(&str, &str)]| {
            let request = Request::post("/").header(HOST, "api.example.com");
            let request = fields
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value));
            verify(request).map(|_| ())
        };
        assert_eq!(framed(&[("content-length", "2")]), Ok(()));
        assert_eq!(framed(&[("transfer-encoding", "chunked")]), Ok(()));
        for fields in [
            &[("content-length", "2"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "2"), ("content-length", "2")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ] {
            assert_eq!(framed(fields), Err("framing_ambiguous"), "{fields:?}");
        }
    }

    /// P11.
    #[test]
    fn only_a_complete_preflight_is_one() {
        let is_preflight = |method: Method, fields: &[&str]| {
            let request = Request::builder()
                .method(method)
                .uri("/")
                .header(HOST, "api.example.com");
            let request = fields
                .iter()
                .fold(request, |request, name| request.header(*name, "x"));
            verify(request).unwrap().is_cors_preflight()
        };
        assert!(is_preflight(
            Method::OPTIONS,
            &["origin", "access-control-request-method"]
        ));
        assert!(!is_preflight(Method::OPTIONS, &["origin"]));
        assert!(!is_preflight(Method::OPTIONS, &["access-control-request-method"]));
        assert!(!is_preflight(
            Method::GET,
            &["origin", "access-control-request-method"]
        ));
    }
}
