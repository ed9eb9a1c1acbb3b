//! A bad day of the upstream's, met by whole runs: an outage, resets, a key that is refused, credit
//! that runs out, a limit of an hour, and a deployment. What was finished is not asked for again,
//! every call is in the log, every wait is explained, and the run completes.

use super::outages::{by_hand, lives, resume, secret};
use super::record::came;
use crate::harness::environment::TestTimer;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::runs::{agent, agents};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::counts::Endpoint;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::Scenario;
use claviger::simulator::script::{Act, Fault, Refusal, Reply};
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{AgentRole, Draft, Next, PauseReason, Phase, RunEvent, Usage};
use claviger_projections::run_feed::{Body, FeedCursor};
use futures::StreamExt as _;
use std::collections::HashSet;

const OUTAGE_MS: u64 = 240_000;

/// An hour, but for what passes until its answer is read.
const LIMIT_MS: u64 = 3_590_000;

fn good() -> Act {
    Act::Scenario(Scenario::Good)
}

fn overloaded() -> Act {
    Act::Refuse(Refusal::new(529, "overloaded_error", "Overloaded"))
}

fn debate() -> Draft {
    let mut speakers = agents(["Pro", "Con", "Judge"]);
    speakers[2].role = AgentRole::Moderator;
    Draft::Debate { topic: "Tabs?".to_owned(), agents: speakers, participants: None, rounds: 3 }
}

fn house() -> Draft {
    let workers = agents(["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"]);
    let task = "Build a house.".to_owned();
    Draft::Hierarchical { task, manager: agent("Boss"), workers, worker_names: None }
}

