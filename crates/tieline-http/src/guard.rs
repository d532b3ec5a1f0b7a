//! Who may ask at all. Any page that a browser shows can reach a port of this machine, so before anything else a request
//! must say that it means this server, and come from a page that may use it, if it comes from one.
//!
//! ```text
//!  Host is loopback or configured? ──no──▶ 421 foreign-host        a name that an attacker lets point here
//!        │ yes
//!  Origin is this server's own, or listed? ──no──▶ 403 foreign-origin
//!        │ there is none
//!  Sec-Fetch-Site is none or same-origin? ──no──▶ 403 foreign-origin
//!        │ yes, or there is none: no browser
//!        ▼
//!  a preflight of a listed origin is answered; all else goes on
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::connection::Caller;
use crate::refusal::Refusal;

/// How long a browser may remember what it was allowed, in seconds.
const REMEMBER: &str = "600";

/// See the module. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Arc<Known>);

#[derive(Debug)]
struct Known {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// What may be said to the page that a request comes from.
enum From {
    /// None, or one of our own.
    Here,
    /// One that is listed: this origin.
    Listed(HeaderValue),
}

impl Guard {
    pub(crate) fn new(hosts: Vec<String>, origins: Vec<String>) -> Self {
        let plain = |host: String| host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let hosts = hosts.into_iter().map(plain).collect();
        let origins = origins.into_iter().map(|origin| as_said(&origin)).collect();
        Self(Arc::new(Known { hosts, origins }))
    }

    fn judge(&self, uri: &Uri, headers: &HeaderMap, is_tls: bool) -> Result<From, Refusal> {
        let authority = authority(uri, headers).ok_or_else(Refusal::no_host)?;
        if !self.is_ours(authority.host()) {
            return Err(Refusal::foreign_host(authority.host()));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
                None | Some(b"none" | b"same-origin") => Ok(From::Here),
                Some(_) => Err(Refusal::foreign_origin("another site")),
            },
            (Some(origin), None) => {
                let shown = origin.to_str().unwrap_or_default().to_ascii_lowercase();
                if is_own(&shown, &authority, is_tls) {
                    Ok(From::Here)
                } else if self.0.origins.contains(&shown) {
                    Ok(From::Listed(origin.clone()))
                } else {
                    Err(Refusal::foreign_origin(&shown))
                }
            }
            (Some(_), Some(_)) => Err(Refusal::foreign_origin("two origins at once")),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let is_loopback = match host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            // These never leave a machine (RFC 6761).
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        is_loopback || self.0.hosts.contains(&host)
    }
}

/// Whom a request means: both protocols must say so, and not in two ways.
fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(Authority::try_from(host.as_bytes()).ok()?),
        (Some(_), Some(_)) => return None,
    };
    match (uri.authority().cloned(), host) {
        (Some(said), Some(host)) => (said == host).then_some(said),
        (said, host) => said.or(host),
    }
    .filter(|said| said.as_str() == said.host() || said.port_u16().is_some() && !said.as_str().contains('@'))
}

/// An origin as browsers say it: in small letters, without the port that is usual.
fn as_said(origin: &str) -> String {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let usual = match origin.split_once("://") {
        Some(("https", _)) => ":443",
        Some(("http", _)) => ":80",
        _ => return origin,
    };
    origin.strip_suffix(usual).unwrap_or(&origin).to_owned()
}

/// Whether a page of this origin was served from here.
fn is_own(origin: &str, authority: &Authority, is_tls: bool) -> bool {
    let (scheme, usual) = if is_tls { ("https", 443) } else { ("http", 80) };
    let Some(place) = origin.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) else { return false };
    Authority::try_from(place).is_ok_and(|place| {
        place.host().eq_ignore_ascii_case(authority.host())
            && place.port_u16().unwrap_or(usual) == authority.port_u16().unwrap_or(usual)
    })
}

