//! The proxy through which Anthropic is called, where the operator names one. The environment's
//! proxies are ignored: whoever can set a variable must not decide where keys go.

use super::client::is_this_machine;
use reqwest::{Proxy, Url};
use serde::Deserialize;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// An address of a proxy. It may contain a password, so it has no readable form.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamProxy(Url);

/// A text that isn't one. It isn't repeated, as it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as {form}", form = Self::FORM)]
pub struct UpstreamProxyError;

impl UpstreamProxyError {
    /// What an address looks like.
    pub const FORM: &str = "http://host:port, https://host:port or socks5://host:port, with user:password@ before the host if need be";
}

/// What an operator wrote, not read yet: the command line repeats texts that it cannot read.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProxyText(String);

impl ProxyText {
    /// # Errors
    /// [`UpstreamProxyError`].
    pub fn read(&self) -> Result<UpstreamProxy, UpstreamProxyError> {
        self.0.parse()
    }
}

impl FromStr for ProxyText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for ProxyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyText(..)")
    }
}

impl UpstreamProxy {
    pub(super) fn for_client(&self) -> Result<Proxy, reqwest::Error> {
        Proxy::all(self.0.clone())
    }

    /// What is sent to the proxy itself stays on this machine.
    pub(super) fn is_this_machine(&self) -> bool {
        is_this_machine(&self.0)
    }

    /// The way to the proxy is encrypted, so it needs certificate authorities.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The `claude` program knows only the other kinds.
    pub fn is_socks(&self) -> bool {
        self.0.scheme().starts_with("socks")
    }

    /// For the environment of the `claude` program. Contains the password.
    pub(super) fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamProxy(..)")
    }
}

impl FromStr for UpstreamProxy {
    type Err = UpstreamProxyError;

    fn from_str(text: &str) -> Result<Self, UpstreamProxyError> {
        let url = Url::parse(text.trim()).map_err(|_| UpstreamProxyError)?;
        // `socks5h` leaves the names to the proxy, which alone may know them.
        let is_kind = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        let is_plain =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if is_kind && is_plain && url.has_host() { Ok(Self(url)) } else { Err(UpstreamProxyError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_by_its_address_and_never_shown() {
        for good in [
            "http://proxy:3128",
            "https://proxy.example.org/",
            " http://user:swordfish@10.0.0.1:3128 ",
            "socks5://127.0.0.1:1080",
            "socks5h://[::1]:1080",
        ] {
            let proxy: UpstreamProxy = good.parse().unwrap();
            assert_eq!(format!("{proxy:?}"), "UpstreamProxy(..)");
            assert!(proxy.for_client().is_ok(), "{good}");
        }
        for bad in [
            "",
            "proxy:3128",
            "ftp://proxy",
            "http://",
            "http://proxy/path",
            "http://u:swordfish@proxy/?a",
            "socks4://h",
        ] {
            let refused = bad.parse::<UpstreamProxy>().unwrap_err().to_string();
            assert!(
                refused.contains("http://host:port") && !refused.contains("swordfish"),
                "{bad}"
            );
        }
    }
}
