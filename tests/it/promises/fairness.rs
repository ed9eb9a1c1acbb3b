//! What all users share is handed out by owner, and one bad item never ends a batch.
//!
//! `CLAVIGER_TEST_RUNS=1000 cargo test --test it promises::fairness` starts so many runs that hang,
//! at the default bounds, and asserts that another user's run of one step ends within a second.

use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::dice::number;
use crate::harness::environment::{TestClock, by};
use crate::harness::events::{append_to, new_event};
use crate::harness::person::{User, api_key, context};
use crate::harness::process::{Duty, Process};
use crate::harness::runs::{line, start};
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::background::timers::Timers;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Ending, Refusal, Reply};
use claviger_application::KeyCommand;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{ControlRequest, Phase, RunEvent};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::system::{Rebuilt, SystemEvent};
use claviger_domain::text::KeyName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, OPEN_RUNS, RowChange, Store, StoreError, TimerKind, TimerRow, UserKeyRow, ViewRow,
};
use claviger_projections::run_feed::Body;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// Starts runs of one step.
async fn runs(process: &Process, user: &User, count: u64) -> Vec<RunId> {
    let mut runs = Vec::new();
    for n in 0..count {
        runs.push(process.start_run(user, line(&format!("Work {n}."), ["Ann"])).await);
    }
    runs
}

/// Waits until the run's steps are planned: a process has worked on it.
async fn begun(process: &Process, user: &User, run: RunId) {
    let has_begun = |body: &Body| match body {
        Body::Snapshot { view, .. } => !view.run.steps.is_empty(),
        Body::Event { event, .. } => matches!(event.event, RunEvent::StepsPlanned(_)),
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    };
    process.until(user, run, has_begun).await;
}

