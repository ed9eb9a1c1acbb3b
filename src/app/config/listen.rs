//! An address to listen on.

use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// An address and a port. Names are not resolved: who reaches the server must not depend on a name
/// server's answer. `localhost` stands for the address that it has everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListenAddress(pub SocketAddr);

/// A text that isn't one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an IP address and a port, such as 127.0.0.1:8005, [::1]:8005 or 0.0.0.0:8005; of names only localhost is known"
)]
pub struct ListenAddressError;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let local = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|_| host.eq_ignore_ascii_case("localhost"))?;
            Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        text.parse().ok().or_else(local).map(Self).ok_or(ListenAddressError)
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = ListenAddressError;

    fn try_from(text: String) -> Result<Self, ListenAddressError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_taken_and_the_refusal_says_what_is() {
        for (text, address) in [
            ("127.0.0.1:8005", "127.0.0.1:8005"),
            ("localhost:8005", "127.0.0.1:8005"),
            ("LOCALHOST:0", "127.0.0.1:0"),
            ("[::1]:8005", "[::1]:8005"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(text.parse(), Ok(ListenAddress(address.parse().unwrap())), "{text}");
        }
        for text in [
            "",
            "8005",
            ":8005",
            "localhost",
            "localhost:x",
            "localhost:65536",
            "::1:8005x",
            "example.org:8005",
            "127.0.0.1",
        ] {
            let refused = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(refused.contains("127.0.0.1:8005") && refused.contains("localhost"), "{text}");
        }
    }
}
