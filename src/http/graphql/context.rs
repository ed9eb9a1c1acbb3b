//! What the executor is told about who asks.

use crate::http::envelope::RequestIds;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use claviger_application::Caller;
use claviger_domain::id::CorrelationId;
use claviger_domain::secret::SecretText;
use std::net::{IpAddr, SocketAddr};
use uuid::Uuid;

/// Of one operation. Operations of a batch differ in their request id and share the rest.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds a token")]
pub struct RequestContext {
    /// The bearer token as it was sent, not judged yet.
    pub token: Option<SecretText>,
    /// Who holds the socket that it came over, as they were judged last.
    pub holder: Option<Box<Caller>>,
    /// Ours; also in the errors of the answer.
    pub request_id: Uuid,
    /// Ours; goes into the events this operation causes.
    pub correlation_id: CorrelationId,
    /// The client's address: the other end of the connection, or whom a trusted proxy names.
    pub client: Option<IpAddr>,
    /// As the client calls itself.
    pub user_agent: Option<String>,
}

impl RequestContext {
    /// Reads what a request says of its sender.
    ///
    /// # Errors
    /// 401 for an `Authorization` that is no bearer token: to treat it as none would hide the mistake.
    pub fn from_parts(parts: &Parts, ids: RequestIds) -> Result<Self, Problem> {
        Ok(Self {
            token: bearer(&parts.headers)?,
            holder: None,
            request_id: ids.request,
            correlation_id: ids.correlation,
            client: client(parts),
            user_agent: parts
                .headers
                .get(header::USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        })
    }
}

fn client(parts: &Parts) -> Option<IpAddr> {
    let connected =
        || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    parts.extensions.get::<Peer>().map(|peer| peer.client).or_else(connected)
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
            "the Authorization header must be \"Bearer\" and one token",
        )),
    }
}
