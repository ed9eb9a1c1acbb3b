//! Keys, as their owner sees them.

use super::activity::KeyActivity;
use super::connection::{PageArgs, PageInfo};
use super::event::{EventConnection, history};
use super::runs::{UsageRow, usage_of_key};
use super::{fault, ports};
use crate::scalars::{Cursor, DateTime, Position};
use async_graphql::{Context, Enum, Error, ID, Object, SimpleObject};
use claviger_application::KeyPage;
use claviger_application::cursor;
use claviger_application::ids::{self, IdKind};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::key_test as domain;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::keys::KeyView;

/// An Anthropic API key of the viewer. The secret itself can never be read.
#[derive(Clone)]
pub(crate) struct ApiKey {
    pub(crate) owner: UserId,
    pub(crate) view: KeyView,
}

impl ApiKey {
    /// What the view has now: nobody waits for it, so it is never behind.
    async fn last_use(&self, ctx: &Context<'_>) -> Result<Option<Timestamp>, Error> {
        let activity =
            ports(ctx)?.reads.activity(self.owner, self.view.id, None).await.map_err(fault)?;
        Ok(activity.and_then(|activity| activity.last_used_at))
    }
}

#[Object]
impl ApiKey {
    /// Its id; stays the same when the secret is replaced.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::ApiKey, self.view.id.0))
    }
    /// What its owner calls it.
    async fn name(&self) -> &str {
        self.view.content.as_ref().map_or("", |content| &content.name)
    }
    /// For example sk-ant-api03-R2D...igAA. The secret itself can never be read.
    async fn preview(&self) -> &str {
        self.view.content.as_ref().map_or("", |content| &content.preview)
    }
    /// May be used.
    async fn is_active(&self) -> bool {
        self.view.facts.is_active
    }
    /// Is the default of the context "default".
    async fn is_default(&self) -> bool {
        self.view
            .content
            .as_ref()
            .is_some_and(|content| content.default_for.values().any(|context| context == "default"))
    }
    /// Contexts this key is the default of; isDefault means it holds "default".
    async fn default_for(&self) -> Vec<String> {
        let mut contexts: Vec<_> = self
            .view
            .content
            .iter()
            .flat_map(|content| content.default_for.values().cloned())
            .collect();
        contexts.sort();
        contexts
    }
    /// Counts up at each replacement of the secret, from 1.
    async fn secret_version(&self) -> i32 {
        i32::try_from(self.view.facts.secret_version).unwrap_or(i32::MAX)
    }
    /// Stream version of the last change of name, state, default, expiry or secret; tests and use don't raise it. For expectedVersion
    /// and `ETag`.
    async fn version(&self) -> Position {
        Position(self.view.facts.version)
    }
    /// When it came in.
    async fn created_at(&self) -> DateTime {
        DateTime(self.view.facts.created_at)
    }
    /// When `version` last rose.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.view.facts.updated_at)
    }
    /// When the last call of an orchestration with it ended; null before the first. A test is no use. Written a moment after the call.
    async fn last_used_at(&self, ctx: &Context<'_>) -> Option<Result<DateTime, Error>> {
        self.last_use(ctx).await.map(|at| at.map(DateTime)).transpose()
    }
    /// When it expires; judged by the clock at use.
    async fn expires_at(&self) -> Option<DateTime> {
        self.view.facts.expires_at.map(DateTime)
    }
    /// The last test of the present secret.
    async fn last_test(&self) -> Option<KeyTest> {
        KeyTest::of(&self.view)
    }
    /// What calls with this key taught; null before the first. Written a moment after the calls: give the position that must be in it.
    async fn activity(
        &self,
        ctx: &Context<'_>,
        min_position: Option<Position>,
    ) -> Result<Option<KeyActivity>, Error> {
        let key = KeyId(self.view.id.0);
        let activity = ports(ctx)?
            .reads
            .activity(self.owner, key, min_position.map(|position| position.0))
            .await;
        Ok(activity.map_err(fault)?.as_ref().and_then(KeyActivity::of))
    }
    /// What calls of orchestrations with this key used on the UTC days that the time from `from` to `to` touches, at most 366 days. Written
    /// a moment after the calls.
    async fn usage(
        &self,
        ctx: &Context<'_>,
        from: DateTime,
        to: DateTime,
    ) -> Result<UsageRow, Error> {
        usage_of_key(ctx, self.owner, self.view.id, from, to).await
    }
    /// What happened to this key, newest first.
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
        history(
            ctx,
            self.owner,
            Some(self.view.id.0),
            PageArgs { first, after, last, before },
            types,
        )
        .await
    }
}

