//! Accounts, as administrators see them.

use super::connection::{PageArgs, PageInfo};
use super::role::Role;
use super::session::{Session, sessions};
use crate::context::{fault, ports, principal};
use crate::scalars::{Cursor, DateTime, Position, int};
use async_graphql::{Context, Enum, Error, ID, Object, SimpleObject};
use claviger_application::ids::{self, IdKind};
use claviger_application::{
    self as application, AccountDetail, AccountFilter, AccountPage, AccountSearch, Holdings,
    cursor, lacks_role,
};
use claviger_domain::id::UserId;
use claviger_projections::accounts::AccountContent;
use claviger_projections::ports::Page;
use futures::lock::Mutex;
use std::sync::Arc;

/// What an account is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "application::AccountState")]
pub(crate) enum AccountState {
    /// The user may sign in.
    Active,
    /// The user may not sign in.
    Deactivated,
    /// Its content was destroyed.
    Erased,
}

/// What an administrator sees of a user. Its id is its own, not the user's.
#[derive(Clone)]
pub(crate) struct Account {
    detail: Arc<AccountDetail>,
    holdings: Arc<Mutex<Option<Holdings>>>,
}

impl Account {
    pub(crate) fn of(detail: AccountDetail) -> Self {
        Self { detail: Arc::new(detail), holdings: Arc::default() }
    }

    /// The account of a user; `None` if there is none.
    pub(crate) async fn load(ctx: &Context<'_>, user: UserId) -> Result<Option<Self>, Error> {
        let detail = ports(ctx)?.administration.account(user).await.map_err(fault)?;
        Ok(detail.map(Self::of))
    }

    fn content(&self) -> Option<&AccountContent> {
        self.detail.view.content.as_ref()
    }

    async fn holdings(&self, ctx: &Context<'_>) -> Result<Holdings, Error> {
        let mut kept = self.holdings.lock().await;
        if let Some(holdings) = *kept {
            return Ok(holdings);
        }
        let user = self.detail.user;
        let holdings = ports(ctx)?.administration.holdings(user).await.map_err(fault)?;
        *kept = Some(holdings);
        Ok(holdings)
    }
}

/// The user of an account's id or of a user's id. An invalid id becomes one that nobody has.
pub(crate) fn user_of(id: &str) -> UserId {
    let account = ids::decode_as(IdKind::Account, id);
    UserId(account.or_else(|| ids::decode_as(IdKind::User, id)).unwrap_or_default())
}

#[Object]
impl Account {
    /// The account's id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::Account, self.detail.user.0))
    }
    /// The id of the user, as in `Viewer.id` and in the facts of events.
    async fn user_id(&self) -> ID {
        ID(ids::encode(IdKind::User, self.detail.user.0))
    }
    /// The name to sign in with; null once erased.
    async fn username(&self) -> Option<&str> {
        self.content().map(|content| content.username.as_str())
    }
    /// The e-mail address in lower case; null once erased, and if an identity provider gave none.
    async fn email(&self) -> Option<&str> {
        self.content().map(|content| content.email.as_str()).filter(|email| !email.is_empty())
    }
    /// The name to display.
    async fn full_name(&self) -> Option<&str> {
        self.content()?.full_name.as_deref()
    }
    /// The user's roles. An identity provider may give its users others.
    async fn roles(&self) -> Vec<Role> {
        self.detail.view.facts.roles.iter().copied().map(Role::from).collect()
    }
    /// Whether the user may sign in.
    async fn state(&self) -> AccountState {
        self.detail.state.into()
    }
    /// When the account was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.detail.view.facts.created_at)
    }
    /// When the user last signed in.
    async fn last_sign_in_at(&self) -> Option<DateTime> {
        self.detail.view.facts.last_sign_in_at.map(DateTime)
    }
    /// Number of the user's keys.
    async fn key_count(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        Ok(int(self.holdings(ctx).await?.keys))
    }
    /// Number of the user's orchestrations that have not ended.
    async fn open_runs(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        Ok(int(self.holdings(ctx).await?.open_runs))
    }
    /// The user's sessions, at most 100, newest first.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>, Error> {
        sessions(ctx, self.detail.user, principal(ctx)?).await
    }
    /// For expectedVersion. Sign-ins and the ends of sessions don't raise it.
    async fn version(&self) -> Position {
        Position(self.detail.version)
    }
}

/// A page of accounts.
#[derive(Clone, SimpleObject)]
pub(crate) struct AccountConnection {
    /// The accounts with their cursors.
    edges: Vec<AccountEdge>,
    /// The accounts.
    nodes: Vec<Account>,
    /// The position of the page.
    page_info: PageInfo,
    /// Number of all accounts that pass the filter, not only those on the page.
    total_count: i32,
}

/// An account with its cursor.
#[derive(Clone, SimpleObject)]
pub(crate) struct AccountEdge {
    /// The account's cursor.
    cursor: Cursor,
    /// The account.
    node: Account,
}

impl AccountConnection {
    fn of(args: &PageArgs, page: AccountPage) -> Self {
        let place =
            |found: &AccountDetail| cursor::of_key(found.view.facts.created_at.0, found.user.0);
        let cursors: Vec<String> = page.accounts.iter().map(place).collect();
        let page_info = PageInfo::of(args, &cursors, page.more);
        let nodes: Vec<Account> = page.accounts.into_iter().map(Account::of).collect();
        let edges = cursors
            .into_iter()
            .zip(&nodes)
            .map(|(cursor, node)| AccountEdge { cursor: Cursor(cursor), node: node.clone() });
        Self { edges: edges.collect(), nodes, page_info, total_count: int(page.total) }
    }
}

/// The administration of accounts.
pub(crate) struct Admin;

#[Object]
impl Admin {
    /// The accounts, newest first; first defaults to 20, at most 100. search: a whole username,
    /// e-mail address or id (names are sealed).
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<Cursor>,
        last: Option<i32>,
        before: Option<Cursor>,
        search: Option<String>,
        states: Option<Vec<AccountState>>,
    ) -> Result<AccountConnection, Error> {
        let args = PageArgs { first, after, last, before };
        let limit = args.limit().map_err(fault)?;
        let (after, before) = args.bounds(cursor::to_key).map_err(fault)?;
        let page = Page { after, before, from_end: args.is_backward(), limit };
        let states = states.unwrap_or_default().into_iter().map(Into::into).collect();
        let filter = AccountFilter { search: search.map(searched), states };
        let page = ports(ctx)?.administration.accounts(filter, page).await.map_err(fault)?;
        Ok(AccountConnection::of(&args, page))
    }
    /// An account by its id, or by its user's id; null if it is unknown.
    async fn account(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Account, Error>> {
        Account::load(ctx, user_of(&id)).await.transpose()
    }
}

fn searched(text: String) -> AccountSearch {
    match user_of(text.trim()) {
        UserId(id) if id.is_nil() => AccountSearch::Name(text),
        user => AccountSearch::Id(user),
    }
}

/// The administration, for those who have the role.
pub(crate) fn admin(ctx: &Context<'_>) -> Result<Admin, Error> {
    if is_administrator(ctx)? {
        return Ok(Admin);
    }
    Err(fault(lacks_role()))
}

/// Whether the principal has the role.
pub(crate) fn is_administrator(ctx: &Context<'_>) -> Result<bool, Error> {
    Ok(principal(ctx)?.roles.contains(&claviger_domain::actor::Role::Admin))
}
