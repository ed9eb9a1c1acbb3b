//! What agents that work side by side do to each other: failures, bounds of how many call at once,
//! turns; and the operator's program.

use super::record::came;
use crate::harness::environment::without_waits;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::runs::{agents, line, start};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use claviger_application::StartRun;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{
    CredentialSource, Draft, FailureClass, OnFailure, PauseReason, Phase, RunEvent, StepState,
};
use claviger_domain::secret::SecretText;
use claviger_projections::run_feed::{Body, FeedCursor, Superseded};
use futures::StreamExt as _;
use std::path::Path;

fn side_by_side<const N: usize>(task: &str, names: [&str; N], on_failure: OnFailure) -> Draft {
    Draft::Parallel {
        task: task.to_owned(),
        agents: agents(names),
        agent_names: None,
        aggregator: None,
        on_failure,
    }
}

fn held(gate: &Gate) -> Act {
    Act::Reply(Reply { gate: Some((1, gate.clone())), ..Reply::default() })
}

/// Waits for an event of the run, which may have happened already.
async fn happened(
    process: &Process,
    user: &User,
    run: RunId,
    mut pleases: impl FnMut(&RunEvent) -> bool,
) {
    let mut messages = process.messages(user, run, Some(FeedCursor::default())).await;
    while let Some(message) = messages.next().await {
        if let Body::Event { event, .. } = message.unwrap().body
            && pleases(&event.event)
        {
            return;
        }
    }
    panic!("the run ended without it");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_stops_the_others_at_once_where_all_must_succeed() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let (gate, counts) = (Gate::default(), world.simulator().counts());
    world.simulator().script().on_prompt("You are One.", held(&gate));
    world.simulator().script().on_prompt("You are Two.", held(&gate));
    // It fails only once the others are under way.
    let before = Reply {
        stop_reason: Some("refusal".to_owned()),
        gate: Some((0, gate.clone())),
        ..Reply::default()
    };
    let own = Gate::default();
    world
        .simulator()
        .script()
        .on_prompt("You are Three.", Act::Reply(Reply { gate: Some((0, own.clone())), ..before }));
    let run = process
        .start_run(&ada, side_by_side("Name a colour.", ["One", "Two", "Three"], OnFailure::Fail))
        .await;
    came(&gate, 2).await;
    came(&own, 1).await;
    own.open();
    let detail = process.ended(&ada, run).await;
    counts.wait(|counts| counts.open() == 0).await;
    assert_eq!(detail.view.run.phase, Phase::Failed);
    let states: Vec<_> = detail.view.run.steps.iter().map(|step| step.state).collect();
    let cancelled = StepState::Failed(FailureClass::Cancelled);
    assert_eq!(states, [cancelled, cancelled, StepState::Failed(FailureClass::Refusal)]);
    let failure = detail.view.run.failure.unwrap();
    assert_eq!(
        (failure.code, failure.step),
        (ErrorCode::Upstream, Some(detail.view.run.steps[2].planned.step))
    );
    assert!(detail.view.run.steps[0].usage.input > 0, "what was used is known");
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_may_fail_as_the_request_allows() {
    let mut world = World::steady(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    for (n, (on_failure, bad, phase)) in [
        (OnFailure::Continue, 2, Phase::Completed),
        (OnFailure::Continue, 3, Phase::Failed),
        (OnFailure::Quorum(2), 1, Phase::Completed),
        (OnFailure::Quorum(2), 2, Phase::Failed),
        (OnFailure::Quorum(3), 1, Phase::Failed),
    ]
    .into_iter()
    .enumerate()
    {
        let names = ["One", "Two", "Three"];
        for name in &names[..bad] {
            world.simulator().script().on_prompt(
                &format!("You are {name}.\nCase {n}"),
                Act::Scenario(Scenario::UnknownModel),
            );
        }
        let run =
            process.start_run(&ada, side_by_side(&format!("Case {n}"), names, on_failure)).await;
        let detail = process.ended(&ada, run).await;
        assert_eq!(detail.view.run.phase, phase, "{on_failure:?} {bad}");
        let failed = detail
            .view
            .run
            .steps
            .iter()
            .filter(|step| matches!(step.state, StepState::Failed(_)))
            .count();
        assert!(failed >= bad.min(2) || phase == Phase::Failed, "{on_failure:?} {bad}: {failed}");
        if let Some(failure) = detail.view.run.failure {
            assert_eq!(failure.code, ErrorCode::Upstream);
            assert!(failure.message.unwrap().contains("must succeed"));
        } else {
            let result =
                claviger_domain::pattern::result(&process.detail(&ada, run).await.view.run)
                    .unwrap();
            assert_eq!(
                result["agent_steps"].as_array().unwrap().len(),
                3 - bad,
                "those that succeeded"
            );
        }
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_of_a_run_are_under_way_than_the_request_allows() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let gates: Vec<_> = (0..6).map(|_| Gate::default()).collect();
    for gate in &gates {
        world.simulator().script().push(&key(Scenario::Good, 1), held(gate));
    }
    let draft = side_by_side("Name a colour.", ["A", "B", "C", "D", "E", "F"], OnFailure::Fail);
    let asked = StartRun { max_concurrency: Some(2), ..start(draft) };
    let run = process.try_start(&ada, asked, None).await.unwrap().run;
    let counts = world.simulator().counts();
    for (n, gate) in gates.iter().enumerate() {
        came(gate, 1).await;
        if let Some(next) = gates.get(n + 1) {
            came(next, 1).await;
            assert_eq!(counts.open(), 2);
            assert_eq!(
                counts.of_key(&key(Scenario::Good, 1)),
                u64::try_from(n).unwrap() + 2,
                "two at once, and no more"
            );
        }
        gate.open();
    }
    assert_eq!(process.ended(&ada, run).await.view.run.phase, Phase::Completed);
    let (mut under_way, mut most) = (0_i32, 0);
    for kind in process.kinds(run).await {
        under_way += match kind.as_str() {
            "StepAttemptStarted" => 1,
            "StepCompleted" | "StepAttemptFailed" => -1,
            _ => 0,
        };
        most = most.max(under_way);
    }
    assert_eq!(most, 2);
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_key_take_turns_within_the_bound_of_its_calls() {
    let world = World::steady_with(|config| config.calls_per_key = 1).await;
    let process = world.process().await;
    let (ada, bob) =
        (process.user("ada", Scenario::Good).await, process.user("bob", Scenario::Flaky).await);
    let (gate, secret) = (Gate::default(), key(Scenario::Good, 1));
    world.simulator().script().push(&secret, held(&gate));
    let long = process
        .start_run(&ada, side_by_side("Long.", ["A1", "A2", "A3", "A4", "A5"], OnFailure::Fail))
        .await;
    came(&gate, 1).await;
    let short = process.start_run(&ada, side_by_side("Short.", ["B1"], OnFailure::Fail)).await;
    // Its calls would be announced together with its steps, were there room for them: it stands in
    // the queue now.
    happened(&process, &ada, short, |event| matches!(event, RunEvent::StepsPlanned(_))).await;
    assert!(process.facts(short, "StepAttemptStarted").await.is_empty());
    assert_eq!(process.facts(long, "StepAttemptStarted").await.len(), 1);
    let other = process.start_run(&bob, side_by_side("Other.", ["C1"], OnFailure::Fail)).await;
    assert_eq!(
        process.ended(&bob, other).await.view.run.phase,
        Phase::Completed,
        "another's key isn't in the way"
    );
    assert_eq!(world.simulator().counts().open(), 1);
    gate.open();
    for run in [long, short] {
        assert_eq!(process.ended(&ada, run).await.view.run.phase, Phase::Completed);
    }
    let calls = world.simulator().counts().calls(&secret);
    let who: Vec<_> =
        calls.iter().map(|call| call.body.as_ref().unwrap()["system"].to_string()).collect();
    assert_eq!(who.len(), 6);
    assert!(who[2].contains("B1"), "its turn comes after one more of the other run: {who:?}");
    process.stop().await;
    world.close().await;
}

async fn planned(task: &str) -> (World, Process, User, RunId) {
    let mut world = World::steady_with(|config| {
        config.max_plan = true;
        config.claude_bin =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upstream/fake-claude.sh");
        config.claude_token =
            Some(SecretText::new("sk-ant-oat01-a-token-of-the-operators".to_owned()));
    })
    .await;
    world.env = without_waits().1;
    // A call is made again once, because its first wait is none.
    world.config.calls.retry_budget_ms = 0;
    let process = world.process().await;
    let ada = process.newcomer("ada").await;
    let run = process.start_run(&ada, line(task, ["Ann"])).await;
    (world, process, ada, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_key_goes_through_the_operators_program() {
    let (world, process, ada, run) = planned("hello").await;
    let detail = process.ended(&ada, run).await;
    let step = &detail.view.run.steps[0];
    assert_eq!(
        (detail.view.run.phase, step.reply.as_deref()),
        (Phase::Completed, Some("Hello you"))
    );
    assert_eq!(step.credential.unwrap().source, CredentialSource::MaxPlan);
    assert_eq!((step.usage.input, step.usage.output), (7, 5));
    assert_eq!(world.simulator().counts().total(), 0, "nothing goes to the API");
    let own = world.config.data_dir.join("claude").join(ada.id().to_string());
    assert!(own.join("arguments").exists(), "settings are the user's own");
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_program_begins_again_closes_its_attempt_and_voids_its_text() {
    let (world, process, ada, run) = planned("resend").await;
    let mut messages = process.messages(&ada, run, Some(FeedCursor::default())).await;
    let (mut texts, mut void) = (vec![], vec![]);
    while let Some(message) = messages.next().await {
        match message.unwrap().body {
            Body::Delta(delta) => texts.push((delta.attempt, delta.text)),
            Body::AttemptSuperseded { attempt, keep_bytes, reason, .. } => {
                void.push((attempt, keep_bytes, reason));
            }
            Body::Snapshot { .. } | Body::Event { .. } | Body::Gap(_) | Body::Terminal(_) => {}
        }
    }
    assert_eq!(texts, [(1, "void".to_owned()), (2, "Grüße".to_owned())]);
    assert_eq!(void, [(1, 0, Superseded::Failed(FailureClass::Restarted))]);
    let step = process.detail(&ada, run).await.view.run.steps.remove(0);
    assert_eq!((step.reply.as_deref(), step.attempts, step.counted), (Some("Grüße"), 2, 1));
    let (_, facts) = process.facts(run, "StepAttemptFailed").await.remove(0);
    assert_eq!(
        (facts["class"].as_str(), facts["usage"]["input"].as_u64()),
        (Some("restarted"), Some(7))
    );
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_program_lead_where_those_of_the_api_do() {
    for (task, attempts, class, phase) in [
        ("overloaded", 2, FailureClass::Overloaded, Phase::Paused(PauseReason::Overloaded)),
        ("unknown-token", 1, FailureClass::Authentication, Phase::Paused(PauseReason::KeyRefused)),
        ("broken", 2, FailureClass::Connection, Phase::Paused(PauseReason::UpstreamFault)),
        ("refuse", 1, FailureClass::Refusal, Phase::Failed),
    ] {
        let (world, process, ada, run) = planned(task).await;
        let detail = if phase == Phase::Failed {
            process.ended(&ada, run).await
        } else {
            process.paused(&ada, run).await
        };
        let step = &detail.view.run.steps[0];
        assert_eq!((step.failed_as, step.attempts), (Some(class), attempts), "{task}");
        assert_eq!(detail.view.run.phase, phase, "{task}");
        process.stop().await;
        world.close().await;
    }
}
