//! Runs that outlive what fails: they wait, say why, pause when waiting doesn't help, and go on. The
//! time passes by a timer that the tests move.

use crate::harness::environment::{TestTimer, by_timer};
use crate::harness::person::{User, api_key, context};
use crate::harness::process::Process;
use crate::harness::runs::{line, start};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Fault, Raw, Refusal};
use claviger_application::{KeyCommand, RunDetail, StartRun};
use claviger_domain::id::RunId;
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::orchestration::{ControlRequest, PauseReason, Phase, RunEvent, StepState};
use claviger_projections::run_feed::{Body, FeedCursor};
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: u64 = 60_000;
const BUDGET: u64 = 10 * MINUTE;

/// A world whose time the test moves, and the processes' timer.
pub(super) async fn by_hand(kind: StoreKind) -> (World, Arc<TestTimer>) {
    let mut world = World::steady(kind).await;
    let (timer, env) = by_timer();
    world.env = env;
    (world, timer)
}

fn overloaded() -> Act {
    Act::Refuse(Refusal::new(529, "overloaded_error", "Overloaded"))
}

fn limited(retry_after: Option<&str>) -> Act {
    let refusal = Refusal::new(429, "rate_limit_error", "too fast");
    Act::Refuse(Refusal { retry_after: retry_after.map(str::to_owned), ..refusal })
}

/// What a gateway says about itself, as if it spoke of the key.
fn between(status: u16) -> Act {
    let headers = [("request-id", "7f3a"), ("retry-after", "3600"), ("x-should-retry", "false")];
    let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
    Act::Raw(Raw { status, headers, body: b"<html>Too many requests</html>".to_vec() })
}

pub(super) fn secret() -> String {
    key(Scenario::Good, 1)
}

fn posts(world: &World) -> u64 {
    world.simulator().counts().of(&secret(), Endpoint::Messages)
}

/// A call failed, and another follows.
fn fails(body: &Body) -> bool {
    match body {
        Body::Snapshot { view, .. } => view.run.steps.iter().any(|step| step.failed_as.is_some()),
        Body::Event { event, .. } => matches!(event.event, RunEvent::StepAttemptFailed(..)),
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    }
}

/// Lets time pass, from one wait to the next, until the run ends or stands still. `passed` is called
/// with the time that has passed in all, just before it has.
pub(super) async fn lives(
    process: &Process,
    user: &User,
    run: RunId,
    timer: &TestTimer,
    mut passed: impl FnMut(u64),
) -> RunDetail {
    let stands = async {
        let mut messages = process.messages(user, run, None).await;
        while let Some(message) = messages.next().await {
            let is_over = match message.unwrap().body {
                Body::Snapshot { view, .. } => matches!(view.run.phase, Phase::Paused(_)),
                Body::Event { event, .. } => {
                    matches!(event.event, RunEvent::RunPaused(_) | RunEvent::RunStalled(_))
                }
                Body::Terminal(_) => true,
                Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) => false,
            };
            if is_over {
                return;
            }
        }
    };
    let moves = async {
        let mut elapsed = 0;
        loop {
            timer.awaited_ms().await;
            // No answer takes as long as the time that passes here.
            while process.detail(user, run).await.view.run.running().next().is_some() {
                tokio::task::yield_now().await;
            }
            let next = timer.awaited_ms().await;
            elapsed += next;
            passed(elapsed);
            timer.advance_ms(next);
        }
    };
    let living = async {
        tokio::select! {
            () = stands => {}
            () = moves => {}
        }
    };
    tokio::time::timeout(Duration::from_mins(1), living).await.expect("it takes too long");
    process.detail(user, run).await
}

/// Resumes the run, and waits until that has happened.
pub(super) async fn resume(process: &Process, user: &User, run: RunId) {
    let times = async |process: &Process| process.facts(run, "RunResumed").await.len();
    let before = times(process).await;
    process.ask(user, run, ControlRequest::Resume).await.unwrap();
    let (mut messages, mut seen) =
        (process.messages(user, run, Some(FeedCursor::default())).await, 0);
    while let Some(message) = messages.next().await {
        if let Body::Event { event, .. } = message.unwrap().body
            && matches!(event.event, RunEvent::RunResumed(_))
        {
            seen += 1;
            if seen > before {
                return;
            }
        }
    }
    panic!("it was not resumed");
}

