//! Two servers on one MongoDB: a run's owner is stopped beyond its lease, killed, or shut down, and
//! the other takes its runs over.

use super::evidence::facts;
use super::farm::{Farm, Run, Watcher, pattern};
use crate::harness::dice::number;
use crate::harness::process::Process;
use crate::harness::program::Server;
use crate::harness::runs::has_text;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger_domain::orchestration::{FailureClass, RunEvent};
use claviger_projections::run_feed::Body;
use rustix::process::Signal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// A piece of text every so often: a reply takes half a second.
const PACE: Duration = Duration::from_millis(20);

/// A run in the middle of its first stream, its owner, another server, and a subscriber that reads
/// the store.
struct Scene {
    farm: Farm,
    clerk: Process,
    run: Run,
    owner: Server,
    other: Server,
    watcher: tokio::task::JoinHandle<claviger_domain::id::RunId>,
}

impl Scene {
    async fn open(pace: Duration, (lease_ms, drain_ms): (u64, u64)) -> Self {
        let world = World::paced_apart(StoreKind::MongoDb, pace, |config| {
            (config.lease_ms, config.drain_ms) = (lease_ms, drain_ms);
        });
        let farm = Farm::open(world.await).await;
        let (clerk, owner) = (farm.world.clerk().await, farm.serve());
        // No other process is there to claim it.
        let run = farm.start(&owner, pattern(0)).await;
        clerk.until(&farm.user, run.run, has_text).await;
        let other = farm.serve();
        let (url, heard) =
            (watch::Sender::new(other.url().to_owned()), Arc::new(watch::Sender::new(0)));
        let watcher = Watcher::new(run.clone(), &farm.user, url.subscribe(), heard);
        let watcher = TaskTracker::new().spawn(async move {
            let _url = url;
            watcher.watch().await
        });
        Self { farm, clerk, run, owner, other, watcher }
    }

    /// Waits for the claim with this number.
    async fn claimed(&self, epoch: u64) {
        let is_claimed = |body: &Body| match body {
            Body::Snapshot { view, .. } => view.run.epoch >= epoch,
            Body::Event { event, .. } => {
                matches!(&event.event, RunEvent::RunClaimed(claimed) if claimed.epoch >= epoch)
            }
            Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) => false,
            Body::Terminal(_) => true,
        };
        self.clerk.until(&self.farm.user, self.run.run, is_claimed).await;
    }

    async fn events(&self) -> Vec<RunEvent> {
        self.clerk.events(self.run.run).await.iter().map(facts).collect()
    }
}

/// How long a takeover took. It is asserted in the long forms only: else it measures how busy the
/// machine is.
fn within(what: &str, since: Instant, bound: Duration) {
    let took = since.elapsed();
    println!("{what}: taken over after {took:?}");
    assert!(number("CLAVIGER_TEST_KILLS").is_none() || took <= bound, "{what}: {took:?}");
}

/// The lease of a second, and two more.
const TAKEN_OVER: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_stopped_beyond_its_lease_loses_its_run_and_wakes_up_to_change_nothing() {
    if !StoreKind::available().await.contains(&StoreKind::MongoDb) {
        return;
    }
    let scene = Scene::open(PACE, (1_000, 2_000)).await;
    let since = Instant::now();
    scene.owner.signal(Signal::STOP);
    scene.claimed(2).await;
    within("stopped", since, TAKEN_OVER);
    let ended = scene.clerk.ended(&scene.farm.user, scene.run.run).await;
    let history = scene.clerk.events(scene.run.run).await;

    scene.owner.signal(Signal::CONT);
    scene.owner.logged("another process holds the lease").await;
    // It goes on serving: commands, and runs.
    let next = scene.farm.start(&scene.owner, pattern(1)).await;
    scene.clerk.ended(&scene.farm.user, next.run).await;
    assert_eq!(scene.clerk.events(scene.run.run).await, history, "the woken owner wrote nothing");
    assert_eq!(scene.clerk.detail(&scene.farm.user, scene.run.run).await.view, ended.view);
    scene.watcher.await.unwrap();
    let Scene { farm, clerk, run, owner, other, .. } = scene;
    clerk.stop().await;
    owner.stop().await;
    other.stop().await;
    assert_eq!(
        farm.check(&[(run.run, 1), (next.run, 0)]).await,
        1,
        "the call under way was made anew"
    );
    farm.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runs_of_a_killed_owner_are_taken_over_once_its_lease_has_lapsed() {
    if !StoreKind::available().await.contains(&StoreKind::MongoDb) {
        return;
    }
    let mut scene = Scene::open(PACE, (1_000, 2_000)).await;
    let since = Instant::now();
    scene.owner.kill();
    scene.claimed(2).await;
    within("killed", since, TAKEN_OVER);
    scene.watcher.await.unwrap();
    let Scene { farm, clerk, run, other, .. } = scene;
    clerk.stop().await;
    other.stop().await;
    assert_eq!(farm.check(&[(run.run, 1)]).await, 1, "the call under way was made anew");
    farm.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_shuts_down_lets_its_calls_end_and_hands_its_runs_over_at_once() {
    if !StoreKind::available().await.contains(&StoreKind::MongoDb) {
        return;
    }
    // No process waits for this lease to lapse.
    let scene = Scene::open(PACE, (60_000, 30_000)).await;
    scene.owner.signal(Signal::TERM);
    scene.claimed(2).await;
    let events = scene.events().await;
    let claim = events.iter().rposition(|event| matches!(event, RunEvent::RunClaimed(_))).unwrap();
    assert!(
        matches!(events[claim - 1], RunEvent::StepCompleted(..) | RunEvent::StepsPlanned(_)),
        "{events:?}"
    );
    scene.watcher.await.unwrap();
    let Scene { farm, clerk, run, owner, other, .. } = scene;
    owner.ended().await;
    clerk.stop().await;
    other.stop().await;
    assert_eq!(farm.check(&[(run.run, 0)]).await, 0, "no call was made twice");
    farm.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_shuts_down_closes_calls_that_outlast_its_drain() {
    if !StoreKind::available().await.contains(&StoreKind::MongoDb) {
        return;
    }
    let scene = Scene::open(Duration::from_millis(100), (60_000, 200)).await;
    let since = Instant::now();
    scene.owner.signal(Signal::TERM);
    scene.claimed(2).await;
    within("told to go", since, TAKEN_OVER);
    let events = scene.events().await;
    let claim = events.iter().rposition(|event| matches!(event, RunEvent::RunClaimed(_))).unwrap();
    let RunEvent::StepAttemptFailed(closed, _) = &events[claim - 1] else { panic!("{events:?}") };
    assert_eq!((closed.class, closed.maybe_billed), (FailureClass::Interrupted, true));
    assert!(closed.partial_bytes > 0, "what was received is told: {closed:?}");
    scene.watcher.await.unwrap();
    let Scene { farm, clerk, run, owner, other, .. } = scene;
    owner.ended().await;
    clerk.stop().await;
    other.stop().await;
    assert_eq!(farm.check(&[(run.run, 1)]).await, 1, "the call that was cut was made anew");
    farm.world.close().await;
}
