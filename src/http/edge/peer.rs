//! The client of a request: the peer of the connection, or the client that a trusted proxy names.

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Networks of proxies whose forwarding headers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TrustedProxies(Vec<IpNet>);

/// An entry that isn't a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write networks as 10.0.0.0/8 or single addresses, separated by commas")]
pub struct TrustedProxiesError;

impl FromStr for TrustedProxies {
    type Err = TrustedProxiesError;

    fn from_str(text: &str) -> Result<Self, TrustedProxiesError> {
        let network =
            |text: &str| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let named = text.split(',').map(str::trim).filter(|network| !network.is_empty());
        named
            .map(|text| network(text).map_err(|_| TrustedProxiesError))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TryFrom<String> for TrustedProxies {
    type Error = TrustedProxiesError;

    fn try_from(text: String) -> Result<Self, TrustedProxiesError> {
        text.parse()
    }
}

/// The origin of a request, kept in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub socket: SocketAddr,
    pub client: IpAddr,
    /// A trusted proxy reports that the client used TLS.
    pub is_https: bool,
    /// The client is on this machine, and the connection is its own. A trusted proxy on this machine
    /// may pass a client's request on without its address, so nothing that comes from there counts.
    pub is_local: bool,
}

impl TrustedProxies {
    /// Whether no proxy is named.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sender of a request that came over this connection.
    ///
    /// Proxies append on the right, and clients can write anything on the left: the list is read
    /// from the right up to the first address that isn't a trusted proxy. If both headers are
    /// present and disagree, a proxy let one through that the client made up, so neither counts.
    pub fn peer(&self, socket: SocketAddr, headers: &HeaderMap) -> Peer {
        let near = socket.ip().to_canonical();
        if !self.holds(near) {
            let is_local = near.is_loopback();
            return Peer { socket, client: near, is_https: false, is_local };
        }
        let listed = list(headers, &FORWARDED_FOR)
            .map(|items| self.walk(near, items.iter().map(|item| address(item))));
        let forwarded = list(headers, &header::FORWARDED);
        let named = forwarded.as_ref().map(|items| {
            self.walk(near, items.iter().map(|item| address(parameter(item, "for")?)))
        });
        let client = match (listed, named) {
            (Some(one), Some(other)) if one != other => near,
            (one, other) => one.or(other).unwrap_or(near),
        };
        let scheme = list(headers, &FORWARDED_PROTO).and_then(|items| items.last().copied());
        let scheme = scheme.or_else(|| parameter(forwarded.as_ref()?.last()?, "proto"));
        Peer {
            socket,
            client,
            is_https: scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            is_local: false,
        }
    }

    fn holds(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// Reads `hops` from the nearest one outwards.
    fn walk(&self, near: IpAddr, hops: impl DoubleEndedIterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut last = near;
        for hop in hops.rev() {
            // Hidden or garbled: the proxy before it is the last known hop.
            let Some(ip) = hop else { break };
            last = ip;
            if !self.holds(ip) {
                break;
            }
        }
        last
    }
}

/// The items of a header, over all its lines; `None` if it is missing.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        lines.flat_map(|line| line.split(',')).map(str::trim).collect()
    })
}

/// A parameter of one element of `Forwarded` (RFC 7239).
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"'))
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let socket = || text.parse::<SocketAddr>().map(|socket| socket.ip());
    let bracketed = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    text.parse().or_else(|_| socket()).or_else(|_| bracketed()).ok().map(|ip| ip.to_canonical())
}

/// The address by which limits count a client: its own, or for IPv6 the network of one subscriber.
pub fn subscriber(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
    }
}

