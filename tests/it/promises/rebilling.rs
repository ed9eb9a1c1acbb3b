//! No call is made again without a bound, whatever crashes and whatever the upstream sends.

use crate::harness::environment::{TestClock, by, without_waits};
use crate::harness::person::User;
use crate::harness::process::{Duty, Process};
use crate::harness::runs::line;
use crate::harness::stores::{Opened, StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{CRASHES_MAX, ControlRequest, PauseReason, Phase, Run};
use claviger_projections::run_feed::Body;

/// The pause after the second crash.
const PAUSE_MS: u64 = 5_000;

async fn called(world: &World, times: u64) {
    world.simulator().counts().wait(|counts| counts.total() >= times).await;
}

/// The process is gone in the middle of everything.
async fn crash(ground: &Opened, process: Process) {
    let holder = process.holder;
    process.vanish().await;
    ground.lapse(holder).await;
}

async fn run_of(process: &Process, user: &User, run: RunId) -> Run {
    process.detail(user, run).await.view.run
}

async fn crashing(kind: StoreKind) {
    let clock = TestClock::running();
    let place = TempPlace::apart(kind).await;
    let world = World::at(place, by(&clock), |simulator| simulator).await;
    let ground = world.open_store().await;
    let serve = async || world.process_over(ground.store(), Duty::Runs).await;
    let process = serve().await;
    let ada = process.user("ada", Scenario::Hang).await;
    let run = process.start_run(&ada, line("Work.", ["Ann"])).await;
    called(&world, 1).await;
    crash(&ground, process).await;
    let process = serve().await;
    called(&world, 2).await;
    crash(&ground, process).await;

    // After the second crash it waits for a while. A crash meanwhile bills nothing.
    let process = serve().await;
    let is_second = |body: &Body| match body {
        Body::Snapshot { view, .. } => view.run.steps[0].crashes == 2,
        Body::Event { step, .. } => step.as_ref().is_some_and(|step| step.step.crashes == 2),
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    };
    process.until(&ada, run, is_second).await;
    crash(&ground, process).await;
    clock.advance_ms(PAUSE_MS);
    let process = serve().await;
    called(&world, 3).await;
    crash(&ground, process).await;

    let process = serve().await;
    let paused = process.paused(&ada, run).await.view.run;
    assert_eq!(paused.phase, Phase::Paused(PauseReason::Interrupted));
    assert_eq!((paused.steps[0].crashes, paused.steps[0].attempts), (CRASHES_MAX, 3));
    assert_eq!(world.simulator().counts().total(), 3);
    assert!(process.kinds(run).await.contains(&"RunHalted".to_owned()));
    // Resuming counts anew.
    process.ask(&ada, run, ControlRequest::Resume).await.unwrap();
    called(&world, 4).await;
    crash(&ground, process).await;
    let process = serve().await;
    called(&world, 5).await;
    process.ask(&ada, run, ControlRequest::Cancel).await.unwrap();
    assert_eq!(process.ended(&ada, run).await.view.run.phase, Phase::Cancelled);
    process.stop().await;
    ground.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_crash_during_calls_of_a_step_pauses_its_run_until_it_is_resumed() {
    for kind in StoreKind::available().await {
        crashing(*kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_in_order_is_no_crash() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.drain_ms = 1;
    let ground = world.open_store().await;
    let clerk = world.process_over(ground.store(), Duty::Nothing).await;
    let ada = clerk.user("ada", Scenario::Hang).await;
    let run = clerk.start_run(&ada, line("Work.", ["Ann"])).await;
    for n in 1..=2 * u64::from(CRASHES_MAX) {
        let process = world.process_over(ground.store(), Duty::Runs).await;
        called(&world, n).await;
        process.stop().await;
    }
    let run = run_of(&clerk, &ada, run).await;
    assert_eq!((run.phase, run.steps[0].crashes), (Phase::Running, 0));
    assert_eq!(run.steps[0].attempts, 2 * CRASHES_MAX);
    clerk.stop().await;
    ground.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_begins_again_and_again_is_one_attempt() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let start = "\n\nevent: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{}}}\n\n";
    let noise = Some((900, start.repeat(50).into_bytes()));
    let again = Reply { noise, chunk_chars: 400, ..Reply::default() };
    world.simulator().script().push(&key(Scenario::Good, 1), Act::Reply(again));
    let run = process.start_run(&ada, line("Work.", ["Ann"])).await;
    let run = process.ended(&ada, run).await.view.run;
    assert_eq!((run.phase, run.steps[0].attempts), (Phase::Completed, 2));
    process.stop().await;
    world.close().await;
}
