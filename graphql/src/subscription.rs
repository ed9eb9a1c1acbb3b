//! The root of subscriptions. Each item is whole in itself: nothing is asked for while it is shown.

use crate::cursor;
use crate::error::top_level;
use crate::ports::{Progress, Scope};
use crate::scalars::Cursor;
use crate::types::{EventEdge, caller, fault, ports};
use async_graphql::{Context, Error, Subscription};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use std::future::ready;

/// The root of subscriptions.
pub(crate) struct Subscription;

type Edges = BoxStream<'static, Result<EventEdge, Error>>;

#[Subscription]
impl Subscription {
    /// The viewer's own events (account, keys, orchestrations), in log order; without `after` from now on.
    async fn viewer_events(&self, ctx: &Context<'_>, after: Option<Cursor>, types: Option<Vec<String>>) -> Result<Edges, Error> {
        edges(ctx, Scope::Own(caller(ctx)?.user), after, types).await
    }
    /// Every event, for the roles AUDITOR and ADMIN.
    async fn audit_events(&self, ctx: &Context<'_>, after: Option<Cursor>, types: Option<Vec<String>>) -> Result<Edges, Error> {
        let roles = &caller(ctx)?.roles;
        if !roles.contains(&Role::Auditor) && !roles.contains(&Role::Admin) {
            return Err(top_level(&Failure::new(ErrorCode::Forbidden, "this is for auditors and administrators")));
        }
        edges(ctx, Scope::All, after, types).await
    }
}

async fn edges(ctx: &Context<'_>, scope: Scope, after: Option<Cursor>, types: Option<Vec<String>>) -> Result<Edges, Error> {
    let progress = ctx.data_opt::<Progress>().cloned();
    let resume = progress.as_ref().and_then(|progress| progress.resume.clone());
    let after = resume.or(after.map(|after| after.0)).map(|text| cursor::to_event(&text)).transpose().map_err(fault)?;
    let feed = ports(ctx)?.feeds.events(scope, after).await.map_err(fault)?;
    let passed = progress.map(|progress| progress.passed);
    if let Some(passed) = &passed {
        passed(cursor::of_event(feed.start));
    }
    let types = types.unwrap_or_default();
    let wanted = feed.events.try_filter(move |event| ready(types.is_empty() || types.contains(&event.envelope.kind)));
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
