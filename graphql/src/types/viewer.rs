//! The signed-in user.

use super::connection::PageArgs;
use super::event::{EventConnection, history};
use super::key::{ApiKey, ApiKeyConnection};
use super::resolution::CredentialResolution;
use super::role::Role;
use super::runs::{
    OrchestrationConnection, OrchestrationState, Pattern, UsageDimension, UsageRow, orchestrations,
    usage_by,
};
use super::session::{Session, sessions};
use crate::answer::list;
use crate::context::{fault, ports};
use crate::error::top_level;
use crate::kinds::Kinds;
use crate::scalars::{Cursor, DateTime, Position};
use async_graphql::{Context, Error, ID, Object};
use claviger_application::cursor;
use claviger_application::ids::{self, IdKind};
use claviger_application::{Principal, RunFilter};
use claviger_domain::failure::Failure;
use claviger_domain::id::KeyId;
use claviger_domain::orchestration;
use claviger_domain::text;
use claviger_projections::accounts::AccountView;
use claviger_projections::ports::Page;
use claviger_projections::runs::RunState;
use futures::lock::Mutex;
use std::sync::Arc;

/// The signed-in user.
#[derive(Clone)]
pub(crate) struct Viewer {
    principal: Principal,
    /// Read when the first of its fields is requested: most queries need only keys and runs.
    account: Arc<Mutex<Option<Arc<AccountView>>>>,
}

