//! Keys, as their owner sees them.

use super::activity::KeyActivity;
use super::connection::{PageArgs, PageInfo};
use super::event::{EventConnection, history};
use super::runs::{UsageRow, usage_of_key};
use crate::context::{fault, ports};
use crate::kinds::Kinds;
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
    /// Reads the view without waiting, so it never fails with `VIEW_BEHIND`.
    async fn last_use(&self, ctx: &Context<'_>) -> Result<Option<Timestamp>, Error> {
        let activity =
            ports(ctx)?.reads.activity(self.owner, self.view.id, None).await.map_err(fault)?;
        Ok(activity.and_then(|activity| activity.last_used_at))
    }
}

#[Object]
impl ApiKey {
    /// The key's id. Stays the same when the secret is replaced.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::ApiKey, self.view.id.0))
    }
    /// The owner's name for the key.
    async fn name(&self) -> &str {
        self.view.content.as_ref().map_or("", |content| &content.name)
    }
    /// For example sk-ant-api03-R2D...igAA. The secret itself can never be read.
    async fn preview(&self) -> &str {
        self.view.content.as_ref().map_or("", |content| &content.preview)
    }
    /// Whether the key may be used.
    async fn is_active(&self) -> bool {
        self.view.facts.is_active
    }
    /// Whether the key is the default of the context "default".
    async fn is_default(&self) -> bool {
        self.view
            .content
            .as_ref()
            .is_some_and(|content| content.default_for.values().any(|context| context == "default"))
    }
    /// The contexts whose default this key is. isDefault is true if "default" is one of them.
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
    /// Incremented each time the secret is replaced, from 1.
    async fn secret_version(&self) -> i32 {
        i32::try_from(self.view.facts.secret_version).unwrap_or(i32::MAX)
    }
    /// Stream version of the last change of name, state, default, expiry or secret. Tests and use
    /// do not change it. For expectedVersion and `ETag`.
    async fn version(&self) -> Position {
        Position(self.view.facts.version)
    }
    /// When the key was added.
    async fn created_at(&self) -> DateTime {
        DateTime(self.view.facts.created_at)
    }
    /// When `version` last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.view.facts.updated_at)
    }
    /// When the last orchestration call with the key ended; null before the first. A test does not
    /// count as use. Written a moment after the call.
    async fn last_used_at(&self, ctx: &Context<'_>) -> Option<Result<DateTime, Error>> {
        self.last_use(ctx).await.map(|at| at.map(DateTime)).transpose()
    }
    /// When the key expires, judged by the clock at the time of use; null for never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.view.facts.expires_at.map(DateTime)
    }
    /// The last test of the current secret.
    async fn last_test(&self) -> Option<KeyTest> {
        KeyTest::of(&self.view)
    }
    /// What calls with this key revealed about it; null before the first. Written a moment after
    /// the calls; minPosition waits until the view includes that commit.
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
    /// Usage of orchestration calls with this key on the UTC days that the time from `from` to `to`
    /// touches, at most 366 days. Written a moment after the calls.
    async fn usage(
        &self,
        ctx: &Context<'_>,
        from: DateTime,
        to: DateTime,
    ) -> Result<UsageRow, Error> {
        usage_of_key(ctx, self.owner, self.view.id, from, to).await
    }
    /// The events of this key, newest first. types: at most 64 event types; all if omitted.
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
        let args = PageArgs { first, after, last, before };
        history(ctx, self.owner, Some(self.view.id.0), args, types).await
    }
}

/// A page of keys.
#[derive(Clone, SimpleObject)]
pub(crate) struct ApiKeyConnection {
    /// The keys with their cursors.
    edges: Vec<ApiKeyEdge>,
    /// The keys.
    nodes: Vec<ApiKey>,
    /// The position of the page.
    page_info: PageInfo,
    /// Number of all keys, not only those on the page.
    total_count: i32,
}

/// A key with its cursor.
#[derive(Clone, SimpleObject)]
pub(crate) struct ApiKeyEdge {
    /// The key's cursor.
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
    /// Requests the list of models. Costs nothing.
    Authentic,
    /// Counts tokens with the model. Costs nothing.
    Model,
    /// Sends a message of one token. The only proof of credit.
    Full,
}

/// The result of a test in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::KeyTestStatus")]
pub(crate) enum KeyTestStatus {
    /// The key is usable.
    Success,
    /// The credential is at fault.
    Failed,
    /// Network, rate limit or upstream trouble: the test shows nothing about the key.
    Inconclusive,
}

/// The answer to one question of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Verdict")]
pub(crate) enum Verdict {
    /// Proved true.
    Yes,
    /// Proved false.
    No,
    /// Not proved either way.
    Unknown,
}

/// The result of a test.
#[derive(Clone, SimpleObject)]
pub(crate) struct KeyTest {
    /// When the test ended.
    at: DateTime,
    /// How far the test went.
    level: KeyTestLevel,
    /// The result in one word.
    status: KeyTestStatus,
    /// Does Anthropic accept the key?
    authentic: Verdict,
    /// Does the key have credit?
    has_credit: Verdict,
    /// May the key use the model?
    model_allowed: Verdict,
    /// The model that the test used.
    model: Option<String>,
    /// When the rate limit hit by the test ends.
    rate_limited_until: Option<DateTime>,
    /// Anthropic's id of the organization that pays.
    organization_id: Option<String>,
    /// Anthropic's id of the workspace.
    workspace_id: Option<String>,
    /// Anthropic's HTTP status; null if it did not answer.
    upstream_status: Option<i32>,
    /// Anthropic's request id, to quote to their support.
    upstream_request_id: Option<String>,
    /// Milliseconds from sending the request to the verdict.
    duration_ms: i32,
    /// One sentence for people that says what to do.
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
