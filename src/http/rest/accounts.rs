//! `/api/auth`: registration, sign-in, tokens, the caller's account.

use super::call::Call;
use super::problem::Refusal;
use super::{Answer, RestFace};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse as _;
use claviger_application::ids::{self, IdKind};
use claviger_application::{RequestInfo, Tokens};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::text::{Email, FullName, Password, Username};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most bytes of a body here.
const BODY_MAX: usize = 64 * 1024;

impl RestFace {
    /// A user as this face shows them.
    pub(super) async fn user(&self, user: UserId) -> Result<Value, Refusal> {
        let account = self.ports.reads.account(user).await?;
        let account = account.ok_or_else(|| Refusal::not_found("account"))?;
        let content = account.content.unwrap_or_default();
        Ok(json!({
            "id": ids::encode(IdKind::User, user.0),
            "username": content.username,
            "email": content.email,
            "full_name": content.full_name,
            "is_active": account.facts.is_active,
            "is_admin": account.facts.roles.contains(&Role::Admin),
            "created_at": account.facts.created_at.to_string(),
            "last_login": account.facts.last_sign_in_at.map(|at| at.to_string()),
        }))
    }

    async fn tokens(&self, status: StatusCode, tokens: Tokens) -> Answer {
        let user = self.user(tokens.principal.user).await?;
        let ms = tokens.expires_at.0.saturating_sub(self.watch.clock.now().0);
        let body = json!({
            "access_token": tokens.access.expose(),
            "token_type": "bearer",
            "user": user,
            "refresh_token": tokens.refresh.expose(),
            "expires_in": ms / 1_000,
        });
        Ok((status, Json(body)).into_response())
    }

    async fn registered(&self, parts: &Parts, body: Body) -> Result<Tokens, Refusal> {
        let info = self.info(parts);
        let (mut fields, _held) = self.fields(parts, body, BODY_MAX).await?;
        let (username, email) = (fields.text("username"), fields.text("email"));
        let (password, name) = (fields.secret("password"), fields.maybe_text("full_name"));
        fields.done()?;
        let username =
            Username::parse(&username).map_err(|it| Failure::text(&it, &["username"]))?;
        let email = Email::parse(&email).map_err(|it| Failure::text(&it, &["email"]))?;
        let password = Password::parse(password).map_err(|it| Failure::text(&it, &["password"]))?;
        let name = name.as_deref().filter(|name| !name.is_empty()).map(FullName::parse);
        let name = name.transpose().map_err(|it| Failure::text(&it, &["full_name"]))?;
        let made = self.ports.accounts.register(info, username, email, password, name).await;
        // The earlier service's answer to a name that is taken.
        made.map_err(|failure| {
            if failure.code == ErrorCode::Duplicate {
                return Refusal::said(StatusCode::BAD_REQUEST, failure.message);
            }
            failure.into()
        })
    }

    async fn signed_in(&self, parts: &Parts, body: Body) -> Result<Tokens, Refusal> {
        let info = self.info(parts);
        let (mut fields, _held) = self.fields(parts, body, BODY_MAX).await?;
        let (name, password) = (fields.text("username_or_email"), fields.secret("password"));
        fields.done()?;
        Ok(self.ports.accounts.login(info, name, password).await?)
    }

    async fn refreshed(&self, parts: &Parts, body: Body) -> Result<Tokens, Refusal> {
        let info: RequestInfo = self.info(parts);
        let (mut fields, _held) = self.fields(parts, body, BODY_MAX).await?;
        let token = fields.secret("refresh_token");
        fields.done()?;
        Ok(self.ports.accounts.refresh(info, token).await?)
    }
}

pub(super) async fn register(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let tokens = face.registered(&parts, body).await?;
    face.tokens(StatusCode::CREATED, tokens).await
}

pub(super) async fn login(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let tokens = face.signed_in(&parts, body).await?;
    face.tokens(StatusCode::OK, tokens).await
}

pub(super) async fn refresh(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let tokens = face.refreshed(&parts, body).await?;
    face.tokens(StatusCode::OK, tokens).await
}

pub(super) async fn me(State(face): State<Arc<RestFace>>, call: Call) -> Answer {
    Ok(Json(face.user(call.owner()).await?).into_response())
}

pub(super) async fn logout(State(face): State<Arc<RestFace>>, call: Call) -> Answer {
    face.ports.accounts.logout(call.info, call.principal).await?;
    Ok(Json(json!({ "message": "Signed out", "success": true })).into_response())
}
