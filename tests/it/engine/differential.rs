//! The engine against the oracle: random runs of every pattern, under random faults of the upstream
//! and random commands, until everything that can happen to a run has.
//!
//! `CLAVIGER_TEST_SCHEDULES=1000` runs that many; `CLAVIGER_TEST_SEED` changes their course.

use super::oracle::{Foreseen, Oracle, Outcome, Story};
use super::record::came;
use crate::harness::dice::{Dice, number, seed};
use crate::harness::environment::by_timer;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_domain::code::ErrorCode;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{ControlRequest, Run, RunEvent, Step, StepState};
use claviger_domain::pattern::output;
use claviger_projections::run_feed::{Body, FeedCursor};
use futures::StreamExt as _;
use futures::future::join_all;
use std::collections::BTreeSet;
use tokio_util::task::TaskTracker;

/// Runs that go on at once.
const AT_ONCE: usize = 24;

/// How many runs by default, on each store.
const USUAL: [usize; 2] = [5 * AT_ONCE, 12];

/// Everything that can happen to a run.
const EVERYTHING: [&str; 14] = [
    "FallbackApplied",
    "RunCancelled",
    "RunClaimed",
    "RunCompleted",
    "RunFailed",
    "RunPaused",
    "RunRequested",
    "RunResumed",
    "RunStalled",
    "StepAttemptFailed",
    "StepAttemptStarted",
    "StepCompleted",
    "StepSkipped",
    "StepsPlanned",
];

fn story(world: &World, number: usize, dice: &mut Dice) -> Story {
    let script = world.simulator().script();
    let oracle = Oracle::new(Dice::new(dice.next()), number, &script);
    let story = match dice.below(6) {
        0 => oracle.sequential(),
        1 => oracle.debate(),
        2 => oracle.hierarchical(),
        3 => oracle.parallel(),
        4 => oracle.routing(),
        _ => oracle.design(),
    };
    Story { is_paused: dice.below(4) == 0, ..story }
}

/// Lets a run follow its story; every pause is followed by a resumption.
async fn lived(process: &Process, user: &User, story: &Story) -> RunId {
    let run = process.start_run(user, story.draft.clone()).await;
    if story.is_paused {
        // It may have ended before anybody asks.
        let asked = process.ask(user, run, ControlRequest::Pause).await;
        assert!(asked.is_ok() || asked.unwrap_err().code == ErrorCode::Conflict);
    }
    let cancelling = async {
        if let Some(gate) = &story.cancel_at {
            came(gate, 1).await;
            process.ask(user, run, ControlRequest::Cancel).await.unwrap();
        }
    };
    let resuming = async {
        let mut messages = process.messages(user, run, Some(FeedCursor::default())).await;
        while let Some(message) = messages.next().await {
            if let Body::Event { event, .. } = message.unwrap().body
                && matches!(event.event, RunEvent::RunPaused(_) | RunEvent::RunStalled(_))
            {
                // Unless it was cancelled meanwhile.
                let asked = process.ask(user, run, ControlRequest::Resume).await;
                assert!(asked.is_ok() || story.cancel_at.is_some(), "{asked:?}");
            }
        }
    };
    futures::join!(cancelling, resuming);
    run
}

fn agrees(run: &Run, step: &Step, foreseen: &Foreseen) -> bool {
    let agent =
        step.planned.agent.map(|place| run.definition.as_ref().unwrap().name(place).to_owned());
    let place = (agent, step.planned.purpose, step.planned.round);
    if place != (foreseen.agent.clone(), foreseen.purpose, foreseen.round) {
        return false;
    }
    let outcome = match &foreseen.outcome {
        Outcome::Any => return true,
        Outcome::Said(text) => {
            step.state == StepState::Completed && step.reply.as_ref() == Some(text)
        }
        Outcome::Failed(class) => step.state == StepState::Failed(*class),
        Outcome::Skipped => step.state == StepState::Skipped,
    };
    outcome && step.attempts == foreseen.attempts
}

fn compare(run: &Run, story: &Story) {
    assert_eq!(run.phase, story.phase, "{run:#?}\n{story:#?}");
    assert_eq!(
        run.failure.as_ref().map(|failure| failure.code),
        story.code,
        "{run:#?}\n{story:#?}"
    );
    let fallbacks: Vec<_> = run.fallbacks.iter().map(|(_, fallback)| *fallback).collect();
    assert_eq!(fallbacks, story.fallbacks, "{run:#?}\n{story:#?}");
    assert_eq!(run.steps.len(), story.steps.len(), "{run:#?}\n{story:#?}");
    for (step, foreseen) in run.steps.iter().zip(&story.steps) {
        assert!(agrees(run, step, foreseen), "{step:#?}\n{foreseen:#?}\n{story:#?}");
    }
    if run.phase == claviger_domain::orchestration::Phase::Completed {
        assert_eq!(output(run).as_deref(), story.output.as_deref(), "{run:#?}\n{story:#?}");
        assert!(claviger_domain::pattern::result(run).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_does_what_the_oracle_foresees_until_everything_has_happened() {
    for kind in StoreKind::available().await {
        let mut world = World::steady(*kind).await;
        let (timer, env) = by_timer();
        world.env = env;
        let moving = TaskTracker::new().spawn(async move {
            loop {
                timer.step().await;
            }
        });
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        let long = number("CLAVIGER_TEST_SCHEDULES").and_then(|count| usize::try_from(count).ok());
        let usual = USUAL[usize::from(*kind == StoreKind::MongoDb)];
        let count =
            long.map_or(usual, |count| if *kind == StoreKind::Sqlite { count } else { count / 20 });
        let (mut dice, mut happened, mut told) = (Dice::new(seed()), BTreeSet::new(), 0);
        while told < count {
            let stories: Vec<_> = (0..AT_ONCE.min(count - told))
                .map(|n| story(&world, told + n, &mut dice))
                .collect();
            told += stories.len();
            let lives = join_all(stories.iter().map(|story| lived(&process, &ada, story)));
            let runs = tokio::time::timeout(std::time::Duration::from_mins(2), lives)
                .await
                .expect("a run doesn't end");
            for (run, story) in runs.into_iter().zip(&stories) {
                compare(&process.detail(&ada, run).await.view.run, story);
                happened.extend(process.kinds(run).await);
            }
        }
        let all: BTreeSet<_> = EVERYTHING.into_iter().map(str::to_owned).collect();
        assert!(*kind == StoreKind::MongoDb || happened == all, "{happened:?}");
        println!("{kind:?}: {told} runs as foreseen");
        moving.abort();
        process.stop().await;
        world.close().await;
    }
}
