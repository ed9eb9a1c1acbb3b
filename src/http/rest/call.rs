//! What the endpoints of this face share: who calls, their body, the circumstances of a command.

use super::RestFace;
use super::input::Fields;
use super::problem::Refusal;
use crate::http::edge::body::read_body;
use crate::http::edge::envelope::RequestIds;
use crate::http::edge::problem::Problem;
use crate::http::edge::sender;
use crate::limits::{Held, Working};
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use claviger_application::ids::{self, IdKind};
use claviger_application::{CommandContext, Principal, RequestInfo};
use claviger_domain::actor::Via;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::IdempotencyKey;
use std::sync::Arc;
use uuid::Uuid;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request of somebody whose token is valid.
pub(super) struct Call {
    pub(super) principal: Principal,
    pub(super) info: RequestInfo,
    /// The version that the thing to change must have.
    pub(super) expected: Option<u64>,
    idempotency_key: Option<IdempotencyKey>,
    /// The user's place among the requests that are worked on.
    _working: Working,
}

impl Call {
    pub(super) fn owner(&self) -> UserId {
        self.principal.user
    }

    /// The circumstances of a command on the caller's own things.
    pub(super) fn context(&self) -> CommandContext {
        CommandContext {
            owner: self.principal.user,
            actor: self.principal.actor(self.info.via),
            roles: self.principal.roles.clone(),
            foreign: self.principal.foreign,
            correlation: self.info.correlation,
            idempotency_key: self.idempotency_key.clone(),
        }
    }

    /// A failed command: what `If-Match` asked for and was not there is 412.
    pub(super) fn refused(&self, failure: Failure) -> Refusal {
        let is_other = matches!(failure.detail, FailureDetail::Versions { .. });
        if is_other && self.expected.is_some() {
            return Refusal::said(StatusCode::PRECONDITION_FAILED, failure.message);
        }
        failure.into()
    }
}

impl RestFace {
    /// The ids of a request; the layer around all faces has made them.
    pub(super) fn ids_of(&self, parts: &Parts) -> RequestIds {
        let made = parts.extensions.get::<RequestIds>().copied();
        made.unwrap_or_else(|| RequestIds::new(&self.ids))
    }

    pub(super) fn info(&self, parts: &Parts) -> RequestInfo {
        RequestInfo {
            correlation: self.ids_of(parts).correlation,
            user_agent: sender::user_agent(&parts.headers),
            peer: sender::peer(parts),
            via: Via::Rest,
        }
    }

    /// Lets in whoever has a valid token.
    ///
    /// # Errors
    /// 401 with a challenge; 400 for headers that cannot be used; 429 for too many at once.
    pub(super) async fn enter(&self, parts: &Parts) -> Result<Call, Refusal> {
        let token = token_of(parts)?;
        let principal = self.watch.auth.authenticate(&token).await?;
        let working = self.at_work.begin(principal.user).await?;
        Ok(Call {
            principal,
            info: self.info(parts),
            expected: expected(&parts.headers)?,
            idempotency_key: idempotency_key(&parts.headers)?,
            _working: working,
        })
    }

    /// The body's fields, and the memory that is held for them.
    ///
    /// # Errors
    /// 408, 413, 415, 422, 429 or 503.
    pub(super) async fn fields(
        &self,
        parts: &Parts,
        body: Body,
        max: usize,
    ) -> Result<(Fields, Held), Refusal> {
        if !is_json(&parts.headers) {
            let message = "send the body as JSON, with content-type: application/json";
            let problem = Problem::new(ErrorCode::BadRequest, message);
            return Err(problem.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).into());
        }
        let held = self.memory.hold(sender::payer(sender::client(parts)));
        let mut body = read_body(body, max, self.settings.body_timeout, held).await?;
        body.parsing()?;
        let fields = Fields::of_body(body.as_slice())?;
        Ok((fields, body.into_held()))
    }
}

/// For endpoints without a body; the others need the parts of the request besides.
impl FromRequestParts<Arc<RestFace>> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, face: &Arc<RestFace>) -> Result<Self, Refusal> {
        face.enter(parts).await
    }
}

/// The token of a caller who must have one.
pub(super) fn token_of(parts: &Parts) -> Result<SecretText, Refusal> {
    let message = "send a token: Authorization: Bearer …";
    sender::bearer(&parts.headers)?.ok_or_else(|| Problem::unauthenticated(message).into())
}

/// The id of a run as this face shows it.
pub(super) fn execution(run: RunId) -> String {
    ids::encode(IdKind::Orchestration, run.0)
}

/// The uuid of an id in a path. One that is no id is answered like one that nobody has.
pub(super) fn id_of(kind: IdKind, text: &str) -> Uuid {
    ids::decode_as(kind, text).unwrap_or_default()
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return false };
    let essence = value.to_str().ok().and_then(|text| text.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Plain, or in the quotes of a structured field (the IETF's draft of this header).
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let parsed = IdempotencyKey::parse(inner);
    parsed.map(Some).map_err(|error| Failure::text(&error, &["idempotency-key"]).into())
}

/// The version in `If-Match`; `None` for any.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(version) = version.and_then(|text| text.parse().ok()) else {
        // RFC 9110 compares strongly: weak and foreign tags match nothing.
        let message = "If-Match must be one ETag that this server gave, such as \"7\"";
        return Err(Refusal::said(StatusCode::PRECONDITION_FAILED, message));
    };
    Ok(Some(version))
}

/// The `ETag` of something at a version.
pub(super) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}
