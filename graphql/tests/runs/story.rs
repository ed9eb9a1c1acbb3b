//! Runs described by their events.

use claviger_domain::actor::Actor;
use claviger_domain::code::ErrorCode;
use claviger_domain::event::{Envelope, EnvelopeVersion, Payload as _};
use claviger_domain::id::{
    BootId, CommandId, ContextTag, CorrelationId, EventId, KeyId, RunId, StepId, UserId,
};
use claviger_domain::orchestration::*;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::StoredEvent;
use claviger_projections::run_feed::{
    Batch, DeltaItem, FeedCursor, FeedMessage, OpenedDeltas, RunFeed, RunRecord,
};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const OWNER: UserId = UserId(Uuid::from_u128(1));
pub(super) const RUN: RunId = RunId(Uuid::from_u128(2));
pub(super) const KEY: KeyId = KeyId(Uuid::from_u128(3));
pub(super) const GONE_KEY: KeyId = KeyId(Uuid::from_u128(4));
pub(super) const STARTED_MS: u64 = 1_760_000_000_000;

const CREDENTIAL: Credential =
    Credential { source: CredentialSource::DefaultKey, key: Some(KEY), secret_version: Some(1) };

pub(super) fn step(n: u8) -> StepId {
    StepId(Uuid::from_u128(100 + u128::from(n)))
}

/// A run's events and the rows of text between them.
#[derive(Clone)]
pub(super) struct Story {
    pub(super) run: RunId,
    events: Vec<RunEvent>,
    rows: Vec<OpenedDeltas>,
    row: u64,
}

impl Story {
    pub(super) fn of(run: RunId, definition: Definition) -> Self {
        let considered = vec![
            Considered {
                source: CredentialSource::DefaultKey,
                key: Some(GONE_KEY),
                why: Why::Inactive,
            },
            Considered { source: CredentialSource::DefaultKey, key: Some(KEY), why: Why::Chosen },
            Considered { source: CredentialSource::MaxPlan, key: None, why: Why::NotSet },
        ];
        let facts = Requested {
            run,
            pattern: definition.pattern(),
            agents: 2,
            model: "m".to_owned(),
            max_tokens: 9,
            max_concurrency: 4,
            max_attempts: 9,
            price_table: "p".to_owned(),
            renderer: 1,
            context_tag: ContextTag([0; 16]),
            named_key: None,
            resolution: Resolution { considered },
        };
        let asked =
            Asked { title: Some("A title".to_owned()), context: "work".to_owned(), definition };
        Self {
            run,
            events: vec![RunEvent::RunRequested(facts, Some(asked))],
            rows: Vec::new(),
            row: 0,
        }
    }

    /// Two agents, one after the other.
    pub(super) fn sequential() -> Self {
        let agents = vec![agent("Ada", AgentRole::Specialist), agent("Bob", AgentRole::Worker)];
        let picture =
            Block::Image { media_type: "image/png".to_owned(), data: "iVBORw0K".to_owned() };
        let task = vec![Block::Text { text: "Count.".to_owned() }, picture];
        Self::of(RUN, Definition { agents, work: Work::Sequential { task, sequence: vec![0, 1] } })
    }

    fn add(mut self, mut event: RunEvent) -> Self {
        event.set_prev_d(self.row);
        self.row = 0;
        self.events.push(event);
        self
    }

    pub(super) fn claimed(self) -> Self {
        let facts = Claimed {
            run: self.run,
            prev_d: 0,
            epoch: 1,
            owner: BootId(Uuid::from_u128(9)),
            kept: Vec::new(),
        };
        self.add(RunEvent::RunClaimed(facts))
    }

    pub(super) fn planned(self) -> Self {
        let planned = |n: u8| PlannedStep {
            step: step(n),
            agent: Some(u32::from(n)),
            role: if n == 0 { AgentRole::Specialist } else { AgentRole::Worker },
            purpose: Purpose::Turn,
            round: None,
            item: u32::from(n),
            model: "m".to_owned(),
            max_tokens: 9,
        };
        let facts = Planned { run: self.run, prev_d: 0, steps: vec![planned(0), planned(1)] };
        self.add(RunEvent::StepsPlanned(facts))
    }

    pub(super) fn started(self, n: u8, attempt: u32) -> Self {
        let (model, request_hash) = ("m".to_owned(), "h".to_owned());
        let facts = AttemptStarted {
            run: self.run,
            prev_d: 0,
            step: step(n),
            attempt,
            credential: CREDENTIAL,
            model,
            request_hash,
        };
        self.add(RunEvent::StepAttemptStarted(facts))
    }

