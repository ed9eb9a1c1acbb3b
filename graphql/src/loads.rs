//! The objects that one query has read: each is read once, however often its id stands in the
//! request.
//!
//! A mutation reads after each of its commands, and a message of a subscription shows what was so
//! at its moment, so neither keeps anything.

use crate::answer::{AnswerBudget, of_run};
use crate::context::{fault, ports};
use async_graphql::{Context, Error};
use claviger_application::{Answer, EventView, RunDetail, RunReads, SessionView};
use claviger_domain::failure::Failure;
use claviger_domain::id::{EventId, KeyId, RunId, SessionId, UserId};
use claviger_projections::keys::KeyView;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A read that many may wait for. It starts when the first one does.
pub(crate) type Loading<T> = Shared<BoxFuture<'static, Result<T, Failure>>>;

/// The last event that each session of a user caused.
type LastEvents = Arc<[(SessionId, Arc<EventView>)]>;

type Kept<K, T> = HashMap<(UserId, K), Loading<T>>;

#[derive(Default)]
struct Reads {
    keys: Kept<KeyId, Option<KeyView>>,
    runs: Kept<RunId, Option<Arc<RunDetail>>>,
    events: Kept<EventId, Option<Arc<EventView>>>,
    sessions: Kept<(), Arc<[SessionView]>>,
    last_events: Kept<bool, LastEvents>,
}

/// The reads of one operation.
pub(crate) struct Loads(Option<Mutex<Reads>>);

impl Loads {
    /// `keeps`: for a query.
    pub(crate) fn new(keeps: bool) -> Self {
        Self(keeps.then(Mutex::default))
    }

    fn reads(&self) -> Option<MutexGuard<'_, Reads>> {
        self.0.as_ref().map(|reads| reads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn once<K: Eq + Hash, T: Clone + Send + Sync + 'static>(
        &self,
        of: impl FnOnce(&mut Reads) -> &mut Kept<K, T>,
        key: (UserId, K),
        read: impl FnOnce() -> BoxFuture<'static, Result<T, Failure>>,
    ) -> Loading<T> {
        match self.reads() {
            Some(mut reads) => of(&mut reads).entry(key).or_insert_with(|| read().shared()).clone(),
            None => read().shared(),
        }
    }

    /// Forgets what was read: a caller waits for a newer state.
    pub(crate) fn forget(&self) {
        if let Some(mut reads) = self.reads() {
            *reads = Reads::default();
        }
    }

    /// A user's run; `None` for foreign and unknown ids.
    pub(crate) fn run(
        &self,
        reads: &Arc<dyn RunReads>,
        budget: &AnswerBudget,
        owner: UserId,
        run: RunId,
    ) -> Loading<Option<Arc<RunDetail>>> {
        self.once(
            |kept| &mut kept.runs,
            (owner, run),
            || {
                let (reads, budget) = (Arc::clone(reads), budget.clone());
                async move {
                    let reading = budget.reading().await?;
                    let detail = reads.run(owner, run).await?;
                    budget.read(detail.as_ref().map_or(0, of_run))?;
                    drop(reading);
                    budget.turn().await;
                    Ok(detail.map(Arc::new))
                }
                .boxed()
            },
        )
    }
}

pub(crate) fn loads<'a>(ctx: &Context<'a>) -> Result<&'a Loads, Error> {
    ctx.data::<Loads>()
}

/// A user's run; `None` for foreign and unknown ids.
pub(crate) async fn run(
    ctx: &Context<'_>,
    owner: UserId,
    id: RunId,
) -> Result<Option<Arc<RunDetail>>, Error> {
    let budget = ctx.data::<AnswerBudget>()?;
    loads(ctx)?.run(&ports(ctx)?.run_reads, budget, owner, id).await.map_err(fault)
}

/// A user's key; `None` for foreign and unknown ids.
pub(crate) async fn key(
    ctx: &Context<'_>,
    owner: UserId,
    id: KeyId,
) -> Result<Option<KeyView>, Error> {
    let reads = Arc::clone(&ports(ctx)?.reads);
    let read = counted(ctx, move || async move { reads.key(owner, id).await })?;
    loads(ctx)?.once(|kept| &mut kept.keys, (owner, id), read).await.map_err(fault)
}

/// A user's event; `None` for foreign and unknown ids.
pub(crate) async fn event(
    ctx: &Context<'_>,
    owner: UserId,
    id: EventId,
) -> Result<Option<Arc<EventView>>, Error> {
    let reads = Arc::clone(&ports(ctx)?.reads);
    let read = counted(ctx, move || async move {
        Ok::<_, Failure>(reads.event(owner, id).await?.map(Arc::new))
    })?;
    loads(ctx)?.once(|kept| &mut kept.events, (owner, id), read).await.map_err(fault)
}

/// A user's sessions, newest first.
pub(crate) async fn sessions(
    ctx: &Context<'_>,
    owner: UserId,
) -> Result<Arc<[SessionView]>, Error> {
    let reads = Arc::clone(&ports(ctx)?.reads);
    let read = counted(ctx, move || async move {
        Ok::<Arc<[SessionView]>, Failure>(reads.sessions(owner).await?.into())
    })?;
    loads(ctx)?.once(|kept| &mut kept.sessions, (owner, ()), read).await.map_err(fault)
}

/// The last event that each session of a user caused.
pub(crate) async fn last_events(
    ctx: &Context<'_>,
    owner: UserId,
    with_content: bool,
) -> Result<LastEvents, Error> {
    let administration = Arc::clone(&ports(ctx)?.administration);
    let read = counted(ctx, move || async move {
        let found = administration.last_events(owner, with_content).await?;
        let shared = found.into_iter().map(|(session, event)| (session, Arc::new(event)));
        Ok::<LastEvents, Failure>(shared.collect())
    })?;
    loads(ctx)?.once(|kept| &mut kept.last_events, (owner, with_content), read).await.map_err(fault)
}

/// A read that counts as work of its operation.
fn counted<T, F, R>(
    ctx: &Context<'_>,
    read: R,
) -> Result<impl FnOnce() -> Answer<'static, T> + use<T, F, R>, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
    R: FnOnce() -> F + Send + 'static,
{
    let budget = ctx.data::<AnswerBudget>()?.clone();
    Ok(move || {
        async move {
            budget.open()?;
            let found = read().await?;
            budget.read(0)?;
            budget.turn().await;
            Ok(found)
        }
        .boxed()
    })
}
