//! The process is gone at any boundary of any run: the next one finishes it, and calls for nothing
//! that is done.

use super::evidence::{Calls, check_calls, check_texts, result, steps};
use super::halting::{Halting, When};
use super::world::one_of_each;
use crate::harness::dice::number;
use crate::harness::person::User;
use crate::harness::process::{Duty, Process};
use crate::harness::stores::{Opened, StoreKind};
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{Draft, Phase};
use claviger_domain::stream::StreamName;
use std::time::Instant;

/// More appends than any of the runs has.
const MOST: usize = 40;

struct Stage {
    world: World,
    ground: Opened,
    user: User,
}

impl Stage {
    async fn open(kind: StoreKind) -> Self {
        // No test waits for a lease to lapse: it releases the lease itself.
        let world = World::with(kind, |config| config.lease_ms = 60_000).await;
        let ground = world.open_store().await;
        let clerk = world.process_over(ground.store(), Duty::Nothing).await;
        let user = clerk.user("ada", Scenario::Good).await;
        clerk.stop().await;
        Self { world, ground, user }
    }

    async fn close(self) {
        self.ground.close().await;
        self.world.close().await;
    }

    async fn calls(&self, process: &Process) -> Calls {
        Calls::of(self.world.simulator(), process, &self.user).await
    }

    /// The run once it has ended, and whether all of its history, calls and texts are in order.
    async fn finished(
        &self,
        process: &Process,
        run: RunId,
        before: &Calls,
        crashes: u64,
    ) -> String {
        let detail = process.ended(&self.user, run).await;
        let kinds = process.kinds(run).await;
        assert_eq!(detail.view.run.phase, Phase::Completed, "{kinds:?}");
        let calls = self.calls(process).await.since(before);
        check_calls(&steps(&process.events(run).await), &calls, crashes);
        check_texts(process, &self.user, run).await;
        result(&detail.view.run)
    }

    /// What the run comes to if nothing happens.
    async fn undisturbed(&self, draft: Draft) -> String {
        let process = self.world.process_over(self.ground.store(), Duty::Runs).await;
        let before = self.calls(&process).await;
        let run = process.start_run(&self.user, draft).await;
        let result = self.finished(&process, run, &before, 0).await;
        process.stop().await;
        result
    }

    /// The process is gone at this append. `None` if the run has fewer.
    async fn interrupted(&self, draft: Draft, at: usize, when: When) -> Option<String> {
        let halting = Halting::new(self.ground.store(), at, when);
        let process = self.world.process_over(halting.store(), Duty::Runs).await;
        let before = self.calls(&process).await;
        let undisturbed = async {
            let run = process.start_run(&self.user, draft).await;
            process.ended(&self.user, run).await;
        };
        tokio::select! {
            () = halting.halted() => {}
            () = undisturbed => {}
        }
        // It may have halted at the append that ended the run.
        let Some(run) = halting.halted_by_the_end().await else {
            process.stop().await;
            return None;
        };
        let holder = process.holder;
        drop(process);
        self.ground.lapse(holder).await;
        let done = self.ground.store().read_stream(StreamName::Run(run.0), 0, 1_000).await.unwrap();
        let done = steps(&done);

        let next = self.world.process_over(Halting::after(&halting).store(), Duty::Runs).await;
        let result = self.finished(&next, run, &before, 1).await;
        let told = steps(&next.events(run).await);
        for (step, before) in done.iter().filter(|(_, step)| step.is_completed) {
            assert_eq!(
                told.get(step),
                Some(before),
                "what was done when the process went is left alone"
            );
        }
        next.stop().await;
        Some(result)
    }
}

/// Every boundary of every pattern, on every store.
async fn at_every_append(when: When, first: usize) {
    for kind in StoreKind::available().await {
        let (began, stage, mut count) = (Instant::now(), Stage::open(*kind).await, 0);
        for (name, draft) in one_of_each() {
            // One pattern with all kinds of steps stands for the others where it takes long, unless
            // somebody has the time.
            let takes_long = match when {
                When::After => false,
                When::Before => *kind == StoreKind::MongoDb,
                // The one that comes next has read in vain, and looks again after a while.
                When::Late => true,
            };
            let is_short = takes_long && number("CLAVIGER_TEST_KILLS").is_none();
            if is_short && name != "hierarchical" {
                continue;
            }
            let expected = stage.undisturbed(draft.clone()).await;
            for at in first..MOST {
                let Some(result) = stage.interrupted(draft.clone(), at, when).await else {
                    assert!(at > 3, "{name}: a run has more appends");
                    break;
                };
                assert_eq!(result, expected, "{name}, gone at append {at} ({when:?})");
                count += 1;
            }
        }
        println!("{kind:?} {when:?}: {count} boundaries in {:.1} s", began.elapsed().as_secs_f64());
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gone_before_an_append_loses_nothing_that_is_durable() {
    // Before the first there is no run.
    at_every_append(When::Before, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gone_after_an_append_leaves_a_run_that_goes_on_from_there() {
    at_every_append(When::After, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_comes_through_after_its_process_is_gone_is_taken_in_before_anything_is_done()
 {
    at_every_append(When::Late, 2).await;
}
