//! `/api/anthropic-api-keys`: the caller's keys.

use super::call::{Call, etag, id_of};
use super::problem::Refusal;
use super::{Answer, RestFace};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use claviger_application::ids::{self, IdKind};
use claviger_application::{KeyCommand, KeyDone};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Context, KeyName};
use claviger_projections::keys::KeyView;
use claviger_projections::ports::Page;
use serde_json::{Value, json};
use std::sync::Arc;

/// Most bytes of a body here.
const BODY_MAX: usize = 64 * 1024;
/// Keys read at a time.
const AT_A_TIME: usize = 100;
/// The context that this face knows.
const DEFAULT: &str = "default";

/// The first characters that every key has, and the last three.
fn masked(preview: &str) -> String {
    let end: String = preview.chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
    format!("sk-ant-***...{end}")
}

const fn word(status: KeyTestStatus) -> &'static str {
    match status {
        KeyTestStatus::Success => "success",
        KeyTestStatus::Failed => "failed",
        KeyTestStatus::Inconclusive => "unknown",
    }
}

impl RestFace {
    async fn key_json(&self, owner: UserId, key: &KeyView) -> Result<Value, Refusal> {
        let used = self.ports.reads.activity(owner, key.id, None).await?;
        let used = used.and_then(|activity| activity.last_used_at);
        let content = key.content.clone().unwrap_or_default();
        let test = key.facts.last_test.as_ref();
        Ok(json!({
            "id": ids::encode(IdKind::ApiKey, key.id.0),
            "key_name": content.name,
            "api_key_preview": masked(&content.preview),
            "is_active": key.facts.is_active,
            "is_default": content.default_for.values().any(|context| context == DEFAULT),
            "created_at": key.facts.created_at.to_string(),
            "last_used_at": used.map(|at| at.to_string()),
            "last_test_at": test.map(|test| test.at.to_string()),
            "last_test_status": test.map(|test| word(test.verdict.status)),
        }))
    }

    async fn key(&self, owner: UserId, key: KeyId) -> Result<KeyView, Refusal> {
        let key = self.ports.reads.key(owner, key).await?;
        key.ok_or_else(|| Refusal::not_found("key"))
    }

    async fn all_keys(&self, owner: UserId) -> Result<Vec<Value>, Refusal> {
        let (mut found, mut page) = (Vec::new(), Page { limit: AT_A_TIME, ..Page::default() });
        loop {
            let keys = self.ports.reads.keys(owner, page).await?;
            for key in &keys.keys {
                found.push(self.key_json(owner, key).await?);
            }
            let Some(last) = keys.keys.last().filter(|_| keys.more) else { return Ok(found) };
            let after = Some((last.facts.created_at.0, last.id.0));
            page = Page { after, limit: AT_A_TIME, ..Page::default() };
        }
    }

    /// The key as it is after a command, and its version.
    async fn after(&self, owner: UserId, done: &KeyDone) -> Result<(Value, u64), Refusal> {
        self.ports.reads.reach(done.commit.position).await?;
        let key = self.key(owner, done.key.ok_or_else(Failure::internal)?).await?;
        Ok((self.key_json(owner, &key).await?, key.facts.version))
    }
}

pub(super) async fn list(State(face): State<Arc<RestFace>>, call: Call) -> Answer {
    let keys = face.all_keys(call.owner()).await?;
    Ok(Json(json!({ "api_keys": keys })).into_response())
}

/// A key to add, and the text to show once.
async fn to_add(
    face: &RestFace,
    parts: &axum::http::request::Parts,
    body: Body,
) -> Result<(KeyCommand, SecretText), Refusal> {
    let (mut fields, _held) = face.fields(parts, body, BODY_MAX).await?;
    let (name, secret) = (fields.text("key_name"), fields.secret("api_key"));
    let is_default = fields.maybe_flag("is_default").unwrap_or(false);
    fields.done()?;
    let name = KeyName::parse(&name).map_err(|error| Failure::text(&error, &["key_name"]))?;
    let sealed = ApiKeySecret::parse(&secret)
        .map_err(|error| Failure::new(ErrorCode::Validation, error.to_string()))?;
    let context = Context::parse(DEFAULT).map_err(|_| Failure::internal())?;
    let shown = SecretText::new(secret.expose().trim().to_owned());
    let make_default = Some(is_default);
    let add = KeyCommand::Add { name, secret: sealed, make_default, context, expires_at: None };
    Ok((add, shown))
}

