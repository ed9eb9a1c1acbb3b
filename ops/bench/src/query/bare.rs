//! The baseline: a minimal axum handler. It opens no sealed content, parses no GraphQL, has no
//! limits and no metrics.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use claviger::auth::TokenKey;
use claviger::system::environment::Clock;
use claviger_domain::id::{SessionId, UserId};
use claviger_projections::ports::{BoxFuture, StoreError};
use serde_json::{Value, json, value::RawValue};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The rows that a query reads, without the guarantees of the store's ports.
pub trait BareRows: Send + Sync {
    /// Whether the session is open and its user exists.
    fn session(&self, user: UserId, session: SessionId) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The facts of a page of keys, after the same reads as the server's: the page, and the keys
    /// that would open the rest.
    fn keys(
        &self,
        user: UserId,
        session: SessionId,
    ) -> BoxFuture<'_, Result<Option<Vec<String>>, StoreError>>;
}

#[derive(Clone)]
struct Parts {
    rows: Arc<dyn BareRows>,
    key: Arc<TokenKey>,
    clock: Arc<dyn Clock>,
}

/// Serves `/hello` and `/keys` until the listener fails.
///
/// # Errors
/// When nothing can be accepted any more.
pub async fn serve(
    listener: TcpListener,
    rows: Arc<dyn BareRows>,
    key: TokenKey,
    clock: Arc<dyn Clock>,
) -> io::Result<()> {
    let parts = Parts { rows, key: Arc::new(key), clock };
    let router =
        Router::new().route("/hello", post(hello)).route("/keys", post(keys)).with_state(parts);
    axum::serve(listener, router).await
}

impl Parts {
    fn who(&self, headers: &HeaderMap) -> Result<(UserId, SessionId), StatusCode> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let named = token.and_then(|token| self.key.check(token, self.clock.now()));
        named.map(|named| (named.user, named.session)).ok_or(StatusCode::UNAUTHORIZED)
    }
}

async fn hello(
    State(parts): State<Parts>,
    headers: HeaderMap,
    Json(_): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let (user, session) = parts.who(&headers)?;
    match parts.rows.session(user, session).await {
        Ok(true) => Ok(Json(json!({ "data": { "__typename": "Query" } }))),
        Ok(false) => Err(StatusCode::UNAUTHORIZED),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn keys(
    State(parts): State<Parts>,
    headers: HeaderMap,
    Json(_): Json<Value>,
) -> Result<Json<Vec<Box<RawValue>>>, StatusCode> {
    let (user, session) = parts.who(&headers)?;
    let rows = parts.rows.keys(user, session).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let rows = rows.ok_or(StatusCode::UNAUTHORIZED)?;
    let raw = rows.into_iter().map(RawValue::from_string).collect::<Result<_, _>>();
    raw.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
