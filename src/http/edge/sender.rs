//! What a request says about its sender: their token, where they are, their program.

use super::peer::{Peer, bucket, subscriber};
use super::problem::Problem;
use crate::limits::Payer;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use claviger_application::PeerKey;
use claviger_domain::secret::SecretText;
use std::net::{IpAddr, SocketAddr};

/// Most characters kept of a client's user agent.
const USER_AGENT_MAX: usize = 200;

/// Where the client is, as rate limits count it.
pub fn peer(parts: &Parts) -> PeerKey {
    let key = |client, is_local| PeerKey { network: bucket(client), is_local };
    let peer = parts.extensions.get::<Peer>().map(|peer| key(peer.client, peer.is_local));
    peer.or_else(|| client(parts).map(|client| key(client, false))).unwrap_or_default()
}

/// The client's address.
pub fn client(parts: &Parts) -> Option<IpAddr> {
    let connected =
        || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    parts.extensions.get::<Peer>().map(|peer| peer.client).or_else(connected)
}

/// For whom the memory of a request is held before its sender is known.
pub fn payer(client: Option<IpAddr>) -> Payer {
    client.map_or(Payer::Unknown, |client| Payer::Peer(subscriber(client)))
}

/// The client's program, as it calls itself.
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(USER_AGENT_MAX).collect())
}

/// The bearer token, not verified yet; `None` if there is no `Authorization`.
///
/// # Errors
/// 401 for an `Authorization` that isn't one bearer token: ignoring it would hide the mistake.
pub fn bearer(headers: &HeaderMap) -> Result<Option<SecretText>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token =
        value.to_str().ok().and_then(|text| text.split_once(' ')).and_then(|(scheme, token)| {
            let token = token.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
                .then(|| SecretText::new(token.to_owned()))
        });
    match (token, values.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(Problem::unauthenticated(
            "the Authorization header must be \"Bearer\" followed by one token",
        )),
    }
}