pub(super) async fn create(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let call = face.enter(&parts).await?;
    let (add, secret) = to_add(&face, &parts, body).await?;
    let done = match face.ports.keys.run(call.context(), add).await {
        Ok(done) => done,
        Err(failure) => return Err(named(&face, &call, failure).await),
    };
    let (mut key, version) = face.after(call.owner(), &done).await?;
    if let Some(key) = key.as_object_mut() {
        // In this answer only, and taken from the request: storage could not give it.
        key.insert("api_key".to_owned(), json!(secret.expose()));
    }
    Ok(([(header::ETAG, etag(version))], Json(key)).into_response())
}

/// A secret that the caller has already: the answer names that key.
async fn named(face: &RestFace, call: &Call, failure: Failure) -> Refusal {
    let FailureDetail::Existing(id) = failure.detail else { return failure.into() };
    let found = face.ports.reads.key(call.owner(), id).await.ok().flatten();
    let name = found.and_then(|key| key.content).map(|content| content.name);
    let name = name.map_or_else(String::new, |name| format!(": it is {name:?}"));
    Refusal::said(StatusCode::CONFLICT, format!("{}{name}", failure.message))
}

pub(super) async fn show(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    let key = face.key(call.owner(), KeyId(id_of(IdKind::ApiKey, &id))).await?;
    let body = face.key_json(call.owner(), &key).await?;
    Ok(([(header::ETAG, etag(key.facts.version))], Json(body)).into_response())
}

pub(super) async fn test(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    let key = KeyId(id_of(IdKind::ApiKey, &id));
    let test = KeyCommand::Test { key, level: KeyTestLevel::Full, model: None };
    let done = face.ports.keys.run(call.context(), test).await.map_err(|it| call.refused(it))?;
    face.ports.reads.reach(done.commit.position).await?;
    let view = face.key(call.owner(), key).await?;
    let test = view.facts.last_test.ok_or_else(Failure::internal)?;
    let notes = view.content.and_then(|content| content.test_notes);
    Ok(Json(json!({
        "success": test.verdict.status == KeyTestStatus::Success,
        "message": notes.map(|notes| notes.message).unwrap_or_default(),
        "model_tested": test.model,
    }))
    .into_response())
}

pub(super) async fn delete(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    let key = KeyId(id_of(IdKind::ApiKey, &id));
    let delete = KeyCommand::Delete { key, expected: call.expected };
    face.ports.keys.run(call.context(), delete).await.map_err(|it| call.refused(it))?;
    Ok(Json(json!({ "success": true, "message": "API key deleted" })).into_response())
}

pub(super) async fn change(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    let (parts, body) = request.into_parts();
    let call = face.enter(&parts).await?;
    let (mut fields, _held) = face.fields(&parts, body, BODY_MAX).await?;
    let (is_default, is_active) = (fields.maybe_flag("is_default"), fields.maybe_flag("is_active"));
    let name = fields.maybe_text("key_name");
    fields.done()?;
    let name = name.as_deref().map(KeyName::parse).transpose();
    let name = name.map_err(|error| Failure::text(&error, &["key_name"]))?;
    if is_default.is_none() && is_active.is_none() && name.is_none() {
        let message = "nothing to change: give is_default, is_active or key_name";
        return Err(Refusal::said(StatusCode::BAD_REQUEST, message));
    }
    let change = KeyCommand::Change {
        key: KeyId(id_of(IdKind::ApiKey, &id)),
        name,
        is_active,
        is_default,
        context: Context::parse(DEFAULT).map_err(|_| Failure::internal())?,
        expected: call.expected,
    };
    let done = face.ports.keys.run(call.context(), change).await.map_err(|it| call.refused(it))?;
    let (_, version) = face.after(call.owner(), &done).await?;
    let body = json!({ "success": true, "message": "API key updated" });
    Ok(([(header::ETAG, etag(version))], Json(body)).into_response())
}
