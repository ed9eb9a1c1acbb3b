//! Addresses that begin with `mongodb+srv://`: one name, whose hosts and options are in DNS.
//!
//! The driver's own resolver would bring a DNS library of 60,000 lines and could not be pointed at a
//! server of the tests. What is needed of DNS are two questions at the start.

mod dns;
mod message;
#[cfg(test)]
mod tests;

use claviger_vault::Entropy;
use dns::Dns;
use std::net::SocketAddr;

/// The scheme.
const SCHEME: &str = "mongodb+srv://";

/// Most hosts that are taken.
const MOST_HOSTS: usize = 50;

/// Why the hosts can't be found. Never holds the address, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error(
        "write it as mongodb+srv://[user:password@]name.of.the.cluster/[database][?options], with one name and without a port"
    )]
    Address,
    /// No name server answers, or it refuses to.
    #[error("no name server answers: check the machine's resolver (/etc/resolv.conf)")]
    Silent,
    #[error("there is no such name: check it, or whether the machine's resolver knows it")]
    Unknown,
    #[error(
        "a name server's answer makes no sense, or is too long: name the hosts themselves, with mongodb://"
    )]
    Garbled,
    /// Somebody may have forged the answer, to be sent the password.
    #[error(
        "DNS names a host outside the domain of the address: this is refused, as the credentials would be sent there"
    )]
    Foreign,
    #[error(
        "the TXT record of the name is not what MongoDB allows: one record with authSource, replicaSet or loadBalanced"
    )]
    Options,
}

/// Whether the address names its hosts by DNS.
pub(super) fn is_by_name(uri: &str) -> bool {
    uri.starts_with(SCHEME)
}

/// The same address with the hosts themselves, as `mongodb://`. `servers` are those that are asked;
/// none for the machine's own.
///
/// # Errors
/// [`Unresolved`].
pub(super) async fn resolved(
    uri: &str,
    servers: &[SocketAddr],
    entropy: &dyn Entropy,
) -> Result<String, Unresolved> {
    let named = Named::parse(uri).ok_or(Unresolved::Address)?;
    let dns = Dns::new(servers, entropy);
    let mut hosts = dns.services(&format!("_{}._tcp.{}", named.service, named.host)).await?;
    let parent = parent_of(&named.host);
    if hosts.iter().any(|(host, _)| !is_below(host, parent)) {
        return Err(Unresolved::Foreign);
    }
    hosts.truncate(named.most);
    let texts = match dns.texts(&named.host).await {
        Err(Unresolved::Unknown) => Vec::new(),
        texts => texts?,
    };
    Ok(named.with(&hosts, &options_of(texts)?))
}

/// The parts of an address.
struct Named<'a> {
    /// With the `@`, or nothing.
    credentials: &'a str,
    host: String,
    database: &'a str,
    /// Without those that concern only the look-up.
    options: Vec<(&'a str, &'a str)>,
    service: &'a str,
    most: usize,
}

impl<'a> Named<'a> {
    fn parse(uri: &'a str) -> Option<Self> {
        let rest = uri.strip_prefix(SCHEME)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let at = authority.rfind('@').map_or(0, |at| at + 1);
        let (credentials, host) = authority.split_at_checked(at)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if host.len() > 200 || host.split('.').count() < 2 || !host.split('.').all(is_label) {
            return None;
        }
        let mut named = Self {
            credentials,
            host,
            database,
            options: Vec::new(),
            service: "mongodb",
            most: MOST_HOSTS,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            match name.to_ascii_lowercase().as_str() {
                "srvservicename" if is_label(value) => named.service = value,
                "srvservicename" => return None,
                "srvmaxhosts" => match value.parse().ok()? {
                    0 => {}
                    most => named.most = most,
                },
                _ => named.options.push((name, value)),
            }
        }
        Some(named)
    }

    fn with(&self, hosts: &[(String, u16)], found: &[(String, String)]) -> String {
        let has =
            |wanted: &str| self.options.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let mut options: Vec<String> =
            self.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // The address wins over DNS.
        let found = found.iter().filter(|(name, _)| !has(name));
        options.extend(found.map(|(name, value)| format!("{name}={value}")));
        if !has("tls") && !has("ssl") {
            options.push("tls=true".to_owned());
        }
        let hosts: Vec<_> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let (hosts, options) = (hosts.join(","), options.join("&"));
        format!("mongodb://{}{hosts}/{}?{options}", self.credentials, self.database)
    }
}

/// The domain in which the hosts must be: without the name's first part, unless only a top-level
/// domain would remain.
fn parent_of(host: &str) -> &str {
    match host.split_once('.') {
        Some((_, parent)) if parent.contains('.') => parent,
        Some(_) | None => host,
    }
}

fn is_below(host: &str, parent: &str) -> bool {
    host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

fn options_of(texts: Vec<String>) -> Result<Vec<(String, String)>, Unresolved> {
    let mut texts = texts.into_iter();
    let Some(text) = texts.next() else { return Ok(Vec::new()) };
    if texts.next().is_some() {
        return Err(Unresolved::Options);
    }
    let pairs = text.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').ok_or(Unresolved::Options)?;
        let known = ["authsource", "replicaset", "loadbalanced"];
        let is_plain =
            value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.$%".contains(&byte));
        if known.contains(&name.to_ascii_lowercase().as_str()) && is_plain {
            Ok((name.to_owned(), value.to_owned()))
        } else {
            Err(Unresolved::Options)
        }
    });
    pairs.collect()
}