impl Viewer {
    async fn default_of(
        &self,
        ctx: &Context<'_>,
        context: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<ApiKey>, Error> {
        reach(ctx, min_position).await?;
        let context = context_of(context.as_deref(), &["context"]).map_err(fault)?;
        let view =
            ports(ctx)?.reads.default_key(self.principal.user, context).await.map_err(fault)?;
        Ok(view.map(|view| ApiKey { owner: self.principal.user, view }))
    }

    /// The principal's account exists: that was checked with the token.
    pub(crate) fn of(principal: &Principal) -> Self {
        Self { principal: principal.clone(), account: Arc::default() }
    }

    async fn account(&self, ctx: &Context<'_>) -> Result<Arc<AccountView>, Error> {
        let mut kept = self.account.lock().await;
        if let Some(account) = &*kept {
            return Ok(Arc::clone(account));
        }
        let account = ports(ctx)?.reads.account(self.principal.user).await.map_err(fault)?;
        let account = Arc::new(account.ok_or_else(|| top_level(&Failure::not_found("account")))?);
        *kept = Some(Arc::clone(&account));
        Ok(account)
    }
}

/// Parses a context argument; null means the argument's default.
pub(crate) fn context_of(context: Option<&str>, path: &[&str]) -> Result<text::Context, Failure> {
    text::Context::parse(context.unwrap_or("default")).map_err(|error| Failure::text(&error, path))
}

/// Waits for a position before a read, if one is given.
pub(crate) async fn reach(ctx: &Context<'_>, position: Option<Position>) -> Result<(), Error> {
    match position {
        Some(position) => ports(ctx)?.reads.reach(position.0).await.map_err(fault),
        None => Ok(()),
    }
}

#[Object]
impl Viewer {
    /// The user's id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::User, self.principal.user.0))
    }
    /// The name as typed at registration.
    async fn username(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(self
            .account(ctx)
            .await?
            .content
            .as_ref()
            .map(|content| content.username.clone())
            .unwrap_or_default())
    }
    /// The e-mail address in lower case.
    async fn email(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(self
            .account(ctx)
            .await?
            .content
            .as_ref()
            .map(|content| content.email.clone())
            .unwrap_or_default())
    }
    /// The name to display, as the user writes it.
    async fn full_name(&self, ctx: &Context<'_>) -> Option<Result<String, Error>> {
        let account = self.account(ctx).await;
        account
            .map(|account| account.content.as_ref().and_then(|content| content.full_name.clone()))
            .transpose()
    }
    /// The user's roles.
    async fn roles(&self) -> Vec<Role> {
        self.principal.roles.iter().copied().map(Role::from).collect()
    }
    /// When the account was created.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime, Error> {
        Ok(DateTime(self.account(ctx).await?.facts.created_at))
    }
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    /// The user's keys, newest first; first defaults to 20, at most 100. minPosition waits until
    /// the view includes that commit.
    async fn keys(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<Cursor>,
        last: Option<i32>,
        before: Option<Cursor>,
        min_position: Option<Position>,
    ) -> Result<ApiKeyConnection, Error> {
        reach(ctx, min_position).await?;
        let args = PageArgs { first, after, last, before };
        let limit = args.limit().map_err(fault)?;
        let (after, before) = args.bounds(cursor::to_key).map_err(fault)?;
        let page = Page { after, before, from_end: args.is_backward(), limit };
        let page = ports(ctx)?.reads.keys(self.principal.user, page).await.map_err(fault)?;
        Ok(ApiKeyConnection::of(self.principal.user, &args, page))
    }
    /// The default key of a context.
    async fn default_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "default_context()")] context: Option<String>,
        min_position: Option<Position>,
    ) -> Option<Result<ApiKey, Error>> {
        self.default_of(ctx, context, min_position).await.transpose()
    }
    /// Which credential an orchestration would use now, and why.
    async fn resolution(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "default_context()")] context: Option<String>,
        key_id: Option<ID>,
    ) -> Result<CredentialResolution, Error> {
        let context = context_of(context.as_deref(), &["context"]).map_err(fault)?;
        // An invalid id becomes one that no key has, so it gives the same answer as another user's
        // key.
        let key = key_id.map(|id| KeyId(ids::decode_as(IdKind::ApiKey, &id).unwrap_or_default()));
        let candidates = ports(ctx)?
            .credentials
            .resolution(self.principal.user, self.principal.roles.clone(), context, key)
            .await
            .map_err(fault)?;
        Ok(CredentialResolution::of(self.principal.user, candidates))
    }
    /// The user's sessions, newest first.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>, Error> {
        sessions(ctx, self.principal.user, &self.principal).await
    }
    /// The current end of viewerEvents: subscribing after it misses nothing.
    async fn events_cursor(&self, ctx: &Context<'_>) -> Result<Cursor, Error> {
        let head = ports(ctx)?.reads.head().await.map_err(fault)?;
        Ok(Cursor(cursor::of_event(head)))
    }
    /// The user's orchestrations, newest first; first defaults to 20, at most 100. state and
    /// pattern filter the list. minPosition waits until the view includes that commit.
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn orchestrations(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<Cursor>,
        last: Option<i32>,
        before: Option<Cursor>,
        state: Option<Vec<OrchestrationState>>,
        pattern: Option<Vec<Pattern>>,
        min_position: Option<Position>,
    ) -> Result<OrchestrationConnection, Error> {
        reach(ctx, min_position).await?;
        let filter = RunFilter {
            states: state.unwrap_or_default().into_iter().map(RunState::from).collect(),
            patterns: pattern
                .unwrap_or_default()
                .into_iter()
                .map(orchestration::Pattern::from)
                .collect(),
        };
        orchestrations(ctx, self.principal.user, PageArgs { first, after, last, before }, filter)
            .await
    }
    /// Usage of the user's calls on the UTC days that the time from `from` to `to` touches, at most
    /// 366 days. One row for each combination of the groupBy dimensions, newest day first. Written
    /// a moment after the calls.
    async fn usage(
        &self,
        ctx: &Context<'_>,
        from: DateTime,
        to: DateTime,
        #[graphql(default_with = "no_dimensions()")] group_by: Option<Vec<UsageDimension>>,
    ) -> Result<Vec<UsageRow>, Error> {
        let by = group_by.unwrap_or_default();
        let rows = usage_by(ctx, self.principal.user, from, to, &by).await?;
        list(ctx, rows.len())?;
        Ok(rows)
    }
    /// The events of the user's account, keys and orchestrations, newest first. types: at most 64
    /// event types; all if omitted.
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn history(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<Cursor>,
        last: Option<i32>,
        before: Option<Cursor>,
        types: Option<Vec<String>>,
    ) -> Result<EventConnection, Error> {
        let types = Kinds::parse(types.as_deref()).map_err(fault)?;
        history(ctx, self.principal.user, None, PageArgs { first, after, last, before }, types)
            .await
    }
}

/// The schema's default of groupBy.
#[expect(clippy::unnecessary_wraps, reason = "the argument is nullable")]
fn no_dimensions() -> Option<Vec<UsageDimension>> {
    Some(Vec::new())
}

/// The schema's default of every context argument.
#[expect(clippy::unnecessary_wraps, reason = "the argument is nullable")]
pub(crate) fn default_context() -> Option<String> {
    Some("default".to_owned())
}
