//! Short builders of runs and rows, and a client that follows the rule of the contract.

use claviger_domain::actor::Actor;
use claviger_domain::event::{Envelope, EnvelopeVersion, Payload};
use claviger_domain::id::{BootId, CommandId, ContextTag, CorrelationId, EventId, RunId, StepId};
use claviger_domain::orchestration::*;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::StoredEvent;
use claviger_projections::run_feed::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const RUN: RunId = RunId(Uuid::from_u128(7));
const CREDENTIAL: Credential =
    Credential { source: CredentialSource::MaxPlan, key: None, secret_version: None };

pub(super) fn step(n: u8) -> StepId {
    StepId(Uuid::from_u128(u128::from(n)))
}

pub(super) fn requested() -> RunEvent {
    let agent = |name: &str| Agent {
        name: name.to_owned(),
        system_prompt: String::new(),
        role: AgentRole::Worker,
        model: None,
        max_tokens: None,
    };
    let work = Work::Parallel {
        task: "t".to_owned(),
        workers: vec![0, 1],
        aggregator: None,
        on_failure: OnFailure::Continue,
    };
    let definition = Definition { agents: vec![agent("Ada"), agent("Bob")], work };
    let facts = Requested {
        run: RUN,
        pattern: Pattern::Parallel,
        agents: 2,
        model: "m".to_owned(),
        max_tokens: 9,
        max_concurrency: 4,
        max_attempts: 9,
        price_table: "p".to_owned(),
        renderer: 1,
        context_tag: ContextTag([0; 16]),
        named_key: None,
        resolution: Resolution { considered: Vec::new() },
    };
    RunEvent::RunRequested(
        facts,
        Some(Asked { title: None, context: "default".to_owned(), definition }),
    )
}

pub(super) fn planned(steps: &[u8]) -> RunEvent {
    let planned = |n: &u8| PlannedStep {
        step: step(*n),
        agent: Some(u32::from(n % 2)),
        role: AgentRole::Worker,
        purpose: Purpose::Work,
        round: None,
        item: u32::from(*n),
        model: "m".to_owned(),
        max_tokens: 9,
    };
    RunEvent::StepsPlanned(Planned {
        run: RUN,
        prev_d: 0,
        steps: steps.iter().map(planned).collect(),
    })
}

pub(super) fn claimed(epoch: u64, kept: &[(u8, u32, u64)]) -> RunEvent {
    let kept = kept
        .iter()
        .map(|(n, attempt, bytes)| Kept { step: step(*n), attempt: *attempt, bytes: *bytes })
        .collect();
    RunEvent::RunClaimed(Claimed { run: RUN, prev_d: 0, epoch, owner: BootId(Uuid::nil()), kept })
}

pub(super) fn started(n: u8, attempt: u32) -> RunEvent {
    let (model, request_hash) = ("m".to_owned(), String::new());
    RunEvent::StepAttemptStarted(AttemptStarted {
        run: RUN,
        prev_d: 0,
        step: step(n),
        attempt,
        credential: CREDENTIAL,
        model,
        request_hash,
    })
}

pub(super) fn failed(n: u8, attempt: u32, class: FailureClass, partial_bytes: u64) -> RunEvent {
    let facts = AttemptFailed {
        run: RUN,
        prev_d: 0,
        step: step(n),
        attempt,
        credential: CREDENTIAL,
        model: "m".to_owned(),
        pattern: Pattern::Parallel,
        class,
        status: None,
        partial_bytes,
        usage: Usage::default(),
        cost: Cost::default(),
        maybe_billed: true,
        next: Next::Retry { at: Timestamp(0) },
        until: None,
    };
    RunEvent::StepAttemptFailed(facts, None)
}

pub(super) fn completed(n: u8, attempt: u32, text: &str) -> RunEvent {
    let facts = Completed {
        run: RUN,
        prev_d: 0,
        step: step(n),
        attempt,
        credential: CREDENTIAL,
        model: "m".to_owned(),
        pattern: Pattern::Parallel,
        stop_reason: StopReason::EndTurn,
        usage: Usage::default(),
        cost: Cost::default(),
        first_token_ms: None,
        duration_ms: 1,
    };
    RunEvent::StepCompleted(facts, Some(Reply { text: text.to_owned(), upstream_request_id: None }))
}

pub(super) fn done() -> RunEvent {
    RunEvent::RunCompleted(Done { run: RUN, prev_d: 0 })
}

pub(super) fn item(n: u8, attempt: u32, offset: u64, text: &str) -> DeltaItem {
    DeltaItem { step: step(n), attempt, offset, text: text.to_owned() }
}

/// The stored events and rows of one run.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(super) events: Vec<Arc<RunRecord>>,
    pub(super) rows: BTreeMap<(u64, u64), Vec<DeltaItem>>,
}

impl Stored {
    /// Version of the last event.
    pub(super) fn version(&self) -> u64 {
        self.events.len() as u64
    }

    /// Number of rows after an event.
    pub(super) fn rows_after(&self, v: u64) -> u64 {
        self.rows.range((v, 0)..(v + 1, 0)).count() as u64
    }

    /// Appends an event that counts the rows before it.
    pub(super) fn append(&mut self, event: RunEvent) {
        let counted = self.rows_after(self.version());
        self.append_counting(event, counted);
    }