async fn completes(process: &Process, user: &User) -> Duration {
    let began = Instant::now();
    let run = runs(process, user, 1).await.remove(0);
    assert_eq!(process.ended(user, run).await.view.run.phase, Phase::Completed);
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_users_runs_that_hang_hold_no_other_users() {
    let long = number("CLAVIGER_TEST_RUNS");
    let mut world = World::open(StoreKind::Sqlite).await;
    if long.is_none() {
        world.config.runs_at_once = 4;
    }
    let process = world.process().await;
    let (ada, bob) =
        (process.user("ada", Scenario::Hang).await, process.user("bob", Scenario::Good).await);
    runs(&process, &ada, long.unwrap_or(9)).await;
    world.simulator().counts().wait(|counts| counts.open() >= 2).await;
    let took = completes(&process, &bob).await;
    println!("another user's run took {took:?}");
    assert!(long.is_none() || took < Duration::from_secs(1), "{took:?}");
    drop(process);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_wait_for_a_ticket_give_their_places_back_and_keep_their_turns() {
    let mut world = World::open(StoreKind::Sqlite).await;
    (world.config.runs_at_once, world.config.calls_per_key) = (4, 1);
    let process = world.process().await;
    let (ada, gate) = (process.user("ada", Scenario::Good).await, Gate::default());
    let held = Reply { gate: Some((0, gate.clone())), ..Reply::default() };
    world.simulator().script().push(&key(Scenario::Good, 1), Act::Reply(held));
    let runs = runs(&process, &ada, 9).await;
    gate.arrived(1).await;
    for run in &runs {
        begun(&process, &ada, *run).await;
    }
    gate.open();
    for run in &runs {
        let run = process.ended(&ada, *run).await.view.run;
        assert_eq!((run.phase, run.epoch), (Phase::Completed, 1), "one claim is enough");
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_the_end_of_a_rate_limit_has_no_place_and_can_be_cancelled() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.runs_at_once = 1;
    let process = world.process().await;
    let (ada, bob) =
        (process.user("ada", Scenario::Good).await, process.user("bob", Scenario::Flaky).await);
    let hour = Refusal {
        retry_after: Some("3600".to_owned()),
        ..Refusal::new(429, "rate_limit_error", "Slow down.")
    };
    world.simulator().script().push(&key(Scenario::Good, 1), Act::Refuse(hour));
    let limited = runs(&process, &ada, 1).await.remove(0);
    let is_limited = |body: &Body| match body {
        Body::Event { event, .. } => matches!(event.event, RunEvent::StepAttemptFailed(..)),
        Body::Snapshot { view, .. } => view.run.steps.iter().any(|step| step.trouble.is_some()),
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    };
    process.until(&ada, limited, is_limited).await;
    completes(&process, &bob).await;
    process.ask(&ada, limited, ControlRequest::Cancel).await.unwrap();
    assert_eq!(process.ended(&ada, limited).await.view.run.phase, Phase::Cancelled);
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_the_operators_key_are_shared_out_by_user() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.anthropic_api_key = Some(SecretText::new(key(Scenario::Good, 9)));
    world.config.calls_per_key = 4;
    let process = world.process().await;
    let (ada, bob) = (process.newcomer("ada").await, process.newcomer("bob").await);
    for n in 0..6 {
        let marker = format!("Hang {n}.");
        let silence = Reply { ending: Ending::HangAfter(0), ..Reply::default() };
        world.simulator().script().on_prompt(&marker, Act::Reply(silence));
        process.start_run(&ada, line(&marker, ["Ann"])).await;
    }
    world.simulator().counts().wait(|counts| counts.open() >= 2).await;
    completes(&process, &bob).await;
    assert_eq!(world.simulator().counts().open(), 2, "half of the key's calls");
    drop(process);
    world.close().await;
}

/// A store in which something of one user can't be read.
struct Damaged {
    inner: Arc<dyn Store>,
    user: watch::Sender<Option<UserId>>,
}

impl Damaged {
    fn over(inner: Arc<dyn Store>, user: Option<UserId>) -> Arc<Self> {
        Arc::new(Self { inner, user: watch::Sender::new(user) })
    }

    fn is_of(&self, owner: UserId) -> bool {
        *self.user.borrow() == Some(owner)
    }
}

impl Bent for Damaged {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn user_key(&self, owner: UserId) -> Answer<'_, Option<UserKeyRow>> {
        if self.is_of(owner) {
            return Box::pin(async { Err(StoreError::Corrupt("a user key".to_owned())) });
        }
        self.inner.user_key(owner)
    }

    fn rows_of_all(
        &self,
        view: &'static str,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Answer<'_, Vec<ViewRow>> {
        Box::pin(async move {
            let mut rows = self.inner.rows_of_all(view, after, limit).await?;
            for row in rows.iter_mut().filter(|row| view == OPEN_RUNS && self.is_of(row.owner)) {
                row.facts = b"{".to_vec();
            }
            Ok(rows)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cant_be_read_stops_the_recovery_of_its_own_run_only() {
    let world = World::open(StoreKind::Sqlite).await;
    let ground = world.open_store().await;
    let clerk = world.process_over(ground.store(), Duty::Nothing).await;
    let ada = clerk.user("ada", Scenario::Good).await;
    let bob = clerk.user("bob", Scenario::Good).await;
    // Rows are read in the order of their owners' ids.
    let (first, second) = if ada.id().0 < bob.id().0 { (ada, bob) } else { (bob, ada) };
    let unread = clerk.start_run(&first, line("Work.", ["Ann"])).await;
    let run = clerk.start_run(&second, line("Work.", ["Ann"])).await;
    clerk.stop().await;
    let damaged = Damaged::over(ground.store(), Some(first.id()));
    let process = world.process_over(Over::store(&damaged), Duty::Runs).await;
    assert_eq!(process.ended(&second, run).await.view.run.phase, Phase::Completed);
    // Once the row is repaired, its run goes on by itself.
    damaged.user.send_replace(None);
    assert_eq!(process.ended(&first, unread).await.view.run.phase, Phase::Completed);
    process.stop().await;
    ground.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_hint_was_lost_reaches_a_paused_run() {
    for kind in StoreKind::available().await {
        let world = World::open(*kind).await;
        let ground = world.open_store().await;
        // Processes without an engine that they could give a hint to.
        let clerk = world.process_over(ground.store(), Duty::Nothing).await;
        let ada = clerk.user("ada", Scenario::Good).await;
        let runs = runs(&clerk, &ada, 2).await;
        for run in &runs {
            clerk.ask(&ada, *run, ControlRequest::Pause).await.unwrap();
        }
        let process = world.process_over(ground.store(), Duty::Runs).await;
        for run in &runs {
            process.paused(&ada, *run).await;
        }
        clerk.ask(&ada, runs[0], ControlRequest::Resume).await.unwrap();
        assert_eq!(process.ended(&ada, runs[0]).await.view.run.phase, Phase::Completed);
        process.stop().await;
        // Nor is there any other process when this request is made.
        clerk.ask(&ada, runs[1], ControlRequest::Resume).await.unwrap();
        let process = world.process_over(ground.store(), Duty::Runs).await;
        assert_eq!(process.ended(&ada, runs[1]).await.view.run.phase, Phase::Completed);
        process.stop().await;
        clerk.stop().await;
        ground.close().await;
        world.close().await;
    }
}

const FIRST_PAUSE_MS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_timers_that_fail_hold_no_other_and_what_has_nothing_to_do_goes() {
    let clock = TestClock::running();
    let place = TempPlace::new(StoreKind::Sqlite).await;
    let world = World::at(place, by(&clock), |simulator| simulator).await;
    let ground = world.open_store().await;
    let damaged = Damaged::over(ground.store(), None);
    let clerk = world.process_over(Over::store(&damaged), Duty::Nothing).await;
    let (ada, bob) = (clerk.newcomer("ada").await, clerk.newcomer("bob").await);
    let expiring = KeyCommand::Add {
        name: KeyName::parse("short").unwrap(),
        secret: api_key(&key(Scenario::Good, 1)),
        make_default: None,
        context: context(),
        expires_at: Some(clock.now().plus_ms(1_000)),
    };
    clerk.key(&bob, expiring).await.unwrap();
    let timer = |owner, n: u128| TimerRow {
        kind: TimerKind::KeyExpiry,
        owner,
        subject: Uuid::from_u128(n),
        command: None,
        due_at: Timestamp(1),
    };
    let idle = TimerRow { kind: TimerKind::KeyTest, ..timer(bob.id(), 1) };
    let rows: Vec<_> = (0..100).map(|n| timer(ada.id(), n)).chain([idle]).collect();
    let event =
        SystemEvent::ProjectionRebuilt(Rebuilt { view: "x".to_owned(), owners: 0, changed: 0 });
    let append = append_to(StreamName::System, 0, vec![new_event(&event)]);
    let rows_put = rows.iter().map(|row| RowChange::PutTimer(*row)).collect();
    ground.store().append(Append { rows: rows_put, at: clock.now(), ..append }).await.unwrap();

    damaged.user.send_replace(Some(ada.id()));
    clock.advance_ms(2_000);
    let timers = Timers::new(Over::store(&damaged), Arc::clone(&clerk.bus), world.env.clone());
    timers.tick().await;
    let events = ground.store().read_stream(StreamName::KeyRing(bob.id()), 0, 99).await.unwrap();
    assert!(events.iter().any(|event| event.envelope.kind == "KeyExpired"));
    let due = async |now| ground.store().due_timers(now, 1_000).await.unwrap();
    assert_eq!(due(clock.now()).await, [], "those that failed are put off");
    let put_off = due(clock.now().plus_ms(FIRST_PAUSE_MS)).await;
    let owners: HashSet<_> = put_off.iter().map(|timer| timer.owner).collect();
    assert_eq!((put_off.len(), owners), (100, HashSet::from([ada.id()])), "the idle one is gone");

    clock.advance_ms(FIRST_PAUSE_MS);
    timers.tick().await;
    assert_eq!(due(clock.now().plus_ms(FIRST_PAUSE_MS)).await, [], "each time for longer");
    damaged.user.send_replace(None);
    clock.advance_ms(3 * FIRST_PAUSE_MS);
    timers.tick().await;
    assert_eq!(due(Timestamp::MAX).await, [], "keys that don't exist have no expiry");
    clerk.stop().await;
    ground.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_runs_have_a_rate_and_a_budget_of_bytes_per_user() {
    let mut world = World::open(StoreKind::Sqlite).await;
    (world.config.run_commands_per_minute, world.config.run_bytes_per_day) = (3, 100_000);
    let clerk = world.clerk().await;
    let ada = clerk.user("ada", Scenario::Good).await;
    let bob = clerk.user("bob", Scenario::Good).await;
    let large = start(line(&"x".repeat(60_000), ["Ann"]));
    clerk.try_start(&ada, large.clone(), None).await.unwrap();
    let refused = clerk.try_start(&ada, large.clone(), None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RateLimited);
    assert!(refused.message.contains("in a day"), "{}", refused.message);
    let small = || start(line("Work.", ["Ann"]));
    let run = clerk.try_start(&ada, small(), None).await.unwrap().run;
    let refused = clerk.ask(&ada, run, ControlRequest::Cancel).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RateLimited);
    assert!(refused.message.contains("too many commands"), "{}", refused.message);
    clerk.try_start(&bob, large, None).await.unwrap();
    clerk.stop().await;
    world.close().await;
}