    pub(super) fn text(mut self, n: u8, attempt: u32, offset: u64, text: &str) -> Self {
        self.row += 1;
        let items = vec![DeltaItem { step: step(n), attempt, offset, text: text.to_owned() }];
        self.rows.push(OpenedDeltas { v: self.events.len() as u64, d: self.row, items });
        self
    }

    /// A row that existed and was lost.
    pub(super) fn lost_row(mut self) -> Self {
        self.row += 1;
        self
    }

    pub(super) fn failed(self, n: u8, attempt: u32, next: Next) -> Self {
        let facts = AttemptFailed {
            run: self.run,
            prev_d: 0,
            step: step(n),
            attempt,
            credential: CREDENTIAL,
            model: "m".to_owned(),
            pattern: Pattern::Sequential,
            class: FailureClass::Authentication,
            status: Some(401),
            partial_bytes: 0,
            usage: Usage { input: 1, ..Usage::default() },
            cost: Cost(Some(5)),
            maybe_billed: false,
            next,
            until: None,
        };
        let trouble = Trouble {
            message: "the key was refused".to_owned(),
            upstream_request_id: Some("req_1".to_owned()),
        };
        self.add(RunEvent::StepAttemptFailed(facts, Some(trouble)))
    }

    pub(super) fn completed(self, n: u8, attempt: u32, text: &str) -> Self {
        let facts = Completed {
            run: self.run,
            prev_d: 0,
            step: step(n),
            attempt,
            credential: CREDENTIAL,
            model: "m".to_owned(),
            pattern: Pattern::Sequential,
            stop_reason: StopReason::EndTurn,
            usage: Usage {
                input: 10,
                output: 20,
                cache_write_5m: 1,
                cache_write_1h: 2,
                cache_read: 4,
            },
            cost: Cost(Some(7)),
            first_token_ms: Some(30),
            duration_ms: 40,
        };
        self.add(RunEvent::StepCompleted(
            facts,
            Some(Reply { text: text.to_owned(), upstream_request_id: None }),
        ))
    }

    pub(super) fn paused(self) -> Self {
        let facts =
            Paused { run: self.run, prev_d: 0, reason: PauseReason::SpendLimit, control: 0 };
        self.add(RunEvent::RunPaused(facts))
    }

    pub(super) fn done(self) -> Self {
        let facts = Done { run: self.run, prev_d: 0 };
        self.add(RunEvent::RunCompleted(facts))
    }

    pub(super) fn came_to_nothing(self, by: u8) -> Self {
        let facts = Failed {
            run: self.run,
            prev_d: 0,
            code: ErrorCode::KeyUnavailable,
            step: Some(step(by)),
        };
        let because = Because { message: "the agent failed".to_owned() };
        self.add(RunEvent::RunFailed(facts, Some(because)))
    }

    /// The same run with its personal content destroyed.
    pub(super) fn erased(mut self) -> Self {
        for event in &mut self.events {
            let parts = event.parts().unwrap();
            *event = RunEvent::decode(parts.kind, parts.schema, &parts.facts, None).unwrap();
        }
        self.rows.clear();
        self
    }

    fn records(&self) -> Vec<Arc<RunRecord>> {
        (1..)
            .zip(&self.events)
            .map(|(version, event)| Arc::new(self.record(version, event)))
            .collect()
    }

    fn record(&self, version: u64, event: &RunEvent) -> RunRecord {
        let parts = event.parts().unwrap();
        let envelope = Envelope {
            envelope_version: EnvelopeVersion::V2,
            position: 1000 + version,
            stream: StreamName::Run(self.run.0),
            owner: Some(OWNER),
            version,
            id: EventId(Uuid::from_u128(1000 + u128::from(version))),
            kind: parts.kind.to_owned(),
            schema: parts.schema,
            at: Timestamp(STARTED_MS + version * 1000),
            actor: Actor::ENGINE,
            command_id: CommandId([0; 16]),
            correlation_id: CorrelationId::default(),
            causation_id: None,
        };
        let stored = StoredEvent {
            envelope,
            facts: parts.facts,
            content: Vec::new(),
            subject: Some(self.run.0),
            leaf: [0; 32],
            signature: None,
        };
        RunRecord { stored, event: event.clone() }
    }

    /// The feed after a cursor, and its messages.
    pub(super) fn feed(&self, after: Option<FeedCursor>) -> (RunFeed, Vec<FeedMessage>) {
        let mut feed = RunFeed::new(after);
        let batch = Batch {
            events: self.records(),
            rows: self.rows.clone(),
            events_end: true,
            rows_end: true,
        };
        let said = feed.take(batch).unwrap();
        (feed, said)
    }
}

pub(super) fn agent(name: &str, role: AgentRole) -> Agent {
    Agent {
        name: name.to_owned(),
        system_prompt: format!("You are {name}."),
        role,
        model: None,
        max_tokens: None,
    }
}
