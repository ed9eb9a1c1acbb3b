//! The host names by which clients may address this server. A page whose own name was made to point
//! here (DNS rebinding) would pass for a page of this server, and has no other trace than that name.

use super::origins::Origins;
use super::problem::Problem;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version, header};
use claviger_domain::code::ErrorCode;
use reqwest::Url;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Names besides those that every server has, as browsers write them, without ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hosts(BTreeSet<String>);

/// An entry that isn't a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write hosts as app.example.org or 192.0.2.7, without scheme and port, separated by commas; * \
     is not allowed, because it would admit every page"
)]
pub struct HostsError;

impl FromStr for Hosts {
    type Err = HostsError;

    fn from_str(text: &str) -> Result<Self, HostsError> {
        let named = text.split(',').map(str::trim).filter(|host| !host.is_empty());
        named.map(|host| canonical(host).ok_or(HostsError)).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Hosts {
    type Error = HostsError;

    fn try_from(text: String) -> Result<Self, HostsError> {
        text.parse()
    }
}

/// A host as browsers write it in `Host`; `None` if the text is anything else.
fn canonical(text: &str) -> Option<String> {
    let is_bare = !text.contains(['/', '@', '?', '#', '\\', '*', '%'])
        && (!text.contains(':') || (text.starts_with('[') && text.ends_with(']')));
    let url = Url::parse(&format!("http://{text}/")).ok().filter(|_| is_bare)?;
    let host = url.host_str()?;
    Some(host.trim_end_matches('.').to_owned()).filter(|host| !host.is_empty())
}

impl Hosts {
    /// Whether no host is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The hosts of one server. Ports make no difference: a page can't choose the name by which its
/// browser reaches a port.
#[derive(Clone, Debug)]
pub struct OwnHosts {
    named: BTreeSet<String>,
    listen: IpAddr,
}

impl Default for OwnHosts {
    fn default() -> Self {
        Self { named: BTreeSet::new(), listen: Ipv4Addr::LOCALHOST.into() }
    }
}

impl OwnHosts {
    /// The hosts that the operator names, those of the origins whose pages may use the server, the
    /// address on which it listens, and the names of this machine's loopback.
    pub fn new(hosts: &Hosts, origins: &Origins, listen: IpAddr) -> Self {
        let named = hosts.0.iter().cloned().chain(origins.hosts()).collect();
        Self { named, listen: listen.to_canonical() }
    }

    /// Refuses a request that was made to another host.
    ///
    /// # Errors
    /// 421; 400 for a request that names no host or an impossible one.
    pub fn check(&self, request: &Parts) -> Result<(), Problem> {
        let mut named = false;
        let headers = request.headers.get_all(header::HOST).iter();
        for host in headers.map(|value| value.to_str().ok()?.parse::<Authority>().ok()) {
            let host = host.filter(|_| !named).ok_or_else(malformed)?;
            self.check_one(&host)?;
            named = true;
        }
        // The target of HTTP/2 and of a request to a proxy, which counts before the header.
        if let Some(authority) = request.uri.authority() {
            self.check_one(authority)?;
            named = true;
        }
        // No browser speaks HTTP/1.0, and the checks of some load balancers name no host.
        if named || request.version <= Version::HTTP_10 { Ok(()) } else { Err(malformed()) }
    }

    fn check_one(&self, authority: &Authority) -> Result<(), Problem> {
        if authority.as_str().contains('@') {
            return Err(malformed());
        }
        if self.has(authority.host()) { Ok(()) } else { Err(elsewhere()) }
    }

    fn has(&self, host: &str) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            // Where the server listens on all addresses, it doesn't know them all: some belong to a
            // machine that passes connections on. A page that was rebound has a name.
            if ip.is_loopback() || ip == self.listen || self.listen.is_unspecified() {
                return true;
            }
        }
        name == "localhost" || self.named.contains(&name)
    }
}

fn elsewhere() -> Problem {
    let message = "this server does not answer to the host name in the request: its operator can add \
                   the name to CLAVIGER_HOSTS";
    Problem::new(ErrorCode::BadRequest, message).with_status(StatusCode::MISDIRECTED_REQUEST)
}

fn malformed() -> Problem {
    Problem::new(ErrorCode::BadRequest, "the request must name one host")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn status(own: &OwnHosts, hosts: &[&str], target: &str, version: Version) -> u16 {
        let mut request = Request::builder().uri(target).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        own.check(&parts).map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    fn own(listen: &str) -> OwnHosts {
        let hosts = "Keys.Example.org, 192.0.2.7,bücher.example".parse().unwrap();
        let origins = "https://app.example.org:8443".parse().unwrap();
        OwnHosts::new(&hosts, &origins, listen.parse().unwrap())
    }

    #[test]
    fn a_server_has_the_hosts_of_its_loopback_its_address_and_its_settings() {
        for (listen, host, expected) in [
            ("127.0.0.1", "127.0.0.1:8005", 200),
            ("127.0.0.1", "127.0.0.9", 200),
            ("127.0.0.1", "[::1]:8005", 200),
            ("127.0.0.1", "[::ffff:127.0.0.1]", 200),
            ("127.0.0.1", "localhost:1", 200),
            ("127.0.0.1", "LOCALHOST.", 200),
            ("127.0.0.1", "keys.example.org:443", 200),
            ("127.0.0.1", "app.example.org", 200),
            ("127.0.0.1", "xn--bcher-kva.example", 200),
            ("127.0.0.1", "192.0.2.7", 200),
            ("127.0.0.1", "evil.example:8005", 421),
            ("127.0.0.1", "localhost.evil.example", 421),
            ("127.0.0.1", "127.0.0.1.evil.example", 421),
            ("127.0.0.1", "sub.keys.example.org", 421),
            ("127.0.0.1", "10.0.0.5", 421),
            ("127.0.0.1", "0x7f.0.0.1", 421),
            ("10.0.0.5", "10.0.0.5:80", 200),
            ("10.0.0.5", "localhost", 200),
            ("10.0.0.5", "10.0.0.6", 421),
            ("::", "10.0.0.6", 200),
            ("0.0.0.0", "[2001:db8::1]:80", 200),
            ("0.0.0.0", "evil.example", 421),
            ("127.0.0.1", "ada@127.0.0.1", 400),
            ("127.0.0.1", "", 400),
            ("127.0.0.1", "a b", 400),
        ] {
            let found = status(&own(listen), &[host], "/graphql", Version::HTTP_11);
            assert_eq!(found, expected, "{host:?} at {listen}");
        }
    }

    #[test]
    fn every_place_that_names_a_host_counts() {
        let own = own("127.0.0.1");
        let (old, usual, two) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (hosts, target, version, expected) in [
            (&[][..], "/", old, 200),
            (&[], "/", usual, 400),
            (&[], "/", two, 400),
            (&["evil.example"], "/", old, 421),
            (&[], "http://localhost/", two, 200),
            (&[], "http://evil.example/", two, 421),
            (&["evil.example"], "http://localhost/", two, 421),
            (&["localhost"], "http://evil.example/", usual, 421),
            (&["localhost", "localhost"], "/", usual, 400),
        ] {
            assert_eq!(status(&own, hosts, target, version), expected, "{hosts:?} {target}");
        }
    }

    #[test]
    fn hosts_are_read_in_every_spelling_and_nothing_else_is() {
        let hosts: Hosts = " App.Example.org. ,[2001:DB8::1],".parse().unwrap();
        assert_eq!(hosts.0.into_iter().collect::<Vec<_>>(), ["[2001:db8::1]", "app.example.org"]);
        assert_eq!("".parse(), Ok(Hosts::default()));
        for bad in [
            "*",
            "*.example.org",
            "https://app.example.org",
            "app.example.org:443",
            "app.example.org:",
            "app.example.org/path",
            "a@b.org",
            "a b",
            "[::1]:80",
        ] {
            assert_eq!(bad.parse::<Hosts>(), Err(HostsError), "{bad}");
        }
    }
}
