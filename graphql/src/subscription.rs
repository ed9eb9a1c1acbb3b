//! The root of subscriptions. Each item is complete: showing it reads nothing more.

use crate::context::{fault, ports, principal};
use crate::error::top_level;
use crate::kinds::Kinds;
use crate::progress::Progress;
use crate::scalars::Cursor;
use crate::types::{EventEdge, Followed, OrchestrationMessage};
use async_graphql::{Context, Error, ID, Subscription};
use claviger_application::Scope;
use claviger_application::cursor;
use claviger_application::ids::{self, IdKind};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_projections::run_feed::Body;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use std::future::ready;

/// The root of subscriptions.
pub(crate) struct Subscription;

type Edges = BoxStream<'static, Result<EventEdge, Error>>;
type Messages = BoxStream<'static, Result<OrchestrationMessage, Error>>;

/// The schema's default of deltas.
#[expect(clippy::unnecessary_wraps, reason = "the argument is nullable")]
fn with_deltas() -> Option<bool> {
    Some(true)
}

#[Subscription]
impl Subscription {
    /// One orchestration's feed. Without `after`: a Snapshot, then every later message. With
    /// `after`: exactly the messages after that cursor. If deltas is false, `TextDelta` messages
    /// are left out. The stream ends after Terminal.
    async fn orchestration(
        &self,
        ctx: &Context<'_>,
        id: ID,
        after: Option<Cursor>,
        #[graphql(default_with = "with_deltas()")] deltas: Option<bool>,
    ) -> Result<Messages, Error> {
        let owner = principal(ctx)?.user;
        let unknown = || fault(Failure::not_found("orchestration"));
        let run = RunId(ids::decode_as(IdKind::Orchestration, &id).ok_or_else(unknown)?);
        // Boxed here and below: otherwise the subscription would hold the memory of its setup for
        // its whole life.
        Box::pin(messages(ctx, Followed { owner, run }, after, deltas.unwrap_or(true)))
            .await?
            .ok_or_else(unknown)
    }
    /// The viewer's own events (account, keys, orchestrations), in log order. Without `after`:
    /// events from now on. types: at most 64 event types; all if omitted.
    async fn viewer_events(
        &self,
        ctx: &Context<'_>,
        after: Option<Cursor>,
        types: Option<Vec<String>>,
    ) -> Result<Edges, Error> {
        let types = Kinds::parse(types.as_deref()).map_err(fault)?;
        Box::pin(edges(ctx, Scope::Own(principal(ctx)?.user), after, types)).await
    }
    /// Every event in the log. Requires the role AUDITOR or ADMIN. types: at most 64 event types;
    /// all if omitted.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        after: Option<Cursor>,
        types: Option<Vec<String>>,
    ) -> Result<Edges, Error> {
        let roles = &principal(ctx)?.roles;
        if !roles.contains(&Role::Auditor) && !roles.contains(&Role::Admin) {
            return Err(top_level(&Failure::new(
                ErrorCode::Forbidden,
                "auditEvents requires the role AUDITOR or ADMIN",
            )));
        }
        let types = Kinds::parse(types.as_deref()).map_err(fault)?;
        Box::pin(edges(ctx, Scope::All, after, types)).await
    }
}

async fn edges(
    ctx: &Context<'_>,
    scope: Scope,
    after: Option<Cursor>,
    types: Kinds,
) -> Result<Edges, Error> {
    let progress = ctx.data_opt::<Progress>().cloned();
    let resume = progress.as_ref().and_then(|progress| progress.resume.clone());
    let after = resume
        .or(after.map(|after| after.0))
        .map(|text| cursor::to_event(&text))
        .transpose()
        .map_err(fault)?;
    let feed = ports(ctx)?.feeds.events(principal(ctx)?.user, scope, after).await.map_err(fault)?;
    let passed = progress.map(|progress| progress.passed);
    if let Some(passed) = &passed {
        passed(cursor::of_event(feed.start));
    }
    let wanted = feed.events.try_filter(move |event| ready(types.wants(&event.envelope.kind)));
    Ok(wanted
        .map(move |event| {
            let event = event.map_err(fault)?;
            if let Some(passed) = &passed {
                passed(cursor::of_event(event.envelope.position));
            }
            Ok(EventEdge::of(event))
        })
        .boxed())
}

async fn messages(
    ctx: &Context<'_>,
    followed: Followed,
    after: Option<Cursor>,
    deltas: bool,
) -> Result<Option<Messages>, Error> {
    let Followed { owner, run } = followed;
    let progress = ctx.data_opt::<Progress>().cloned();
    let resume = progress.as_ref().and_then(|progress| progress.resume.clone());
    let after = resume.or(after.map(|after| after.0));
    let after = after.map(|text| cursor::to_run_feed(&text, run)).transpose().map_err(fault)?;
    let Some(feed) = ports(ctx)?.run_feeds.follow(owner, run, after).await.map_err(fault)? else {
        return Ok(None);
    };
    let passed = progress.map(|progress| progress.passed);
    if let Some(passed) = &passed {
        // Before its snapshot a reader has nothing: a reader that is disconnected there restarts
        // from the first event.
        passed(cursor::of_run_feed(run, after.unwrap_or_default()));
    }
    let wanted = feed
        .messages
        .try_filter(move |message| ready(deltas || !matches!(message.body, Body::Delta(_))));
    let shown = wanted.map(move |message| {
        let message = message.map_err(fault)?;
        if let Some(passed) = &passed {
            passed(cursor::of_run_feed(run, message.cursor));
        }
        followed.show(message).map_err(fault)
    });
    Ok(Some(shown.boxed()))
}
