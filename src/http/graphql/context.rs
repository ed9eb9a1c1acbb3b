//! What the executor receives about the sender of a request.

use crate::http::edge::envelope::RequestIds;
use crate::http::edge::peer::{Peer, bucket, subscriber};
use crate::http::edge::problem::Problem;
use crate::limits::Payer;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use claviger_application::{PeerKey, Principal};
use claviger_domain::id::CorrelationId;
use claviger_domain::secret::SecretText;
use claviger_graphql::answer::AnswerBudget;
use std::net::{IpAddr, SocketAddr};
use uuid::Uuid;

/// The context of one operation. Operations of a batch have different request ids and share the
/// rest.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds a token")]
pub struct RequestContext {
    /// The bearer token as it was sent, not verified yet.
    pub token: Option<SecretText>,
    /// The user of the socket the operation came over, with the rights of their last check.
    pub holder: Option<Box<Principal>>,
    /// Made by the server; also in the errors of the response.
    pub request_id: Uuid,
    /// Made by the server; stored in the events this operation causes.
    pub correlation_id: CorrelationId,
    /// Where the client is: the peer of the connection, or the client that a trusted proxy names.
    pub peer: PeerKey,
    pub user_agent: Option<String>,
    /// What the operations of one HTTP request share; `None` for an operation that has its own.
    pub budget: Option<AnswerBudget>,
}

impl RequestContext {
    /// Reads the sender's token, address and user agent.
    ///
    /// # Errors
    /// 401 for an `Authorization` that isn't a bearer token: ignoring it would hide the mistake.
    pub fn from_parts(parts: &Parts, ids: RequestIds) -> Result<Self, Problem> {
        Ok(Self {
            token: bearer(&parts.headers)?,
            holder: None,
            request_id: ids.request,
            correlation_id: ids.correlation,
            peer: peer(parts),
            user_agent: parts
                .headers
                .get(header::USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            budget: None,
        })
    }
}

fn peer(parts: &Parts) -> PeerKey {
    let key = |client, is_local| PeerKey { network: bucket(client), is_local };
    let peer = parts.extensions.get::<Peer>().map(|peer| key(peer.client, peer.is_local));
    peer.or_else(|| client(parts).map(|client| key(client, false))).unwrap_or_default()
}

/// The client's address.
pub(super) fn client(parts: &Parts) -> Option<IpAddr> {
    let connected =
        || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    parts.extensions.get::<Peer>().map(|peer| peer.client).or_else(connected)
}

/// For whom the memory of a request is held before its sender is known.
pub(super) fn payer(client: Option<IpAddr>) -> Payer {
    client.map_or(Payer::Unknown, |client| Payer::Peer(subscriber(client)))
}

fn bearer(headers: &HeaderMap) -> Result<Option<SecretText>, Problem> {
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
