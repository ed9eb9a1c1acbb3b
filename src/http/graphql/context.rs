//! What the executor receives about the sender of a request.

use crate::http::edge::envelope::RequestIds;
use crate::http::edge::problem::Problem;
use crate::http::edge::sender;
use axum::http::request::Parts;
use claviger_application::{PeerKey, Principal};
use claviger_domain::id::CorrelationId;
use claviger_domain::secret::SecretText;
use claviger_graphql::answer::AnswerBudget;
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
            token: sender::bearer(&parts.headers)?,
            holder: None,
            request_id: ids.request,
            correlation_id: ids.correlation,
            peer: sender::peer(parts),
            user_agent: sender::user_agent(&parts.headers),
            budget: None,
        })
    }
}