async fn resumed(process: &Process, user: &User, run: RunId, timer: &TestTimer) -> RunDetail {
    resume(process, user, run).await;
    lives(process, user, run, timer, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out_through_the_budget_and_then_the_run_pauses_with_its_work() {
    for kind in StoreKind::available().await {
        let (world, timer) = by_hand(*kind).await;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        for (act, reason) in [
            (overloaded(), PauseReason::Overloaded),
            (Act::Scenario(Scenario::Server503), PauseReason::UpstreamFault),
            (Act::Fault(Fault::Reset), PauseReason::UpstreamFault),
            (limited(None), PauseReason::RateLimit),
            (limited(Some("0")), PauseReason::RateLimit),
            (limited(Some("Sun, 06 Nov 1994 08:49:37 GMT")), PauseReason::RateLimit),
            (between(429), PauseReason::UpstreamFault),
            (between(503), PauseReason::UpstreamFault),
        ] {
            let name = format!("{act:?}");
            let before = posts(&world);
            // The first agent is answered.
            world.simulator().script().push(&secret(), Act::Scenario(Scenario::Good));
            world.simulator().script().meanwhile(&secret(), Some(act));
            let run = process.start_run(&ada, line("Count.", ["Ann", "Ben"])).await;
            let mut elapsed = 0;
            let detail = lives(&process, &ada, run, &timer, |passed| elapsed = passed).await;
            assert_eq!(detail.view.run.phase, Phase::Paused(reason), "{name}");
            assert!((BUDGET - 1_000..=BUDGET + 1_000).contains(&elapsed), "{name}: {elapsed}");
            let calls = posts(&world) - before - 1;
            assert!((10..=30).contains(&calls), "{name}: {calls} posts in ten minutes");
            let [first, second] = detail.view.run.steps.as_slice() else { panic!("two steps") };
            assert!(first.is_completed() && second.is_stalled(), "{name}");
            let (since, _) = detail.view.paused.unwrap();
            assert!(since > detail.view.created_at, "{name}");
            world.simulator().script().meanwhile(&secret(), None);
            let detail = resumed(&process, &ada, run, &timer).await;
            assert_eq!(detail.view.run.phase, Phase::Completed, "{name}");
            assert_eq!(detail.view.run.steps[0].attempts, 1, "{name}: finished work is kept");
        }
        process.stop().await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_key_pauses_and_the_run_goes_on_with_the_same_or_another() {
    let (world, timer) = by_hand(StoreKind::Sqlite).await;
    let process = world.process().await;
    let disabled =
        Refusal::new(400, "invalid_request_error", "This organization has been disabled.");
    for (n, (act, reason)) in [
        (Act::Scenario(Scenario::Revoked), PauseReason::KeyRefused),
        (Act::Scenario(Scenario::ForbiddenModel), PauseReason::KeyRefused),
        (Act::Scenario(Scenario::NoCredit400), PauseReason::Credit),
        (Act::Scenario(Scenario::NoCredit402), PauseReason::Credit),
        (Act::Scenario(Scenario::OnHold), PauseReason::Credit),
        (Act::Refuse(disabled), PauseReason::OrganizationDisabled),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{act:?}");
        let user = process.user(&format!("user{n}"), Scenario::Good).await;
        for with_another in [false, true] {
            world.simulator().script().on_prompt("You are Cid.", act.clone());
            let run = process.start_run(&user, line("Count.", ["Ann", "Ben", "Cid"])).await;
            let detail = lives(&process, &user, run, &timer, |_| {}).await;
            assert_eq!(detail.view.run.phase, Phase::Paused(reason), "{name}");
            assert_eq!(detail.view.run.steps[2].attempts, 1, "{name}: no call is wasted");
            let mut by = detail.view.run.steps[2].credential;
            if with_another {
                let other = user.add_key(&process, "other", &key(Scenario::Good, 50)).await;
                let other =
                    KeyCommand::SetDefault { key: other, context: context(), expected: None };
                let done = process.key(&user, other).await.unwrap();
                by =
                    by.map(|by| claviger_domain::orchestration::Credential { key: done.key, ..by });
            }
            let detail = resumed(&process, &user, run, &timer).await;
            assert_eq!(detail.view.run.phase, Phase::Completed, "{name}");
            let steps = &detail.view.run.steps;
            assert_eq!([1, 1, 2], [0, 1, 2].map(|n: usize| steps[n].attempts), "{name}");
            assert_eq!(steps[2].credential.unwrap().key, by.unwrap().key, "{name}");
        }
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_hours_is_waited_for_and_says_until_when() {
    for kind in StoreKind::available().await {
        let (world, timer) = by_hand(*kind).await;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        world.simulator().script().push(&secret(), limited(Some("7200")));
        let run = process.start_run(&ada, line("Count.", ["Ann"])).await;
        assert!((7_199_000..=7_200_000).contains(&timer.awaited_ms().await));
        process.until(&ada, run, fails).await;
        let detail = process.detail(&ada, run).await;
        let step = &detail.view.run.steps[0];
        let since = detail.view.waiting_since[&step.planned.step];
        let StepState::Waiting { until: Some(until) } = step.state else { panic!("{step:?}") };
        assert_eq!(until.ms_since(since).div_ceil(1_000), 7_200);
        assert_eq!(step.hindrance(), Some(PauseReason::RateLimit));
        let detail = lives(&process, &ada, run, &timer, |_| {}).await;
        assert_eq!((detail.view.run.phase, posts(&world)), (Phase::Completed, 2));
        process.stop().await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_stops_within_a_second_while_keys_rest_and_runs_wait_and_the_next_goes_on() {
    for kind in StoreKind::available().await {
        let (world, timer) = by_hand(*kind).await;
        let process = world.process().await;
        let (ada, bob) = (process.user("ada", Scenario::Good).await, process.newcomer("bob").await);
        bob.add_key(&process, "work", &key(Scenario::Good, 2)).await;
        world.simulator().script().push(&secret(), limited(Some("3600")));
        world.simulator().script().push(&key(Scenario::Good, 2), overloaded());
        world.simulator().script().push(&key(Scenario::Good, 2), overloaded());
        let rests = process.start_run(&ada, line("Count.", ["Ann"])).await;
        process.until(&ada, rests, fails).await;
        let behind = process.start_run(&ada, line("Count.", ["Ann"])).await;
        let waits = process.start_run(&bob, line("Count.", ["Ben"])).await;
        process.until(&bob, waits, fails).await;
        let stopped = tokio::time::timeout(Duration::from_secs(1), process.stop()).await;
        assert!(stopped.is_ok(), "it waits for the limit");
        let process = world.process().await;
        for (user, run) in [(&bob, waits), (&ada, rests), (&ada, behind)] {
            let detail = lives(&process, user, run, &timer, |_| {}).await;
            assert_eq!(detail.view.run.phase, Phase::Completed);
        }
        process.stop().await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_or_a_test_that_succeeds_ends_the_rest_at_once() {
    for kind in StoreKind::available().await {
        let (world, _timer) = by_hand(*kind).await;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        let keys = process.ports.reads.default_key(ada.id(), context()).await.unwrap();
        let id = keys.unwrap().id;
        for tests in [false, true] {
            let (old, new) = if tests { (2, 2) } else { (1, 2) };
            world.simulator().script().push(&key(Scenario::Good, old), limited(Some("3600")));
            let run = process.start_run(&ada, line("Count.", ["Ann"])).await;
            process.until(&ada, run, fails).await;
            let before =
                world.simulator().counts().of(&key(Scenario::Good, new), Endpoint::Messages);
            let command = if tests {
                KeyCommand::Test { key: id, level: KeyTestLevel::Full, model: None }
            } else {
                let secret = api_key(&key(Scenario::Good, new));
                KeyCommand::ReplaceSecret { key: id, secret, expected: None }
            };
            process.key(&ada, command).await.unwrap();
            // Nobody moved the timer.
            assert_eq!(process.ended(&ada, run).await.view.run.phase, Phase::Completed, "{tests}");
            let after =
                world.simulator().counts().of(&key(Scenario::Good, new), Endpoint::Messages);
            assert_eq!(after - before, 1 + u64::from(tests), "{tests}");
        }
        process.stop().await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_rests_its_family_of_models_and_other_models_of_the_key_are_called() {
    let (world, timer) = by_hand(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let with = |model: &str| StartRun {
        model: Some(claviger_domain::text::ModelId::parse(model).unwrap()),
        ..start(line("Count.", ["Ann"]))
    };
    let spent = Raw {
        status: 429,
        headers: vec![("retry-after", "3600".to_owned())],
        body: br#"{"type":"error","error":{"type":"rate_limit_error","message":"too fast"}}"#
            .to_vec(),
    };
    world.simulator().script().push(&secret(), Act::Raw(spent));
    let rests = process.try_start(&ada, with("claude-opus-4-8"), None).await.unwrap().run;
    assert!((3_599_000..=3_600_000).contains(&timer.awaited_ms().await));
    let haiku = process.try_start(&ada, with("claude-haiku-4-5"), None).await.unwrap().run;
    assert_eq!(process.ended(&ada, haiku).await.view.run.phase, Phase::Completed);
    let same = process.try_start(&ada, with("claude-opus-4-7"), None).await.unwrap().run;
    process
        .until(&ada, same, |body| match body {
            Body::Snapshot { view, .. } => !view.run.steps.is_empty(),
            Body::Event { event, .. } => matches!(event.event, RunEvent::StepsPlanned(_)),
            Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => {
                false
            }
        })
        .await;
    assert_eq!(posts(&world), 2, "a model of the family waits with it");
    for run in [rests, same] {
        let detail = lives(&process, &ada, run, &timer, |_| {}).await;
        assert_eq!(detail.view.run.phase, Phase::Completed);
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_makes_no_wait_longer() {
    let (world, timer) = by_hand(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    for act in [overloaded(), limited(Some("5"))] {
        for _ in 0..3 {
            world.simulator().script().push(&secret(), act.clone());
        }
        let run = process.start_run(&ada, line("Count.", ["Ann"])).await;
        let back = Arc::clone(&timer);
        let mut elapsed = 0;
        let detail = lives(&process, &ada, run, &timer, |passed| {
            elapsed = passed;
            back.clock().set_back_ms(5_000);
        })
        .await;
        assert_eq!(detail.view.run.phase, Phase::Completed);
        assert!(elapsed <= 16_000, "{elapsed}");
    }
    process.stop().await;
    world.close().await;
}