/// A page of keys.
#[derive(Clone, SimpleObject)]
pub(crate) struct ApiKeyConnection {
    /// The keys with their cursors.
    edges: Vec<ApiKeyEdge>,
    /// The keys.
    nodes: Vec<ApiKey>,
    /// Where the page stands.
    page_info: PageInfo,
    /// How many there are, whatever the page.
    total_count: i32,
}

/// A key with its cursor.
#[derive(Clone, SimpleObject)]
pub(crate) struct ApiKeyEdge {
    /// Its cursor.
    cursor: Cursor,
    /// The key.
    node: ApiKey,
}

impl ApiKeyConnection {
    pub(crate) fn of(owner: UserId, args: &PageArgs, page: KeyPage) -> Self {
        let cursors: Vec<String> =
            page.keys.iter().map(|key| cursor::of_key(key.facts.created_at.0, key.id.0)).collect();
        let page_info = PageInfo::of(args, &cursors, page.more);
        let nodes: Vec<ApiKey> = page.keys.into_iter().map(|view| ApiKey { owner, view }).collect();
        let edges = cursors
            .into_iter()
            .zip(&nodes)
            .map(|(cursor, node)| ApiKeyEdge { cursor: Cursor(cursor), node: node.clone() });
        Self {
            edges: edges.collect(),
            nodes,
            page_info,
            total_count: i32::try_from(page.total).unwrap_or(i32::MAX),
        }
    }
}

/// How far a test goes, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::KeyTestLevel")]
pub(crate) enum KeyTestLevel {
    /// Asks for the list of models: costs nothing.
    Authentic,
    /// Counts tokens on the model: costs nothing.
    Model,
    /// Sends a message of one token: the only proof of credit.
    Full,
}

/// SUCCESS: usable. FAILED: the credential is at fault. INCONCLUSIVE: network, rate limit or upstream trouble says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::KeyTestStatus")]
pub(crate) enum KeyTestStatus {
    /// Usable.
    Success,
    /// The credential is at fault.
    Failed,
    /// Says nothing about the key.
    Inconclusive,
}

/// One answer of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Verdict")]
pub(crate) enum Verdict {
    /// Shown to be so.
    Yes,
    /// Shown not to be so.
    No,
    /// Not shown either way.
    Unknown,
}

/// What a test showed.
#[derive(Clone, SimpleObject)]
pub(crate) struct KeyTest {
    /// When it ended.
    at: DateTime,
    /// How far it went.
    level: KeyTestLevel,
    /// The test in one word.
    status: KeyTestStatus,
    /// Does Anthropic know the key?
    authentic: Verdict,
    /// Is there credit behind it?
    has_credit: Verdict,
    /// May it use the model?
    model_allowed: Verdict,
    /// The model it was tried with.
    model: Option<String>,
    /// When the rate limit that was met ends.
    rate_limited_until: Option<DateTime>,
    /// Anthropic's id of the organisation that pays.
    organization_id: Option<String>,
    /// Anthropic's id of the workspace.
    workspace_id: Option<String>,
    /// Anthropic's HTTP status; null when there was no answer.
    upstream_status: Option<i32>,
    /// Anthropic's request id, to quote to their support.
    upstream_request_id: Option<String>,
    /// From sending to the verdict, in milliseconds.
    duration_ms: i32,
    /// One sentence for a person, saying what to do.
    message: String,
}

impl KeyTest {
    fn of(view: &KeyView) -> Option<Self> {
        let test = view.facts.last_test.as_ref()?;
        let notes = view
            .content
            .as_ref()
            .and_then(|content| content.test_notes.clone())
            .unwrap_or_default();
        Some(Self {
            at: DateTime(test.at),
            level: test.level.into(),
            status: test.verdict.status.into(),
            authentic: test.verdict.authentic.into(),
            has_credit: test.verdict.has_credit.into(),
            model_allowed: test.verdict.model_allowed.into(),
            model: test.model.clone(),
            rate_limited_until: test.verdict.rate_limited_until.map(DateTime),
            organization_id: notes.organization_id,
            workspace_id: notes.workspace_id,
            upstream_status: test.verdict.upstream_status.map(i32::from),
            upstream_request_id: notes.upstream_request_id,
            duration_ms: i32::try_from(test.verdict.duration_ms).unwrap_or(i32::MAX),
            message: notes.message,
        })
    }
}
