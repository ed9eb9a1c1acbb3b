//! The root of queries.

use crate::answer::budget;
use crate::context::{fault, ports, principal};
use crate::loads::{self, loads};
use crate::scalars::Position;
use crate::types::{
    Account, Admin, ApiKey, Event, Model, Node, Orchestration, Server, Session, Viewer, admin,
    is_administrator, reach,
};
use async_graphql::{Context, Error, ID, Object};
use claviger_application::ids::{self, IdKind};
use claviger_domain::id::{EventId, KeyId, RunId, UserId};

/// The root of queries.
pub(crate) struct Query;

/// Maximum number of ids in one `nodes` query.
const MOST_NODES: usize = 100;

#[Object]
impl Query {
    /// Any object by its id; null if the id is unknown or belongs to another user.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Node, Error>> {
        node(ctx, &id).await.transpose()
    }
    /// Several objects by their ids, at most 100, in the order requested.
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Result<Vec<Option<Node>>, Error> {
        if ids.len() > MOST_NODES {
            return Err(fault(claviger_domain::failure::Failure::new(
                claviger_domain::code::ErrorCode::LimitExceeded,
                format!("nodes takes at most {MOST_NODES} ids: split them over several requests"),
            )));
        }
        let mut nodes = Vec::with_capacity(ids.len());
        for id in &ids {
            nodes.push(node(ctx, id).await?);
            budget(ctx)?.turn().await;
        }
        Ok(nodes)
    }
    /// The signed-in user.
    #[expect(clippy::unused_async, reason = "the library wants resolvers to be async")]
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer, Error> {
        principal(ctx).map(Viewer::of)
    }
    /// A key of the viewer; null if the id is unknown or belongs to another user.
    async fn key(
        &self,
        ctx: &Context<'_>,
        id: ID,
        min_position: Option<Position>,
    ) -> Option<Result<ApiKey, Error>> {
        own_key(ctx, &id, min_position).await.transpose()
    }
    /// An orchestration of the viewer; null if the id is unknown or belongs to another user.
    async fn orchestration(
        &self,
        ctx: &Context<'_>,
        id: ID,
        min_position: Option<Position>,
    ) -> Option<Result<Orchestration, Error>> {
        own_orchestration(ctx, &id, min_position).await.transpose()
    }
    /// The models that Anthropic offers. If Anthropic does not answer: the last list it returned,
    /// or else the price table. Never an error.
    async fn models(&self, ctx: &Context<'_>) -> Result<Vec<Model>, Error> {
        principal(ctx)?;
        let models = ports(ctx)?.credentials.models().await.map_err(fault)?;
        Ok(models.into_iter().map(Model::from).collect())
    }
    /// The server. Needs no token.
    #[expect(clippy::unused_async, reason = "the library wants resolvers to be async")]
    async fn server(&self, ctx: &Context<'_>) -> Result<Server, Error> {
        Ok(Server::from(&*ports(ctx)?.server))
    }
    /// The administration of accounts. null and FORBIDDEN without the role ADMIN.
    async fn admin(&self, ctx: &Context<'_>) -> Option<Result<Admin, Error>> {
        Some(admin(ctx))
    }
}

// A failed nullable field makes only itself null, not its parent, if it returns an option of a
// result.
async fn own_key(
    ctx: &Context<'_>,
    id: &str,
    min_position: Option<Position>,
) -> Result<Option<ApiKey>, Error> {
    let principal = principal(ctx)?;
    reached(ctx, min_position).await?;
    match ids::decode_as(IdKind::ApiKey, id) {
        Some(id) => key(ctx, principal.user, KeyId(id)).await,
        None => Ok(None),
    }
}

async fn own_orchestration(
    ctx: &Context<'_>,
    id: &str,
    min_position: Option<Position>,
) -> Result<Option<Orchestration>, Error> {
    let principal = principal(ctx)?;
    reached(ctx, min_position).await?;
    match ids::decode_as(IdKind::Orchestration, id) {
        Some(id) => Orchestration::load(ctx, principal.user, RunId(id)).await,
        None => Ok(None),
    }
}

/// Waits for a position before an object is loaded. What this request read earlier may be older.
async fn reached(ctx: &Context<'_>, min_position: Option<Position>) -> Result<(), Error> {
    reach(ctx, min_position).await?;
    if min_position.is_some() {
        loads(ctx)?.forget();
    }
    Ok(())
}

pub(crate) async fn key(
    ctx: &Context<'_>,
    owner: claviger_domain::id::UserId,
    id: KeyId,
) -> Result<Option<ApiKey>, Error> {
    Ok(loads::key(ctx, owner, id).await?.map(|view| ApiKey { owner, view }))
}

async fn node(ctx: &Context<'_>, id: &str) -> Result<Option<Node>, Error> {
    let principal = principal(ctx)?;
    let Some((kind, id)) = ids::decode(id) else { return Ok(None) };
    Ok(match kind {
        IdKind::User if id == principal.user.0 => Some(Node::Viewer(Viewer::of(principal))),
        IdKind::Account if id == principal.user.0 || is_administrator(ctx)? => {
            Account::load(ctx, UserId(id)).await?.map(Node::Account)
        }
        IdKind::User | IdKind::Account | IdKind::Correlation | IdKind::Step => None,
        IdKind::ApiKey => key(ctx, principal.user, KeyId(id)).await?.map(Node::ApiKey),
        IdKind::Orchestration => {
            Orchestration::load(ctx, principal.user, RunId(id)).await?.map(Node::Orchestration)
        }
        IdKind::Session => {
            let sessions = loads::sessions(ctx, principal.user).await?;
            let view = sessions.iter().find(|session| session.id.0 == id).cloned();
            view.map(|view| Node::Session(Session::of(view, principal.user, principal)))
        }
        IdKind::Event => loads::event(ctx, principal.user, EventId(id))
            .await?
            .map(|view| Node::Event(Event(view))),
    })
}
