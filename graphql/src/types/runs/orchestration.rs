//! Orchestrations, as their owner sees them.

use super::definition::pattern_input;
use super::step::{OrchestrationError, Step, StepText};
use super::usage::TokenUsage;
use super::waiting::Waiting;
use super::words::{OrchestrationState, Pattern};
use crate::answer::{AnswerBudget, Heavy, list, of_steps, turn};
use crate::context::{fault, ports};
use crate::kinds::Kinds;
use crate::loads::{self, Loading, loads};
use crate::scalars::{Cursor, DateTime, UInt64, int, millis};
use crate::types::connection::{PageArgs, PageInfo};
use crate::types::event::{EventConnection, history};
use crate::types::resolution::CredentialResolution;
use async_graphql::{Context, Error, ID, Object, SimpleObject};
use claviger_application::cursor;
use claviger_application::ids::{self, IdKind};
use claviger_application::{RunDetail, RunFilter};
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{Cost, PauseReason, Phase, Usage};
use claviger_domain::pattern;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use claviger_projections::run_feed::Wait;
use claviger_projections::runs::RunSummary;
use std::borrow::Cow;
use std::sync::Arc;

/// An orchestration of the viewer.
#[derive(Clone)]
pub(crate) struct Orchestration {
    owner: UserId,
    id: RunId,
    known: Known,
}

/// How much of an orchestration has been read.
#[derive(Clone)]
enum Known {
    /// The complete run.
    Whole(Arc<RunDetail>),
    /// Its row in a list.
    Listed {
        row: Arc<RunSummary>,
        /// The complete run, read when the first field needs it, and at most once for all fields,
        /// copies, and other places of the query.
        whole: Loading<Option<Arc<RunDetail>>>,
        /// Whether a selected field is not in the row. If so, every field is taken from one state,
        /// and `cursor` matches all of them.
        is_wanted_whole: bool,
    },
}

/// Fields that the row of a list does not contain.
const NOT_IN_A_ROW: [&str; 9] =
    ["input", "steps", "output", "result", "error", "resolution", "waiting", "partial", "cursor"];

/// The fields of a list row, from whichever source.
struct Row {
    pattern: Pattern,
    state: OrchestrationState,
    paused: Option<PauseReason>,
    title: Option<String>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    usage: Usage,
    cost: Cost,
}

impl Row {
    fn of_list(row: &RunSummary) -> Self {
        let facts = &row.facts;
        Self {
            pattern: facts.pattern.into(),
            state: facts.state.into(),
            paused: facts.paused,
            title: row.content.as_ref().and_then(|content| content.title.clone()),
            created_at: facts.created_at,
            started_at: facts.started_at,
            finished_at: facts.finished_at,
            usage: facts.usage,
            cost: facts.cost,
        }
    }

    fn of_whole(detail: &RunDetail) -> Result<Self, Failure> {
        let (view, run) = (&detail.view, &detail.view.run);
        let paused = match run.phase {
            Phase::Paused(reason) => Some(reason),
            Phase::None
            | Phase::Queued
            | Phase::Running
            | Phase::Completed
            | Phase::Failed
            | Phase::Cancelled => None,
        };
        Ok(Self {
            // Only a run without its first event has no settings, and such a run is not found.
            pattern: run.settings.as_ref().ok_or_else(Failure::internal)?.pattern.into(),
            state: OrchestrationState::of(run.phase),
            paused,
            title: run.title.clone(),
            created_at: view.created_at,
            started_at: view.started_at,
            finished_at: view.finished_at,
            usage: run.usage(),
            cost: run.cost(),
        })
    }
}

impl Orchestration {
    pub(crate) fn whole(owner: UserId, detail: Arc<RunDetail>) -> Self {
        Self { owner, id: detail.id, known: Known::Whole(detail) }
    }

    /// A user's orchestration by its id; `None` for foreign and unknown ids.
    pub(crate) async fn load(
        ctx: &Context<'_>,
        owner: UserId,
        id: RunId,
    ) -> Result<Option<Self>, Error> {
        Ok(loads::run(ctx, owner, id).await?.map(|detail| Self::whole(owner, detail)))
    }

    fn listed(
        owner: UserId,
        row: RunSummary,
        whole: Loading<Option<Arc<RunDetail>>>,
        is_wanted_whole: bool,
    ) -> Self {
        let id = row.id;
        Self { owner, id, known: Known::Listed { row: Arc::new(row), whole, is_wanted_whole } }
    }

    async fn detail(&self) -> Result<Arc<RunDetail>, Error> {
        match &self.known {
            Known::Whole(detail) => Ok(Arc::clone(detail)),
            Known::Listed { whole, .. } => {
                let detail = whole.clone().await.map_err(fault)?;
                detail.ok_or_else(|| fault(Failure::not_found("orchestration")))
            }
        }
    }

