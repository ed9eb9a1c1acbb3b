//! Every kind of upstream error, met by a run.

use super::record::came;
use crate::harness::environment::{TestClock, without_waits};
use crate::harness::person::{User, api_key, context};
use crate::harness::process::Process;
use crate::harness::runs::{line, start};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Refusal, Reply};
use claviger_application::{KeyCommand, RunDetail, StartRun};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::FailureDetail;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{
    ControlRequest, PauseReason, Phase, RunEvent, StepState, StopReason,
};
use claviger_domain::secret::SecretText;
use claviger_domain::text::KeyName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::Body;
use futures::StreamExt as _;
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

/// Where a row of the table leads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leads {
    /// The run fails after this many attempts, with this code.
    Fails(u32, ErrorCode),
    /// The run pauses after this many attempts, for this reason.
    Pauses(u32, PauseReason),
    /// To another attempt once the limit is over.
    Waits,
    /// The run completes after this many attempts.
    Ends(u32, StopReason),
}

/// What the key does; the failure's class and status, and whether it may have cost; where it leads.
type Row = (Scenario, &'static str, Option<u16>, bool, Leads);

const ROWS: [Row; 32] = {
    use ErrorCode::{KeyUnavailable, LimitExceeded, Upstream, Validation};
    use Leads::{Ends, Fails, Pauses, Waits};
    use PauseReason::{Credit, KeyRefused, SpendLimit};
    use Scenario as S;
    // Without a budget a call is made again once, because its first wait is none.
    const OVERLOADED: Leads = Pauses(2, PauseReason::Overloaded);
    const FAULT: Leads = Pauses(2, PauseReason::UpstreamFault);
    [
        (S::BadRequest, "too_large", Some(400), false, Fails(1, LimitExceeded)),
        (S::Conflict, "request", Some(409), false, Fails(1, Validation)),
        (S::TooLarge, "too_large", Some(413), false, Fails(1, LimitExceeded)),
        (S::Echo, "request", Some(400), false, Fails(1, Validation)),
        (S::NoCredit400, "credit", Some(400), false, Pauses(1, Credit)),
        (S::NoCredit402, "credit", Some(402), false, Pauses(1, Credit)),
        (S::OnHold, "credit", Some(400), false, Pauses(1, Credit)),
        (S::Revoked, "authentication", Some(401), false, Pauses(1, KeyRefused)),
        (S::ForbiddenModel, "permission", Some(403), false, Pauses(1, KeyRefused)),
        (S::UnknownModel, "permission", Some(404), false, Fails(1, KeyUnavailable)),
        (S::Refusal, "refusal", Some(200), false, Fails(1, Upstream)),
        (S::SpendLimit400, "spend_limit", Some(400), false, Pauses(1, SpendLimit)),
        (S::WorkspaceLimit400, "spend_limit", Some(400), false, Pauses(1, SpendLimit)),
        (S::SpendLimit429, "spend_limit", Some(429), false, Pauses(1, SpendLimit)),
        (S::ContractLimit429, "spend_limit", Some(429), false, Pauses(1, SpendLimit)),
        (S::RateLimited, "rate_limit", Some(429), false, Waits),
        (S::RateLimitedDate, "rate_limit", Some(429), false, Waits),
        (S::RateLimitedReset, "rate_limit", Some(429), false, Waits),
        (S::Server500, "overloaded", Some(500), false, FAULT),
        (S::Server503, "overloaded", Some(503), false, FAULT),
        (S::Server504, "overloaded", Some(504), false, FAULT),
        (S::Overloaded, "overloaded", Some(529), false, OVERLOADED),
        (S::StreamError, "overloaded", Some(200), true, OVERLOADED),
        (S::StreamCut, "connection", Some(200), true, FAULT),
        (S::Reset, "connection", None, true, FAULT),
        (S::Redirect, "between", Some(302), false, FAULT),
        (S::WrongType, "between", Some(200), true, FAULT),
        (S::Garbage, "protocol", Some(200), true, FAULT),
        (S::Flaky, "overloaded", Some(529), false, Ends(2, StopReason::EndTurn)),
        (S::StreamCutOnce, "connection", Some(200), true, Ends(2, StopReason::EndTurn)),
        (S::Split, "", None, false, Ends(1, StopReason::EndTurn)),
        (S::MaxTokens, "", None, false, Ends(1, StopReason::MaxTokens)),
    ]
};

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_table_of_errors_leads_to_its_reaction() {
    let mut world = World::steady(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    world.config.calls.retry_budget_ms = 0;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let mut keys = Vec::new();
    for (scenario, ..) in &ROWS {
        keys.push(ada.add_key(&process, scenario.name(), &key(*scenario, 2)).await);
    }
    let rows = ROWS.iter().zip(keys);
    join_all(rows.map(|(row, with_key)| met(&world, (&process, &ada), row, with_key))).await;
    process.stop().await;
    world.close().await;
}

async fn met(world: &World, (process, ada): (&Process, &User), row: &Row, with_key: KeyId) {
    let &(scenario, class, status, maybe_billed, leads) = row;
    let (name, secret) = (scenario.name(), key(scenario, 2));
    let asked = StartRun { key: Some(with_key), ..start(line("Count.", ["Ann", "Ben"])) };
    let run = process.try_start(ada, asked, None).await.unwrap().run;
    let (detail, calls) = match leads {
        Leads::Fails(attempts, code) => {
            let detail = process.ended(ada, run).await;
            assert_eq!(detail.view.run.phase, Phase::Failed, "{name}");
            let failure = detail.view.run.failure.clone().unwrap();
            let first = detail.view.run.steps[0].planned.step;
            assert_eq!((failure.code, failure.step), (code, Some(first)), "{name}");
            assert!(failure.message.unwrap().starts_with("the agent \"Ann\" failed: "), "{name}");
            assert!(
                matches!(detail.view.run.steps[0].state, StepState::Failed(of) if of.as_str() == class),
                "{name}"
            );
            assert_eq!(detail.view.run.steps[1].state, StepState::Skipped, "{name}");
            (detail, attempts)
        }
        Leads::Pauses(attempts, reason) => {
            let detail = process.paused(ada, run).await;
            assert_eq!(detail.view.run.phase, Phase::Paused(reason), "{name}");
            let until = detail.view.paused.unwrap().1;
            assert_eq!(until.is_some(), reason == PauseReason::SpendLimit, "{name}");
            (detail, attempts)
        }
        Leads::Waits => (waited(process, ada, run, name).await, 1),
        Leads::Ends(attempts, stop_reason) => {
            let detail = process.ended(ada, run).await;
            assert_eq!(detail.view.run.phase, Phase::Completed, "{name}");
            assert_eq!(detail.view.run.steps[0].stop_reason, Some(stop_reason), "{name}");
            (detail, attempts)
        }
    };
    let step = &detail.view.run.steps[0];
    assert_eq!(step.attempts, calls, "{name}");
    // The id of the last answer is the step's, where there was an answer that named itself.
    let made = world.simulator().counts().calls(&secret);
    let of_step = &made[usize::try_from(calls).unwrap() - 1];
    let expected = Some(of_step.request_id.clone())
        .filter(|_| scenario != Scenario::Reset && scenario != Scenario::Echo);
    assert_eq!(step.upstream_request_id, expected, "{name}");
    let failed = process.facts(run, "StepAttemptFailed").await;
    let ends_well = matches!(leads, Leads::Ends(..));
    assert_eq!(
        failed.len(),
        usize::try_from(calls).unwrap() - usize::from(ends_well),
        "{name}: {failed:?}"
    );
    for (_, facts) in &failed {
        let said = (
            facts["class"].as_str().unwrap(),
            facts.get("status").and_then(Value::as_u64),
            &facts["maybe_billed"],
        );
        assert_eq!(said, (class, status.map(u64::from), &json!(maybe_billed)), "{name}");
        let spoke = name.starts_with("stream-") || scenario == Scenario::Refusal;
        assert_eq!(facts["partial_bytes"].as_u64().unwrap() > 0, spoke, "{name}");
    }
    if !ends_well {
        assert_eq!(step.upstream_status, status, "{name}");
    }
    assert!(
        !format!("{detail:?}").contains(secret.get(14..40).unwrap()),
        "{name}: a key reached the run"
    );
}

/// The attempt doesn't count, and the next is put off for the 30 seconds of `retry-after`. Then the
/// run is stopped.
async fn waited(process: &Process, ada: &User, run: RunId, name: &str) -> RunDetail {
    failed_once(process, ada, run).await;
    let detail = process.detail(ada, run).await;
    let step = &detail.view.run.steps[0];
    let StepState::Waiting { until: Some(until) } = step.state else {
        panic!("{name}: {:?}", step.state)
    };
    let (at, _) = process.facts(run, "StepAttemptFailed").await[0];
    assert!((28_000..32_000).contains(&until.ms_since(Timestamp(at))), "{name}");
    assert_eq!((detail.view.run.phase, step.counted), (Phase::Running, 0), "{name}");
    process.ask(ada, run, ControlRequest::Cancel).await.unwrap();
    assert_eq!(process.ended(ada, run).await.view.run.phase, Phase::Cancelled, "{name}");
    detail
}

async fn failed_once(process: &Process, user: &User, run: RunId) {
    let fails = |body: &Body| match body {
        Body::Event { event, .. } => matches!(event.event, RunEvent::StepAttemptFailed(..)),
        Body::Snapshot { view, .. } => {
            view.run.steps.iter().any(|step| step.upstream_status.is_some())
        }
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    };
    process.until(user, run, fails).await;
}

fn limited(retry_after: &str) -> Act {
    let refusal = Refusal::new(429, "rate_limit_error", "too fast");
    Act::Refuse(Refusal { retry_after: Some(retry_after.to_owned()), ..refusal })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_rate_parks_the_key_for_all_runs_and_counts_no_attempt() {
    let mut world = World::steady(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let (ada, bob) =
        (process.user("ada", Scenario::Good).await, process.user("bob", Scenario::Flaky).await);
    // The last for longer.
    for wait in ["0.01", "0", "3"] {
        world.simulator().script().push(&key(Scenario::Good, 1), limited(wait));
    }
    let first = process.start_run(&ada, line("First.", ["Ann"])).await;
    let three = |body: &Body| match body {
        Body::Event { step: Some(view), event } => {
            view.step.attempts == 3 && matches!(event.event, RunEvent::StepAttemptFailed(..))
        }
        Body::Snapshot { view, .. } => view.run.steps.iter().any(|step| step.attempts == 3),
        Body::Event { .. }
        | Body::Delta(_)
        | Body::AttemptSuperseded { .. }
        | Body::Gap(_)
        | Body::Terminal(_) => false,
    };
    process.until(&ada, first, three).await;
    let second = process.start_run(&ada, line("Second.", ["Ann"])).await;
    let of_bob = process.start_run(&bob, line("Third.", ["Ann"])).await;
    let other = process.ended(&bob, of_bob).await;
    let (one, two) = (process.ended(&ada, first).await, process.ended(&ada, second).await);
    for (detail, attempts) in [(&one, 4), (&two, 1), (&other, 2)] {
        assert_eq!(detail.view.run.phase, Phase::Completed);
        assert_eq!(detail.view.run.steps[0].attempts, attempts);
    }
    assert_eq!(one.view.run.steps[0].counted, 1);
    let until = process.facts(first, "StepAttemptFailed").await[2].1["next"]["retry"]["at"]
        .as_u64()
        .unwrap();
    for run in [first, second] {
        let (at, _) = *process.facts(run, "StepAttemptStarted").await.last().unwrap();
        assert!(at >= until, "nobody calls with a parked key: {at} {until}");
    }
    assert!(
        process.facts(of_bob, "StepAttemptStarted").await[0].0 < until,
        "another's key goes on"
    );
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_spending_pauses_once_other_calls_have_ended_and_resume_goes_on() {
    for kind in StoreKind::available().await {
        let world = World::steady(*kind).await;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        let spent = Refusal {
            code: Some("enforced_spend_limit_reached"),
            ..Refusal::new(429, "rate_limit_error", "spent")
        };
        let gate = Gate::default();
        world.simulator().script().on_prompt("You are One.", Act::Refuse(spent));
        world.simulator().script().on_prompt(
            "You are Two.",
            Act::Reply(Reply { gate: Some((1, gate.clone())), ..Reply::default() }),
        );
        let (_, draft) = super::world::one_of_each().remove(3);
        let run = process.start_run(&ada, draft).await;
        came(&gate, 1).await;
        failed_once(&process, &ada, run).await;
        assert_eq!(
            process.detail(&ada, run).await.view.run.phase,
            Phase::Running,
            "a call is under way"
        );
        gate.open();
        let detail = process.paused(&ada, run).await;
        assert_eq!(detail.view.run.phase, Phase::Paused(PauseReason::SpendLimit));
        assert_eq!(
            detail.view.run.steps[1].state,
            StepState::Completed,
            "what was under way ended first"
        );
        process.ask(&ada, run, ControlRequest::Resume).await.unwrap();
        let detail = process.ended(&ada, run).await;
        assert_eq!(detail.view.run.phase, Phase::Completed);
        let attempts: Vec<_> =
            detail.view.run.steps.iter().map(|step| (step.attempts, step.counted)).collect();
        assert_eq!(attempts, [(2, 1), (1, 1), (1, 1), (1, 1)]);
        process.stop().await;
        world.close().await;
    }
}

/// Takes a user's default key away while a call with it is under way.
async fn goes(process: &Process, user: &User, how: &str, clock: &TestClock) {
    let default = process.ports.reads.default_key(user.id(), context()).await.unwrap();
    let key = default.unwrap().id;
    let command = match how {
        "deactivated" => KeyCommand::Deactivate { key, expected: None },
        "deleted" => KeyCommand::Delete { key, expected: None },
        _ => {
            let expires_at = Some(clock.now().plus_ms(3_600_000));
            KeyCommand::SetExpiry { key, expires_at, expected: None }
        }
    };
    process.key(user, command).await.unwrap();
    if how == "expired" {
        clock.advance_ms(7_200_000);
    }
}

/// Gives the user another default key, which the run goes on with.
async fn goes_on_with_another(world: &World, process: &Process, user: &User, run: RunId) {
    let refused = process.ask(user, run, ControlRequest::Resume).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NoCredential);
    let FailureDetail::Resolution(tried) = refused.detail else { panic!("{refused:?}") };
    assert_eq!(tried.considered.len(), 4, "default key, two variables, Max Plan");
    let secret = key(Scenario::Good, 77);
    let command = KeyCommand::Add {
        name: KeyName::parse("another").unwrap(),
        secret: api_key(&secret),
        make_default: Some(true),
        context: context(),
        expires_at: None,
    };
    let other = process.key(user, command).await.unwrap().key.unwrap();
    let before = world.simulator().counts().of_key(&secret);
    process.ask(user, run, ControlRequest::Resume).await.unwrap();
    let run = process.ended(user, run).await.view.run;
    assert_eq!(run.phase, Phase::Completed);
    assert_eq!(run.steps[1].credential.unwrap().key, Some(other));
    assert_eq!(run.resolution.unwrap().chosen().unwrap().key, Some(other));
    assert_eq!(world.simulator().counts().of_key(&secret), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_goes_in_the_middle_pauses_and_resume_takes_another() {
    let mut world = World::steady(StoreKind::Sqlite).await;
    let (clock, env) = without_waits();
    world.env = env;
    let process = world.process().await;
    for how in ["deactivated", "deleted", "expired"] {
        println!("{how}");
        let user = process.user(how, Scenario::Good).await;
        let gate = Gate::default();
        let held = Reply { gate: Some((1, gate.clone())), ..Reply::default() };
        world.simulator().script().on_prompt(&format!("{how}."), Act::Reply(held));
        let run = process.start_run(&user, line(&format!("{how}."), ["Ann", "Ben"])).await;
        came(&gate, 1).await;
        goes(&process, &user, how, &clock).await;
        gate.open();
        let detail = process.paused(&user, run).await;
        assert_eq!(detail.view.run.phase, Phase::Paused(PauseReason::KeyUnavailable), "{how}");
        let [first, second] = detail.view.run.steps.as_slice() else { panic!("{how}: two steps") };
        assert_eq!(first.state, StepState::Completed, "{how}: the call under way ended");
        assert_eq!(second.attempts, 0, "{how}");
        goes_on_with_another(&world, &process, &user, run).await;
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_replaced_between_two_steps_is_used_for_the_second() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let gate = Gate::default();
    world.simulator().script().on_prompt(
        "You are Ann.",
        Act::Reply(Reply { gate: Some((1, gate.clone())), ..Reply::default() }),
    );
    let run = process.start_run(&ada, line("Count.", ["Ann", "Ben"])).await;
    came(&gate, 1).await;
    let key_id = process.detail(&ada, run).await.view.run.steps[0].credential.unwrap().key.unwrap();
    let (old, new) = (key(Scenario::Good, 1), key(Scenario::Good, 2));
    let secret = ApiKeySecret::parse(&SecretText::new(new.clone())).unwrap();
    process
        .key(&ada, KeyCommand::ReplaceSecret { key: key_id, secret, expected: None })
        .await
        .unwrap();
    gate.open();
    assert_eq!(process.ended(&ada, run).await.view.run.phase, Phase::Completed);
    let used: Vec<_> = process
        .facts(run, "StepAttemptStarted")
        .await
        .into_iter()
        .map(|(_, facts)| facts)
        .collect();
    assert_eq!(
        [&used[0]["credential"]["secret_version"], &used[1]["credential"]["secret_version"]],
        [&json!(1), &json!(2)]
    );
    assert_eq!([&old, &new].map(|key| world.simulator().counts().of_key(key)), [1, 1]);
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_its_call_within_a_second_and_a_leaving_subscriber_stops_nothing() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let (gate, counts) = (Gate::default(), world.simulator().counts());
    for _ in 0..2 {
        world.simulator().script().on_prompt(
            "You are Ann.",
            Act::Reply(Reply { gate: Some((2, gate.clone())), ..Reply::default() }),
        );
    }
    let left = process.start_run(&ada, line("Left.", ["Ann"])).await;
    let cancelled = process.start_run(&ada, line("Cancelled.", ["Ann", "Ben"])).await;
    came(&gate, 2).await;
    let mut messages = process.messages(&ada, left, None).await;
    assert!(messages.next().await.is_some());
    drop(messages);
    assert_eq!(counts.open(), 2);
    let heard = |body: &Body| match body {
        Body::Delta(_) => true,
        Body::Snapshot { partial, .. } => partial.iter().any(|one| !one.text.is_empty()),
        Body::Event { .. } | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => {
            false
        }
    };
    process.until(&ada, cancelled, heard).await;
    process.ask(&ada, cancelled, ControlRequest::Cancel).await.unwrap();
    let stopped =
        tokio::time::timeout(Duration::from_secs(1), counts.wait(|counts| counts.open() == 1))
            .await;
    assert!(stopped.is_ok(), "the call goes on");
    let detail = process.ended(&ada, cancelled).await;
    assert_eq!(detail.view.run.phase, Phase::Cancelled);
    assert_eq!(detail.view.run.steps[1].state, StepState::Skipped);
    let [(_, facts)] = &process.facts(cancelled, "StepAttemptFailed").await[..] else {
        panic!("one attempt was closed")
    };
    assert_eq!(
        (&facts["class"], &facts["maybe_billed"], &facts["next"]),
        (&json!("cancelled"), &json!(true), &json!("give_up"))
    );
    // It goes on being billed for a while that nobody reports.
    assert!(facts["usage"]["input"].as_u64().unwrap() > 0 && facts["cost"].is_null(), "{facts}");
    assert!(facts["partial_bytes"].as_u64().unwrap() > 0, "{facts}");
    gate.open();
    let detail = process.ended(&ada, left).await;
    assert_eq!((detail.view.run.phase, detail.view.run.steps[0].attempts), (Phase::Completed, 1));
    process.stop().await;
    world.close().await;
}
