//! Events, as their owner sees them.

use super::connection::{PageArgs, PageInfo};
use super::role::Role;
use crate::answer::{Heavy, budget, of_json, turn};
use crate::context::{fault, ports};
use crate::kinds::Kinds;
use crate::scalars::{Cursor, DateTime, Position};
use async_graphql::{Context, Error, ID, Object, SimpleObject};
use claviger_application::EventView;
use claviger_application::cursor;
use claviger_application::ids::{self, IdKind};
use claviger_domain::id::UserId;
use claviger_projections::ports::{Direction, HistoryFilter};
use std::sync::Arc;
use uuid::Uuid;

/// An event in the log.
#[derive(Clone)]
pub(crate) struct Event(pub(crate) Arc<EventView>);

#[Object]
impl Event {
    /// The event's id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::Event, self.0.envelope.id.0))
    }
    /// Place in the total order of the log.
    async fn position(&self) -> Position {
        Position(self.0.envelope.position)
    }
    /// The stream: the events of one aggregate.
    async fn stream(&self) -> String {
        self.0.envelope.stream.to_string()
    }
    /// Place in the stream, from 1.
    async fn version(&self) -> Position {
        Position(self.0.envelope.version)
    }
    /// The event's type, such as `KeyAdded`.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.envelope.kind
    }
    /// Schema version of the type.
    async fn schema(&self) -> i32 {
        i32::try_from(self.0.envelope.schema).unwrap_or(i32::MAX)
    }
    /// When the event was recorded.
    async fn at(&self) -> DateTime {
        DateTime(self.0.envelope.at)
    }
    /// Who acted, and through which API.
    async fn actor(&self) -> Actor {
        let actor = self.0.envelope.actor;
        Actor {
            user_id: actor.user.map(|user| ID(ids::encode(IdKind::User, user.0))),
            role: actor.role.map(Role::from),
            via: actor.via.as_str().to_owned(),
        }
    }
    /// The command that caused it.
    async fn command_id(&self) -> ID {
        ID(self.0.envelope.command_id.to_string())
    }
    /// The request that caused it.
    async fn correlation_id(&self) -> ID {
        ID(ids::encode(IdKind::Correlation, self.0.envelope.correlation_id.0))
    }
    /// The event that caused it; null if none did.
    async fn causation_id(&self) -> Option<ID> {
        self.0.envelope.causation_id.map(|id| ID(ids::encode(IdKind::Event, id.0)))
    }
    /// Ids, states, counts, times and hashes; never personal data.
    async fn facts(&self, ctx: &Context<'_>) -> Result<Heavy<serde_json::Value>, Error> {
        turn(ctx).await?;
        let mut facts = self.0.facts.clone();
        ids::translate_facts(&mut facts);
        Ok(Heavy(facts))
    }
    /// Names and texts; never a secret. null once erased, and for readers who do not own the event.
    async fn content(&self, ctx: &Context<'_>) -> Option<Result<Heavy<&serde_json::Value>, Error>> {
        let content = self.0.content.as_ref()?;
        Some(turn(ctx).await.map(|_| Heavy(content)))
    }
}

/// Who acted.
#[derive(Clone, SimpleObject)]
pub(crate) struct Actor {
    /// The user; null for timers and the installation.
    user_id: Option<ID>,
    /// The strongest role that the user held at the time.
    role: Option<Role>,
    /// The API or component: graphql, rest, cli, timer, engine, system.
    via: String,
}

/// A page of events.
#[derive(Clone, SimpleObject)]
pub(crate) struct EventConnection {
    /// The events with their cursors.
    edges: Vec<EventEdge>,
    /// The events.
    nodes: Vec<Event>,
    /// The position of the page.
    page_info: PageInfo,
}

/// An event's cursor is the same in every `EventConnection`, `viewerEvents` and `auditEvents`. A
/// run's feed has cursors of its own.
#[derive(Clone, SimpleObject)]
pub(crate) struct EventEdge {
    /// The event's cursor.
    cursor: Cursor,
    /// The event.
    node: Event,
}

impl EventEdge {
    /// An event as a subscription sends it.
    pub(crate) fn of(event: Arc<EventView>) -> Self {
        Self { cursor: Cursor(cursor::of_event(event.envelope.position)), node: Event(event) }
    }
}

/// A user's history, or that of one of their objects.
pub(crate) async fn history(
    ctx: &Context<'_>,
    user: UserId,
    subject: Option<Uuid>,
    args: PageArgs,
    types: Kinds,
) -> Result<EventConnection, Error> {
    let limit = args.limit().map_err(fault)?;
    let (after, before) = args.bounds(cursor::to_event).map_err(fault)?;
    // Newest first: the rows after a cursor have smaller positions.
    let filter = HistoryFilter { subject, kinds: types.names(), above: before, below: after };
    let direction = if args.is_backward() { Direction::Forward } else { Direction::Backward };
    let budget = budget(ctx)?;
    let reading = budget.reading().await.map_err(fault)?;
    let mut events =
        ports(ctx)?.reads.history(user, filter, direction, limit + 1).await.map_err(fault)?;
    let size =
        |event: &EventView| of_json(&event.facts) + event.content.as_ref().map_or(0, of_json);
    budget.read(events.iter().map(size).sum()).map_err(fault)?;
    drop(reading);
    budget.turn().await;
    let more = events.len() > limit;
    events.truncate(limit);
    if args.is_backward() {
        events.reverse();
    }
    let cursors: Vec<String> =
        events.iter().map(|event| cursor::of_event(event.envelope.position)).collect();
    let page_info = PageInfo::of(&args, &cursors, more);
    let nodes: Vec<Event> = events.into_iter().map(|event| Event(Arc::new(event))).collect();
    let edges = cursors
        .into_iter()
        .zip(&nodes)
        .map(|(cursor, node)| EventEdge { cursor: Cursor(cursor), node: node.clone() });
    Ok(EventConnection { edges: edges.collect(), nodes, page_info })
}