    /// Appends an event that counts `prev_d` rows.
    pub(super) fn append_counting(&mut self, mut event: RunEvent, prev_d: u64) {
        event.set_prev_d(prev_d);
        let version = self.version() + 1;
        let parts = event.parts().unwrap();
        let envelope = Envelope {
            envelope_version: EnvelopeVersion::V2,
            position: version,
            stream: StreamName::Run(RUN.0),
            owner: None,
            version,
            id: EventId(Uuid::from_u128(u128::from(version))),
            kind: parts.kind.to_owned(),
            schema: parts.schema,
            at: Timestamp(version),
            actor: Actor::ENGINE,
            command_id: CommandId([0; 16]),
            correlation_id: CorrelationId(Uuid::nil()),
            causation_id: None,
        };
        let stored = StoredEvent {
            envelope,
            facts: parts.facts,
            content: Vec::new(),
            subject: None,
            leaf: [0; 32],
            signature: None,
        };
        self.events.push(Arc::new(RunRecord { stored, event }));
    }

    /// Writes a row after the last event.
    pub(super) fn flush(&mut self, items: Vec<DeltaItem>) {
        let v = self.version();
        self.rows.insert((v, self.rows_after(v) + 1), items);
    }

    /// The result of a read, with bounds on events and rows.
    pub(super) fn read(&self, feed: &RunFeed, most_events: usize, most_rows: usize) -> Batch {
        self.read_at(feed.reading(), most_events, most_rows)
    }

    pub(super) fn read_at(
        &self,
        (after, place): (u64, (u64, u64)),
        most_events: usize,
        most_rows: usize,
    ) -> Batch {
        let after = usize::try_from(after).unwrap();
        let events: Vec<_> = self.events.iter().skip(after).take(most_events).cloned().collect();
        let rows = self.rows.iter().filter(|(key, _)| **key > place).take(most_rows);
        let rows: Vec<_> = rows
            .map(|((v, d), items)| OpenedDeltas { v: *v, d: *d, items: items.clone() })
            .collect();
        let (events_end, rows_end) = (events.len() < most_events, rows.len() < most_rows);
        Batch { events, rows, events_end, rows_end }
    }

    /// All messages that a reader gets now.
    pub(super) fn all(&self, feed: &mut RunFeed) -> Vec<FeedMessage> {
        feed.take(self.read(feed, usize::MAX, usize::MAX)).unwrap()
    }

    /// The same from a cursor, in short form.
    pub(super) fn from(&self, after: Option<FeedCursor>) -> Vec<String> {
        self.all(&mut RunFeed::new(after)).iter().map(short).collect()
    }
}

pub(super) fn at(v: u64, d: u64, i: u32) -> FeedCursor {
    FeedCursor { v, d, i }
}

/// A message in short form: position, kind, step and attempt.
pub(super) fn short(message: &FeedMessage) -> String {
    let number = |step: &StepId| step.0.as_u128();
    let text = |one: &StepText| format!(" {}.{}={}", number(&one.step), one.attempt, one.text);
    let texts = |texts: &[StepText]| texts.iter().map(text).collect::<Vec<_>>().concat();
    let what = match &message.body {
        Body::Snapshot { view, partial } => {
            format!("snapshot v{}{}", view.run.version, texts(partial))
        }
        Body::Event { event, .. } => event.stored.envelope.kind.clone(),
        Body::Delta(delta) => format!(
            "delta {}.{}@{} {}",
            number(&delta.step),
            delta.attempt,
            delta.offset,
            delta.text
        ),
        Body::AttemptSuperseded { step, attempt, keep_bytes, reason } => {
            format!("superseded {}.{attempt} keep {keep_bytes} {}", number(step), reason.as_str())
        }
        Body::Gap(full) => format!("gap{}", texts(full)),
        Body::Terminal(_) => "terminal".to_owned(),
    };
    let FeedCursor { v, d, i } = message.cursor;
    let i = if i == FeedCursor::GAP { "gap".to_owned() } else { i.to_string() };
    format!("{v}.{d}.{i} {what}")
}

/// A client that follows the rule: it tracks the bytes it holds per step and attempt, and drops the
/// overlap by the offset.
#[derive(Clone, Default)]
pub(super) struct Client {
    pub(super) held: BTreeMap<(StepId, u32), String>,
    pub(super) cursor: Option<FeedCursor>,
    pub(super) versions: Vec<u64>,
    pub(super) has_ended: bool,
}

impl Client {
    pub(super) fn receive(&mut self, message: &FeedMessage) {
        assert!(!self.has_ended, "a message follows the end");
        self.cursor = Some(message.cursor);
        match &message.body {
            Body::Snapshot { view, partial } => {
                assert!(self.held.is_empty() && self.versions.is_empty(), "a snapshot comes first");
                self.versions = (1..=view.run.version).collect();
                for one in partial.iter() {
                    self.held.insert((one.step, one.attempt), one.text.clone());
                }
                for step in view.run.steps.iter().filter(|step| step.is_completed()) {
                    self.held
                        .insert((step.planned.step, step.attempts), step.reply.clone().unwrap());
                }
            }
            Body::Event { event, .. } => {
                self.versions.push(event.version());
                if let RunEvent::StepCompleted(facts, _) = &event.event {
                    self.held.entry((facts.step, facts.attempt)).or_default();
                }
            }
            Body::Delta(delta) => {
                let held = self.held.entry((delta.step, delta.attempt)).or_default();
                let known =
                    (held.len() as u64).checked_sub(delta.offset).expect("no text is skipped");
                held.push_str(delta.text.get(usize::try_from(known).unwrap()..).unwrap_or(""));
            }
            Body::AttemptSuperseded { step, attempt, keep_bytes, .. } => {
                if let Some(held) = self.held.get_mut(&(*step, *attempt)) {
                    held.truncate(usize::try_from(*keep_bytes).unwrap());
                }
            }
            Body::Gap(full) => {
                for one in full.iter() {
                    self.held.insert((one.step, one.attempt), one.text.clone());
                }
            }
            Body::Terminal(_) => self.has_ended = true,
        }
    }
}