    /// The complete run, in the operation's turn. Fails if the answer is too large already: nothing
    /// more is built for it then.
    async fn in_turn(&self, ctx: &Context<'_>) -> Result<Arc<RunDetail>, Error> {
        let detail = self.detail().await?;
        turn(ctx).await?;
        Ok(detail)
    }

    async fn row(&self) -> Result<Row, Error> {
        match &self.known {
            Known::Listed { row, is_wanted_whole: false, .. } => Ok(Row::of_list(row)),
            Known::Listed { .. } | Known::Whole(_) => {
                Row::of_whole(&*self.detail().await?).map_err(fault)
            }
        }
    }

    async fn resolved(&self, ctx: &Context<'_>) -> Result<CredentialResolution, Error> {
        let detail = self.detail().await?;
        let run = &detail.view.run;
        let considered =
            run.resolution.as_ref().map_or(&[][..], |resolution| &resolution.considered);
        CredentialResolution::recorded(ctx, self.owner, considered, run.context.as_deref()).await
    }
}

// A failed nullable field makes only itself null, not its parent, if it returns an option of a
// result.
#[Object]
impl Orchestration {
    /// The orchestration's id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::Orchestration, self.id.0))
    }
    /// How the agents work together.
    async fn pattern(&self) -> Result<Pattern, Error> {
        Ok(self.row().await?.pattern)
    }
    /// The current state.
    async fn state(&self) -> Result<OrchestrationState, Error> {
        Ok(self.row().await?.state)
    }
    /// Why it is paused: `requested`, `spend_limit`, `key_unavailable`, `rate_limit`, `overloaded`,
    /// `upstream_fault`, `credit`, `key_refused`, `organization_disabled`, or `interrupted` if the
    /// server stopped again and again during calls of the same step; null if it is not.
    async fn pause_reason(&self) -> Option<Result<&'static str, Error>> {
        self.row().await.map(|row| row.paused.map(PauseReason::as_str)).transpose()
    }
    /// Why nothing happens, since when and until when; null while a call is in progress, and once it
    /// has ended. Also while it is paused.
    async fn waiting(&self) -> Option<Result<Waiting, Error>> {
        let wait = self.detail().await.map(|detail| Wait::of_run(&detail.view)).transpose()?;
        Some(wait.map(Waiting::from))
    }
    /// The owner's title; null if it has none, and once its content was deleted.
    async fn title(&self) -> Option<Result<String, Error>> {
        self.row().await.map(|row| row.title).transpose()
    }
    /// The work it was asked to do, in the shape of `PatternInput`, with placeholders for pictures.
    /// null once its content was deleted.
    async fn input(&self, ctx: &Context<'_>) -> Option<Result<Heavy<serde_json::Value>, Error>> {
        self.in_turn(ctx)
            .await
            .map(|detail| detail.view.run.definition.as_ref().map(pattern_input).map(Heavy))
            .transpose()
    }
    /// The steps, in the order of the plan. More may be added later.
    async fn steps(&self, ctx: &Context<'_>) -> Result<Vec<Step>, Error> {
        let detail = self.in_turn(ctx).await?;
        list(ctx, detail.view.run.steps.len())?;
        // Steps are copies.
        turn(ctx).await?.read(of_steps(&detail)).map_err(fault)?;
        Ok(Step::all(&detail))
    }
    /// The final text (synthesis, verdict, aggregate or last reply), for patterns that produce one.
    async fn output(&self, ctx: &Context<'_>) -> Option<Result<Heavy<String>, Error>> {
        self.in_turn(ctx)
            .await
            .map(|detail| pattern::output(&detail.view.run).map(Cow::into_owned).map(Heavy))
            .transpose()
    }
    /// The pattern's whole result, in the shape of the REST API.
    async fn result(&self, ctx: &Context<'_>) -> Option<Result<Heavy<serde_json::Value>, Error>> {
        self.in_turn(ctx)
            .await
            .map(|detail| pattern::result(&detail.view.run).map(Heavy))
            .transpose()
    }
    /// Why it failed; null if it did not.
    async fn error(&self) -> Option<Result<OrchestrationError, Error>> {
        self.detail().await.map(|detail| OrchestrationError::of_run(&detail.view.run)).transpose()
    }
    /// Which credential it uses, and why. Resolved when it was requested, and again each time it
    /// was resumed.
    async fn resolution(&self, ctx: &Context<'_>) -> Result<CredentialResolution, Error> {
        self.resolved(ctx).await
    }
    /// Tokens used by the calls of all steps.
    async fn usage(&self) -> Result<TokenUsage, Error> {
        Ok(self.row().await?.usage.into())
    }
    /// The cost of all calls; null if the cost of any call is unknown.
    async fn cost_nano_usd(&self) -> Option<Result<UInt64, Error>> {
        self.row().await.map(|row| row.cost.0.map(UInt64)).transpose()
    }
    /// When it was requested.
    async fn created_at(&self) -> Result<DateTime, Error> {
        Ok(DateTime(self.row().await?.created_at))
    }
    /// When an engine first began to work on it.
    async fn started_at(&self) -> Option<Result<DateTime, Error>> {
        self.row().await.map(|row| row.started_at.map(DateTime)).transpose()
    }
    /// When it ended.
    async fn finished_at(&self) -> Option<Result<DateTime, Error>> {
        self.row().await.map(|row| row.finished_at.map(DateTime)).transpose()
    }
    /// Milliseconds from the start of the work (or from the request, if no work began) to the end;
    /// null before the end, and for more than 24.8 days, which an Int cannot hold: finishedAt and
    /// startedAt say it.
    async fn duration_ms(&self) -> Option<Result<i32, Error>> {
        let duration =
            |row: Row| millis(row.finished_at?.ms_since(row.started_at.unwrap_or(row.created_at)));
        self.row().await.map(duration).transpose()
    }
    /// Text so far of each running attempt. This object, partial and cursor come from one fold of
    /// the run's own events and deltas.
    async fn partial(&self, ctx: &Context<'_>) -> Result<Vec<StepText>, Error> {
        let detail = self.in_turn(ctx).await?;
        list(ctx, detail.partial.len())?;
        turn(ctx).await?.read(of_steps(&detail)).map_err(fault)?;
        Ok(StepText::all(&detail.partial))
    }
    /// The newest feed item included in this object: subscribing after it misses nothing.
    async fn cursor(&self) -> Result<Cursor, Error> {
        Ok(Cursor(cursor::of_run_feed(self.id, self.detail().await?.cursor)))
    }
    /// The events of this orchestration, newest first. types: at most 64 event types; all if
    /// omitted.
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
        history(ctx, self.owner, Some(self.id.0), PageArgs { first, after, last, before }, types)
            .await
    }
}

