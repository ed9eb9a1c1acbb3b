//! Pause, resume and cancel through any process at any moment: no request is lost, and no run is
//! stuck.
//!
//! `CLAVIGER_TEST_SCHEDULES=500` tries 500 courses on each store instead of a few;
//! `CLAVIGER_TEST_SEED` changes them.

use super::world::one_of_each;
use crate::harness::dice::{Dice, number, seed};
use crate::harness::person::User;
use crate::harness::process::{Duty, Process};
use crate::harness::stores::{Opened, StoreKind};
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{ControlRequest, Phase, RunEvent};
use claviger_projections::run_feed::Body;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SCHEDULES: u64 = 12;

/// Courses at a time.
const AT_ONCE: usize = 4;

/// Two processes that work, and one that only takes commands: its requests look like those of a
/// process that is gone before it notified an engine.
struct Stage {
    world: World,
    ground: Opened,
    workers: [Process; 2],
    clerk: Process,
    user: User,
}

impl Stage {
    async fn open(kind: StoreKind) -> Self {
        let world = World::paced(kind, Duration::from_millis(2), |_| {}).await;
        let ground = world.open_store().await;
        let clerk = world.process_over(ground.store(), Duty::Nothing).await;
        let user = clerk.user("ada", Scenario::Good).await;
        let workers = [
            world.process_over(ground.store(), Duty::Runs).await,
            world.process_over(ground.store(), Duty::Runs).await,
        ];
        Self { world, ground, workers, clerk, user }
    }

    async fn close(self) {
        for worker in self.workers {
            worker.stop().await;
        }
        self.clerk.stop().await;
        self.ground.close().await;
        self.world.close().await;
    }

    /// Waits until the log has grown by this many events, if it does.
    async fn moment(&self, events: u64) {
        let mut watch = self.ground.store().watch();
        let until = *watch.borrow() + events;
        drop(
            tokio::time::timeout(
                Duration::from_millis(20),
                watch.wait_for(|position| *position >= until),
            )
            .await,
        );
    }

    /// One run, the requests made of it, and how it ended.
    async fn course(&self, mut dice: Dice) -> Phase {
        let drafts = one_of_each();
        let (name, draft) = dice.pick(&drafts).clone();
        let run = dice.pick(&self.workers).start_run(&self.user, draft).await;
        let (mut last, mut is_cancelled, mut asked) = (ControlRequest::Resume, false, Vec::new());
        for _ in 0..2 + dice.below(9) {
            self.moment(dice.below(5) as u64).await;
            let ask = *dice.pick(&[
                ControlRequest::Pause,
                ControlRequest::Pause,
                ControlRequest::Pause,
                ControlRequest::Resume,
                ControlRequest::Resume,
                ControlRequest::Resume,
                ControlRequest::Cancel,
            ]);
            let by = if dice.below(6) == 0 { &self.clerk } else { dice.pick(&self.workers) };
            let answer = by.ask(&self.user, run, ask).await;
            asked.push((
                ask,
                answer.as_ref().map(|done| done.commit.position).map_err(|failure| failure.code),
            ));
            match answer {
                Ok(_) => {
                    (last, is_cancelled) = (ask, is_cancelled || ask == ControlRequest::Cancel);
                }
                Err(failure) => {
                    assert_eq!(failure.code, ErrorCode::Conflict, "{ask:?}: {failure:?}");
                }
            }
        }
        if last == ControlRequest::Pause && !is_cancelled {
            self.rests(run).await;
            // Every process must take the request. A run whose pause came too late has ended.
            drop(dice.pick(&self.workers).ask(&self.user, run, ControlRequest::Resume).await);
        }
        let waiting = self.clerk.ended(&self.user, run);
        let Ok(detail) = tokio::time::timeout(Duration::from_secs(30), waiting).await else {
            panic!("{name} is stuck after {asked:?}: {:?}", self.clerk.kinds(run).await)
        };
        let phase = detail.view.run.phase;
        // A request that came a moment too late finds a run that is done.
        let is_right = if is_cancelled {
            matches!(phase, Phase::Cancelled | Phase::Completed)
        } else {
            phase == Phase::Completed
        };
        assert!(is_right, "{name} after {asked:?}: {:?}", self.clerk.kinds(run).await);
        phase
    }

    /// Waits until the run stands still or has ended.
    async fn rests(&self, run: RunId) {
        let rests = |body: &Body| match body {
            Body::Snapshot { view, .. } => {
                matches!(view.run.phase, Phase::Paused(_)) || view.run.phase.is_final()
            }
            Body::Event { event, .. } => matches!(event.event, RunEvent::RunPaused(_)),
            Body::Terminal(_) => true,
            Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) => false,
        };
        self.clerk.until(&self.user, run, rests).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_at_any_moment_through_any_process_is_lost_or_leaves_a_run_stuck() {
    let schedules = number("CLAVIGER_TEST_SCHEDULES").unwrap_or(SCHEDULES);
    for kind in StoreKind::available().await {
        let (began, stage, mut ends) = (Instant::now(), Stage::open(*kind).await, BTreeMap::new());
        let seeds: Vec<u64> = (0..schedules).map(|n| seed() ^ (n << 20)).collect();
        for some in seeds.chunks(AT_ONCE) {
            for end in join_all(some.iter().map(|seed| stage.course(Dice::new(*seed)))).await {
                *ends.entry(format!("{end:?}")).or_insert(0) += 1;
            }
        }
        println!(
            "{kind:?}: {schedules} courses in {:.1} s: {ends:?}",
            began.elapsed().as_secs_f64()
        );
        assert!(ends.contains_key("Completed") && ends.contains_key("Cancelled"), "{ends:?}");
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_a_resting_run_by_a_process_that_is_gone_at_once_is_done_all_the_same() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        for (ask, end) in
            [(ControlRequest::Resume, Phase::Completed), (ControlRequest::Cancel, Phase::Cancelled)]
        {
            let run = stage.workers[0].start_run(&stage.user, one_of_each().remove(0).1).await;
            stage.workers[0].ask(&stage.user, run, ControlRequest::Pause).await.unwrap();
            stage.workers[0].paused(&stage.user, run).await;
            stage.clerk.ask(&stage.user, run, ask).await.unwrap();
            assert_eq!(stage.clerk.ended(&stage.user, run).await.view.run.phase, end);
        }
        stage.close().await;
    }
}