/// Stands before everything that is served.
pub(crate) async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let is_tls = request.extensions().get::<Caller>().is_some_and(|caller| caller.is_tls);
    match guard.judge(request.uri(), request.headers(), is_tls) {
        Err(refusal) => refusal.into_response(),
        Ok(From::Here) => next.run(request).await,
        Ok(From::Listed(origin)) => {
            let mut response = match preflight(&request) {
                Some(answer) => answer,
                None => next.run(request).await,
            };
            allow(origin, response.headers_mut());
            response
        }
    }
}

/// The answer to a browser that asks before it asks.
fn preflight(request: &Request) -> Option<Response> {
    let headers = request.headers();
    if request.method() != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let into = response.headers_mut();
    into.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, PUT, POST"));
    if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        into.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    if headers.contains_key("access-control-request-private-network") {
        into.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
    into.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBER));
    Some(response)
}

/// Lets the page read the answer, and its headers.
fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    let names: Vec<_> =
        headers.keys().map(axum::http::HeaderName::as_str).filter(|name| *name != "set-cookie").collect();
    if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(host: &str, more: &[(&'static str, &str)]) -> bool {
        let guard = Guard::new(vec!["Bus.Example".into()], vec!["https://app.example".into()]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::try_from(host).unwrap());
        for (name, value) in more {
            headers.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        guard.judge(&Uri::from_static("/c/x"), &headers, false).is_ok()
    }

    #[test]
    fn a_host_is_loopback_or_configured_and_nothing_like_it() {
        for host in ["localhost", "LOCALHOST:7071", "a.localhost", "127.0.0.1:7071", "127.9.9.9", "[::1]:7071"] {
            assert!(judge(host, &[]), "{host}");
        }
        for host in ["bus.example", "bus.example:7071", "BUS.example.", "[::ffff:127.0.0.1]"] {
            assert!(judge(host, &[]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.nip.io",
            "128.0.0.1",
            "0.0.0.0",
            "",
            "sub.bus.example",
            "user@localhost",
            "localhost:evil.example",
            "[::]",
        ] {
            assert!(!judge(host, &[]), "{host}");
        }
    }

    #[test]
    fn a_listed_origin_is_taken_as_browsers_say_it() {
        for (listed, said) in [
            ("https://App.example/", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("https://app.example:80", "https://app.example:80"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(as_said(listed), said);
        }
    }

    #[test]
    fn an_origin_is_our_own_or_listed() {
        for origin in ["http://localhost:7071", "HTTP://LocalHost:7071", "https://app.example", "https://APP.example"] {
            assert!(judge("localhost:7071", &[("origin", origin)]), "{origin}");
        }
        for origin in [
            "http://localhost:7072",
            "http://localhost",
            "https://localhost:7071",
            "http://127.0.0.1:7071",
            "null",
            "",
            "https://app.example:444",
            "https://app.example.evil",
            "http://app.example",
            "https://evil.example",
        ] {
            assert!(!judge("localhost:7071", &[("origin", origin)]), "{origin}");
        }
        assert!(judge("localhost", &[("origin", "http://localhost:80")]));
        assert!(!judge("localhost", &[("origin", "http://localhost"), ("origin", "https://evil.example")]));
    }

    #[test]
    fn a_browser_that_names_no_origin_must_say_that_the_site_is_ours() {
        for (site, passes) in [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(judge("localhost", &[("sec-fetch-site", site)]), passes, "{site}");
        }
        let listed = [("sec-fetch-site", "cross-site"), ("origin", "https://app.example")];
        assert!(judge("localhost", &listed));
    }

    #[test]
    fn a_request_that_names_two_hosts_names_none() {
        let guard = Guard::new(vec![], vec![]);
        let mut headers = HeaderMap::new();
        let judge =
            |uri: &'static str, headers: &HeaderMap| guard.judge(&Uri::from_static(uri), headers, false).is_ok();
        assert!(!judge("/", &headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(judge("/", &headers));
        assert!(judge("http://localhost/", &headers));
        assert!(!judge("http://127.0.0.1/", &headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(!judge("/", &headers));
    }
}