/// A page of orchestrations.
#[derive(Clone, SimpleObject)]
pub(crate) struct OrchestrationConnection {
    /// The orchestrations with their cursors.
    edges: Vec<OrchestrationEdge>,
    /// The orchestrations.
    nodes: Vec<Orchestration>,
    /// The position of the page.
    page_info: PageInfo,
    /// Number of all orchestrations that match the filter, not only those on the page.
    total_count: i32,
}

/// An orchestration with its cursor.
#[derive(Clone, SimpleObject)]
pub(crate) struct OrchestrationEdge {
    /// The orchestration's cursor in this list; its feed has cursors of its own.
    cursor: Cursor,
    /// The orchestration.
    node: Orchestration,
}

/// A page of a user's orchestrations.
pub(crate) async fn orchestrations(
    ctx: &Context<'_>,
    owner: UserId,
    args: PageArgs,
    filter: RunFilter,
) -> Result<OrchestrationConnection, Error> {
    let limit = args.limit().map_err(fault)?;
    let (after, before) = args.bounds(cursor::to_run).map_err(fault)?;
    let page = Page { after, before, from_end: args.is_backward(), limit };
    let reads = &ports(ctx)?.run_reads;
    let page = reads.runs(owner, filter, page).await.map_err(fault)?;
    let (nodes, edges) =
        (ctx.look_ahead().field("nodes"), ctx.look_ahead().field("edges").field("node"));
    let is_wanted_whole =
        NOT_IN_A_ROW.iter().any(|name| nodes.field(name).exists() || edges.field(name).exists());
    let cursors: Vec<String> =
        page.runs.iter().map(|run| cursor::of_run(run.facts.created_at.0, run.id.0)).collect();
    let page_info = PageInfo::of(&args, &cursors, page.more);
    let (loads, budget) = (loads(ctx)?, ctx.data::<AnswerBudget>()?);
    let listed = |row: RunSummary| {
        let whole = loads.run(reads, budget, owner, row.id);
        Orchestration::listed(owner, row, whole, is_wanted_whole)
    };
    let nodes: Vec<_> = page.runs.into_iter().map(listed).collect();
    let edge = |(cursor, node): (String, &Orchestration)| OrchestrationEdge {
        cursor: Cursor(cursor),
        node: node.clone(),
    };
    let edges = cursors.into_iter().zip(&nodes).map(edge).collect();
    Ok(OrchestrationConnection { edges, nodes, page_info, total_count: int(page.total) })
}
