//! Requests that come exactly while a run's pause is appended.

use super::world::one_of_each;
use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::process::Duty;
use crate::harness::runs::has_text;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{ControlRequest, Phase};
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, DeltaRow, OPEN_RUNS, Store, ViewRow,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// A store that holds pauses until it is released, and that lists no open runs: only a process that
/// is notified works.
struct Holding {
    inner: Arc<dyn Store>,
    is_held: watch::Sender<bool>,
    goes_on: watch::Sender<bool>,
    /// How often text was read, which is the last thing that a reader of a run reads.
    read: watch::Sender<usize>,
}

impl Holding {
    fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        let (is_held, goes_on, read) =
            (watch::Sender::new(false), watch::Sender::new(false), watch::Sender::new(0));
        Arc::new(Self { inner, is_held, goes_on, read })
    }
}

impl Bent for Holding {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            if append.events.iter().any(|event| event.kind == "RunPaused") {
                self.is_held.send_replace(true);
                drop(self.goes_on.subscribe().wait_for(|goes_on| *goes_on).await);
            }
            self.inner.append(append).await
        })
    }

    fn deltas(&self, run: RunId, after: (u64, u64), limit: usize) -> Answer<'_, Vec<DeltaRow>> {
        Box::pin(async move {
            let rows = self.inner.deltas(run, after, limit).await;
            self.read.send_modify(|read| *read += 1);
            rows
        })
    }

    fn rows_of_all(
        &self,
        view: &'static str,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Answer<'_, Vec<ViewRow>> {
        if view == OPEN_RUNS {
            Box::pin(async { Ok(Vec::new()) })
        } else {
            self.inner.rows_of_all(view, after, limit)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_through_another_process_while_a_pause_is_appended_is_done() {
    for kind in StoreKind::available().await {
        let world = World::paced(*kind, Duration::from_millis(5), |_| {}).await;
        let ground = world.open_store().await;
        // Notified of each request, the other process reads the run; a resumption is decided on the
        // whole run before.
        for (ask, reads, end) in [
            (ControlRequest::Resume, 3, Phase::Completed),
            (ControlRequest::Cancel, 2, Phase::Cancelled),
        ] {
            let (mine, theirs) = (Holding::over(ground.store()), Holding::over(ground.store()));
            let owner = world.process_over(Over::store(&mine), Duty::Runs).await;
            let other = world.process_over(Over::store(&theirs), Duty::Runs).await;
            let user = owner.user(&format!("{ask:?}").to_lowercase(), Scenario::Good).await;
            let run = owner.start_run(&user, one_of_each().remove(0).1).await;
            owner.until(&user, run, has_text).await;
            other.ask(&user, run, ControlRequest::Pause).await.unwrap();
            mine.is_held.subscribe().wait_for(|is_held| *is_held).await.unwrap();
            // The other finds that this process owns the run, and leaves it alone.
            other.ask(&user, run, ask).await.unwrap();
            theirs.read.subscribe().wait_for(|read| *read >= reads).await.unwrap();
            mine.goes_on.send_replace(true);
            assert_eq!(owner.ended(&user, run).await.view.run.phase, end);
            owner.stop().await;
            other.stop().await;
        }
        ground.close().await;
        world.close().await;
    }
}