/// Ten parts, one for each worker.
fn plan() -> Act {
    let parts = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"]
        .map(|worker| format!(r#"{{"worker":"{worker}","task":"Part {worker}."}}"#));
    Act::Reply(Reply::text(format!(r#"{{"subtasks":[{}]}}"#, parts.join(","))))
}

/// The morning: an outage of four minutes, two resets, and a key that is refused.
async fn morning(world: &World, process: &Process, user: &User, timer: &TestTimer, run: RunId) {
    let script = world.simulator().script();
    let refused = Act::Scenario(Scenario::Revoked);
    let mut is_over = false;
    let detail = lives(process, user, run, timer, |elapsed| {
        if elapsed >= OUTAGE_MS && !is_over {
            is_over = true;
            for act in [Act::Fault(Fault::Reset), Act::Fault(Fault::Reset), refused.clone()] {
                script.push(&secret(), act);
            }
            script.meanwhile(&secret(), None);
        }
    })
    .await;
    assert!(is_over, "the outage lasts");
    assert_eq!(detail.view.run.phase, Phase::Paused(PauseReason::KeyRefused));
}

/// Noon: it goes on, and then there is no credit.
async fn noon(world: &World, process: &Process, user: &User, timer: &TestTimer, run: RunId) {
    let script = world.simulator().script();
    script.push(&secret(), good());
    script.meanwhile(&secret(), Some(Act::Scenario(Scenario::NoCredit400)));
    resume(process, user, run).await;
    let detail = lives(process, user, run, timer, |_| {}).await;
    assert_eq!(detail.view.run.phase, Phase::Paused(PauseReason::Credit));
    script.meanwhile(&secret(), None);
}

/// The afternoon: a limit of an hour, and a deployment while a call is under way.
async fn afternoon(
    world: &World,
    process: Process,
    user: &User,
    timer: &TestTimer,
    run: RunId,
) -> Process {
    let script = world.simulator().script();
    let limit = Refusal::new(429, "rate_limit_error", "too fast");
    let limit = Refusal { retry_after: Some("3600".to_owned()), ..limit };
    script.meanwhile(&secret(), Some(Act::Refuse(limit)));
    let gate = Gate::default();
    let held = Act::Reply(Reply { gate: Some((1, gate.clone())), ..Reply::default() });
    resume(&process, user, run).await;
    let passed = |elapsed| {
        if elapsed >= LIMIT_MS {
            script.meanwhile(&secret(), Some(held.clone()));
        }
    };
    tokio::select! {
        detail = lives(&process, user, run, timer, passed) => {
            panic!("a call is held: {:?}", detail.view.run.phase)
        }
        () = came(&gate, 1) => {}
    }
    process.stop().await;
    script.meanwhile(&secret(), None);
    gate.open();
    world.process().await
}

async fn lives_through(kind: StoreKind, draft: Draft, first: Vec<Act>) {
    let (mut world, timer) = by_hand(kind).await;
    world.config.drain_ms = 1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    for act in first {
        world.simulator().script().push(&secret(), act);
    }
    world.simulator().script().meanwhile(&secret(), Some(overloaded()));
    let run = process.start_run(&ada, draft).await;
    morning(&world, &process, &ada, &timer, run).await;
    noon(&world, &process, &ada, &timer, run).await;
    let process = afternoon(&world, process, &ada, &timer, run).await;
    let detail = lives(&process, &ada, run, &timer, |_| {}).await;
    assert_eq!(detail.view.run.phase, Phase::Completed);
    is_explained_and_billed(&world, &process, &ada, run).await;
    process.stop().await;
    world.close().await;
}

async fn is_explained_and_billed(world: &World, process: &Process, user: &User, run: RunId) {
    let mut messages = process.messages(user, run, Some(FeedCursor::default())).await;
    let (mut finished, mut posts, mut resumes) = (HashSet::new(), 0, 0);
    let (mut usage, mut is_known) = (Usage::default(), true);
    while let Some(message) = messages.next().await {
        let Body::Event { event, step } = message.unwrap().body else { continue };
        match &event.event {
            RunEvent::StepAttemptStarted(facts) => {
                assert!(!finished.contains(&facts.step), "a finished step is asked again");
                posts += 1;
            }
            RunEvent::StepCompleted(facts, _) => {
                finished.insert(facts.step);
                usage = usage.plus(facts.usage);
            }
            RunEvent::StepAttemptFailed(facts, trouble) => {
                usage = usage.plus(facts.usage);
                is_known &= facts.cost.0.is_some();
                let is_exact = facts.usage == Usage::default() && facts.cost.0 == Some(0);
                assert!(is_exact || facts.maybe_billed, "a bill that is neither exact nor marked");
                assert_ne!(facts.next, Next::GiveUp);
                let view = step.unwrap();
                assert!(view.waiting_since.is_some() && view.step.hindrance().is_some());
                assert!(!trouble.as_ref().unwrap().message.is_empty());
            }
            RunEvent::RunResumed(_) => resumes += 1,
            RunEvent::RunRequested(..)
            | RunEvent::RunClaimed(_)
            | RunEvent::StepsPlanned(_)
            | RunEvent::StepSkipped(_)
            | RunEvent::FallbackApplied(..)
            | RunEvent::RunPaused(_)
            | RunEvent::RunHalted(_)
            | RunEvent::RunStalled(_)
            | RunEvent::PartsGiven(_)
            | RunEvent::RunCancelled(_)
            | RunEvent::RunCompleted(_)
            | RunEvent::RunFailed(..) => {}
        }
    }
    assert_eq!(resumes, 2);
    // A call may have been announced and not yet sent when its process stopped.
    let arrived = world.simulator().counts().of(&secret(), Endpoint::Messages);
    assert!((arrived..arrived + 9).contains(&posts), "{posts} in the log, {arrived} arrived");
    let view = process.detail(user, run).await.view;
    assert_eq!((view.run.usage(), view.run.cost().0.is_some()), (usage, is_known));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debate_of_three_rounds_lives_through_a_bad_day() {
    for kind in StoreKind::available().await {
        lives_through(*kind, debate(), vec![good(), good()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_and_ten_workers_live_through_a_bad_day() {
    for kind in StoreKind::available().await {
        lives_through(*kind, house(), vec![plan(), good(), good()]).await;
    }
}
