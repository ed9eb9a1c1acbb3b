//! History, the upstream's records and the messages to subscribers of a run, compared with each
//! other.

use crate::harness::person::User;
use crate::harness::process::Process;
use claviger::simulator::Simulator;
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::event::Payload as _;
use claviger_domain::id::{RunId, StepId, write_hex};
use claviger_domain::orchestration::{FailureClass, Run, RunEvent};
use claviger_domain::pattern;
use claviger_projections::ports::StoredEvent;
use claviger_projections::run_feed::{Body, FeedCursor};
use futures::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a run comes to, without how long it took: comparable between runs of the same definition.
pub(super) fn result(run: &Run) -> String {
    let mut result = pattern::result(run).expect("the run has a result");
    forget_times(&mut result);
    result.to_string()
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("duration_ms"));
            fields.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads a stored event's facts.
pub(super) fn facts(stored: &StoredEvent) -> RunEvent {
    RunEvent::decode(&stored.envelope.kind, stored.envelope.schema, &stored.facts, None).unwrap()
}

/// Calls that the upstream has had, by the keyed hash under which history names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// All calls with the user's key so far.
    pub(super) async fn of(simulator: &Simulator, process: &Process, user: &User) -> Self {
        let keys = process.keychain.user(user.id()).await.unwrap().unwrap();
        let mut calls = BTreeMap::new();
        for call in simulator.counts().calls(&key(Scenario::Good, 1)) {
            // A body is noted a moment after its call.
            let (Endpoint::Messages, Some(body)) = (call.endpoint, call.body) else { continue };
            let mut hash = String::new();
            write_hex(&mut hash, &keys.index.request_hash("messages", body.to_string().as_bytes()))
                .unwrap();
            *calls.entry(hash).or_default() += 1;
        }
        Self(calls)
    }

    /// Those since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let since = |(hash, count): (&String, &u64)| {
            (hash.clone(), count - before.0.get(hash).copied().unwrap_or(0))
        };
        Self(self.0.iter().map(since).filter(|(_, count)| *count > 0).collect())
    }
}

impl Calls {
    /// How many there were for this request.
    pub(super) fn for_request(&self, hash: &str) -> u64 {
        self.0.get(hash).copied().unwrap_or(0)
    }
}

/// A step, as history records it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) request_hash: String,
    pub(super) started: u64,
    pub(super) interrupted: u64,
    pub(super) is_completed: bool,
}

/// All steps of a run, as its history records them. Nothing follows a step's completion, an attempt
/// follows only the end of the one before, and an interrupted attempt may have been billed.
pub(super) fn steps(events: &[StoredEvent]) -> BTreeMap<StepId, Told> {
    let mut steps: BTreeMap<StepId, Told> = BTreeMap::new();
    for event in events {
        match facts(event) {
            RunEvent::StepAttemptStarted(started) => {
                let told = steps.entry(started.step).or_default();
                assert!(!told.is_completed, "a step that is done begins again");
                assert_eq!(told.started, told.interrupted, "an attempt begins beside another");
                assert!(
                    told.started == 0 || told.request_hash == started.request_hash,
                    "another request"
                );
                told.request_hash = started.request_hash;
                told.started += 1;
                assert_eq!(u64::from(started.attempt), told.started);
            }
            RunEvent::StepAttemptFailed(failed, _) => {
                let told = steps.get_mut(&failed.step).expect("an attempt fails after it began");
                assert_eq!(
                    (failed.class, failed.maybe_billed),
                    (FailureClass::Interrupted, true),
                    "{failed:?}"
                );
                told.interrupted += 1;
                assert_eq!(told.interrupted, told.started);
            }
            RunEvent::StepCompleted(completed, _) => {
                let told = steps.get_mut(&completed.step).expect("a step is done after it began");
                assert_eq!(told.started, told.interrupted + 1);
                told.is_completed = true;
            }
            RunEvent::RunRequested(..)
            | RunEvent::RunClaimed(_)
            | RunEvent::StepsPlanned(_)
            | RunEvent::StepSkipped(_)
            | RunEvent::FallbackApplied(..)
            | RunEvent::RunPaused(_)
            | RunEvent::RunHalted(_)
            | RunEvent::RunStalled(_)
            | RunEvent::PartsGiven(_)
            | RunEvent::RunResumed(_)
            | RunEvent::RunCancelled(_)
            | RunEvent::RunCompleted(_)
            | RunEvent::RunFailed(..) => {}
        }
    }
    steps
}

/// Every call stands in history, and every repeat has its reason there: an attempt that was cut.
pub(super) fn check_calls(steps: &BTreeMap<StepId, Told>, calls: &Calls, crashes: u64) {
    for (step, told) in steps {
        let made = calls.for_request(&told.request_hash);
        assert!(told.is_completed, "{step:?} {told:?}");
        assert!((1..=told.started).contains(&made), "{step:?}: {made} calls, {told:?}");
        assert!(told.interrupted <= crashes, "{step:?}: {crashes} crashes, {told:?}");
    }
}

/// The texts that a subscriber from the beginning holds in the end are the replies of the steps.
pub(super) async fn check_texts(process: &Process, user: &User, run: RunId) {
    let start = FeedCursor { v: 0, d: 0, i: 0 };
    let mut messages = process.messages(user, run, Some(start)).await;
    let mut held = Held::default();
    while let Some(message) = messages.next().await {
        held.take(message.unwrap().body);
    }
    held.check(&process.detail(user, run).await.view.run);
}

/// What a subscriber holds.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<(StepId, u32), String>);

impl Held {
    /// Takes a message in by the client's rule: what it has already it drops, what is void it cuts
    /// off.
    pub(super) fn take(&mut self, body: Body) {
        match body {
            // What is durable was counted, so that nothing of it is void for anybody.
            Body::Gap(gone) => panic!("text is gone: {gone:?}"),
            Body::Snapshot { partial, .. } => {
                self.0
                    .extend(partial.iter().map(|one| ((one.step, one.attempt), one.text.clone())));
            }
            Body::Delta(delta) => {
                let text = self.0.entry((delta.step, delta.attempt)).or_default();
                let known = text.len() - usize::try_from(delta.offset).unwrap();
                text.push_str(delta.text.get(known.min(delta.text.len())..).unwrap());
            }
            Body::AttemptSuperseded { step, attempt, keep_bytes, .. } => {
                let text = self.0.entry((step, attempt)).or_default();
                text.truncate(usize::try_from(keep_bytes).unwrap());
            }
            Body::Event { .. } | Body::Terminal(_) => {}
        }
    }

    /// Every step's reply is what was held of its last attempt.
    pub(super) fn check(&self, run: &Run) {
        for step in &run.steps {
            let held = self.0.get(&(step.planned.step, step.attempts)).map_or("", String::as_str);
            assert_eq!(held, step.reply.as_deref().unwrap_or(""), "{step:?}");
        }
    }
}