/// The same as a number.
pub fn bucket(client: IpAddr) -> u128 {
    match subscriber(client) {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> Peer {
        let trusted: TrustedProxies = "10.0.0.0/8, 192.0.2.7,fd00::/8".parse().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        trusted.peer(peer.parse().unwrap(), &map)
    }

    #[test]
    fn a_client_is_named_by_trusted_proxies_only_and_from_the_right() {
        const XFF: &str = "x-forwarded-for";
        const FWD: &str = "forwarded";
        let near = "10.0.0.1:1000";
        for (peer, headers, expected) in [
            ("203.0.113.9:1000", &[(XFF, "1.1.1.1"), (FWD, "for=1.1.1.1")][..], "203.0.113.9"),
            (near, &[], "10.0.0.1"),
            (near, &[(XFF, "203.0.113.9")], "203.0.113.9"),
            (near, &[(XFF, "6.6.6.6, 203.0.113.9")], "203.0.113.9"),
            (near, &[(XFF, "6.6.6.6, 203.0.113.9, 10.2.3.4, 192.0.2.7")], "203.0.113.9"),
            (near, &[(XFF, "6.6.6.6"), (XFF, "203.0.113.9")], "203.0.113.9"),
            (near, &[(XFF, "10.9.9.9, 10.8.8.8")], "10.9.9.9"),
            (near, &[(XFF, "203.0.113.9, zebra")], "10.0.0.1"),
            (near, &[(XFF, "203.0.113.9, unknown, 10.2.3.4")], "10.2.3.4"),
            (near, &[(XFF, "")], "10.0.0.1"),
            (near, &[(XFF, "203.0.113.9:4711")], "203.0.113.9"),
            (near, &[(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
            (near, &[(XFF, "::ffff:203.0.113.9")], "203.0.113.9"),
            ("[::ffff:10.0.0.1]:1", &[(XFF, "203.0.113.9")], "203.0.113.9"),
            (near, &[(FWD, "for=203.0.113.9;proto=https")], "203.0.113.9"),
            (near, &[(FWD, "For=\"[2001:db8::1]:80\"")], "2001:db8::1"),
            (near, &[(FWD, "for=6.6.6.6, for=203.0.113.9, for=10.1.1.1")], "203.0.113.9"),
            (near, &[(FWD, "for=_hidden, for=10.1.1.1")], "10.1.1.1"),
            (near, &[(FWD, "by=203.0.113.9")], "10.0.0.1"),
            (near, &[(XFF, "203.0.113.9"), (FWD, "for=203.0.113.9")], "203.0.113.9"),
            (near, &[(XFF, "203.0.113.9"), (FWD, "for=6.6.6.6")], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, headers).client.to_string(), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn tls_is_believed_of_trusted_proxies_only() {
        const PROTO: (&str, &str) = ("x-forwarded-proto", "https");
        assert!(client("10.0.0.1:1", &[PROTO]).is_https);
        assert!(client("10.0.0.1:1", &[("forwarded", "for=1.1.1.1;proto=HTTPS")]).is_https);
        assert!(!client("10.0.0.1:1", &[("x-forwarded-proto", "https, http")]).is_https);
        assert!(!client("10.0.0.1:1", &[]).is_https);
        assert!(!client("203.0.113.9:1", &[PROTO]).is_https);
    }

    #[test]
    fn only_a_client_of_this_machine_without_a_proxy_is_local() {
        let peer = |trusted: &str, headers: &HeaderMap| {
            let trusted: TrustedProxies = trusted.parse().unwrap();
            trusted.peer("127.0.0.1:1000".parse().unwrap(), headers)
        };
        let mut forwarded = HeaderMap::new();
        assert!(peer("", &forwarded).is_local);
        assert!(!peer("127.0.0.1", &forwarded).is_local, "a proxy that names nobody");
        forwarded.insert(FORWARDED_FOR, HeaderValue::from_static("127.0.0.1"));
        assert!(!peer("127.0.0.1", &forwarded).is_local, "a client that names itself");
        assert!(peer("", &forwarded).is_local);
        assert!(!client("203.0.113.9:1", &[("x-forwarded-for", "127.0.0.1")]).is_local);
    }

    #[test]
    fn malformed_networks_are_refused() {
        for bad in ["zebra", "10.0.0.0/33", "10.0.0.0/8 fd00::/8", "*"] {
            assert_eq!(bad.parse::<TrustedProxies>(), Err(TrustedProxiesError), "{bad}");
        }
        assert_eq!(" , ".parse(), Ok(TrustedProxies::default()));
    }

    #[test]
    fn an_ipv6_subscriber_has_one_bucket() {
        let of = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:203.0.113.9"), of("203.0.113.9"));
        assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
    }
}
