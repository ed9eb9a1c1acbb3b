//! A program without faces, and people who use it.

use super::build::{NOW, fresh};
use claviger::app::config::{Config, Settings};
use claviger::auth::Registration;
use claviger_application::{Call, Caller, KeyCommand, Ports, RequestInfo, RunCommand, StartRun};
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::event::Payload as _;
use claviger_domain::id::{
    BootId, CommandId, CorrelationId, EventId, KeyId, RunId, SessionId, StepId, UserId,
};
use claviger_domain::orchestration::{
    AgentDraft, Block, Claimed, Completed, Cost, Credential, CredentialSource, Done, Draft,
    Pattern, RunEvent, StopReason, Usage,
};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{Context, Email, KeyName, ModelId, Password, Title, Username};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, Expected, InlineViews, NewEvent, OPEN_RUNS, Placed, RUNS, RowChange, Store, StoreError,
    ViewRow,
};
use claviger_projections::runs::{RunFacts, RunSummary};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A bound for what would never come.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn config(dir: &TempDir) -> Config {
    let mut config = Config::load(Settings::default()).unwrap();
    config.data_dir = dir.path().to_owned();
    config.registration = Registration::Open;
    config.mongodb_uri = None;
    config.master_keys =
        Some(SecretText::new("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=".to_owned()));
    config.token_key = config.master_keys.clone();
    config
}

pub(super) async fn register(ports: &Ports, name: &str) -> UserId {
    let info = RequestInfo {
        correlation: CorrelationId(fresh()),
        user_agent: None,
        peer: "test".to_owned(),
        via: Via::Graphql,
    };
    let (username, email) =
        (Username::parse(name).unwrap(), Email::parse(&format!("{name}@example.org")).unwrap());
    let password = Password::parse(SecretText::new(format!("the password of {name}"))).unwrap();
    ports.accounts.register(info, username, email, password, None).await.unwrap().caller.user
}

pub(super) fn call(owner: UserId) -> Call {
    let actor =
        Actor { user: Some(owner), role: Some(Role::User), via: Via::Graphql, credential: None };
    Call { owner, actor, correlation: CorrelationId(fresh()), idempotency_key: None }
}

pub(super) async fn run(ports: &Ports, owner: UserId, command: KeyCommand) -> KeyId {
    ports.keys.run(call(owner), command).await.unwrap().key.unwrap()
}

pub(super) async fn add(ports: &Ports, owner: UserId, name: &str) -> KeyId {
    let secret = format!("sk-ant-api03-{}AA", name.repeat(91).get(..91).unwrap());
    let secret = ApiKeySecret::parse(&SecretText::new(secret)).unwrap();
    let (name, context) = (KeyName::parse(name).unwrap(), Context::parse("default").unwrap());
    run(
        ports,
        owner,
        KeyCommand::Add { name, secret, make_default: None, context, expires_at: None },
    )
    .await
}

/// Changes rows behind everybody's back: beside an event of the installation's own.
pub(super) async fn damage(store: &dyn Store, rows: Vec<RowChange>) {
    let version = store.read_stream(StreamName::System, 0, 1000).await.unwrap().len() as u64;
    let event = NewEvent {
        id: EventId(fresh()),
        kind: "ProjectionRebuilt".to_owned(),
        schema: 1,
        facts: br#"{"view":"keys","owners":0,"changed":0}"#.to_vec(),
        content: Vec::new(),
        subject: None,
    };
    let append = Append {
        stream: StreamName::System,
        owner: None,
        expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
        events: vec![event],
        at: NOW,
        actor: Actor::SYSTEM,
        command_id: CommandId(fresh().into_bytes()),
        correlation_id: CorrelationId(fresh()),
        causation_id: None,
        rows,
        claims: Vec::new(),
        inline: None,
        record: None,
    };
    store.append(append).await.unwrap();
}

/// Waits until a view has reached the end of the log.
pub(super) async fn followed(store: &dyn Store, view: &'static str) {
    let reached = async {
        while store.checkpoint(view).await.unwrap().position < store.head().await.unwrap().position
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
}

/// Asks for a run; nobody works on it.
pub(super) async fn start(ports: &Ports, owner: UserId, title: &str, draft: Draft) -> RunId {
    let (title, context) = (Some(Title::parse(title).unwrap()), Context::parse("default").unwrap());
    let model = Some(ModelId::parse("claude-haiku-4-5").unwrap());
    let start = StartRun { draft, title, model, key: None, context, max_concurrency: None };
    let caller = Caller {
        user: owner,
        session: SessionId(fresh()),
        roles: BTreeSet::from([Role::User]),
        foreign: None,
    };
    ports
        .run_commands
        .run(call(owner), caller, RunCommand::Start(Box::new(start)))
        .await
        .unwrap()
        .run
}

/// A run of two agents, one after the other.
pub(super) fn sequential() -> Draft {
    let agent = |name: &str| AgentDraft {
        name: name.to_owned(),
        system_prompt: "Think.".to_owned(),
        ..AgentDraft::default()
    };
    let task = vec![Block::Text { text: "Count.".to_owned() }];
    Draft::Sequential { task, agents: vec![agent("Ada"), agent("Bob")], sequence: None }
}

/// A debate of the same.
pub(super) fn debate() -> Draft {
    let Draft::Sequential { agents, .. } = sequential() else { unreachable!() };
    Draft::Debate { topic: "Counting".to_owned(), agents, participants: None, rounds: 1 }
}

/// What whoever works on a run writes with its events, said again: the row goes on from the one that is there.
struct RunRow(ViewRow, Vec<RunEvent>);

impl InlineViews for RunRow {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let Self(row, events) = self;
        let facts: RunFacts = serde_json::from_slice(&row.facts).unwrap();
        let mut summary = Some(RunSummary { id: RunId(row.id), facts, content: None });
        for (event, placed) in events.iter().zip(placed) {
            summary = RunSummary::after(summary, event, placed.at);
        }
        let summary = summary.unwrap();
        let (view, owner, id) = (OPEN_RUNS, row.owner, row.id);
        let open = match summary.open() {
            Some(open) => {
                let facts = serde_json::to_vec(&open).unwrap();
                RowChange::PutView(ViewRow { view, facts, content: None, ..row.clone() })
            }
            None => RowChange::DeleteView { view, owner, id },
        };
        let facts = serde_json::to_vec(&summary.facts).unwrap();
        Ok(vec![RowChange::PutView(ViewRow { facts, ..row.clone() }), open])
    }
}

/// Appends to a run as whoever works on it does.
pub(super) async fn goes_on(
    store: &dyn Store,
    owner: UserId,
    run: RunId,
    at: Timestamp,
    events: Vec<RunEvent>,
) {
    let row = store.row(RUNS, owner, run.0).await.unwrap().unwrap();
    let stream = StreamName::Run(run.0);
    let version = store.read_stream(stream, 0, 1000).await.unwrap().len() as u64;
    let new = |event: &RunEvent| {
        let parts = event.parts().unwrap();
        let (kind, schema, facts, subject) =
            (parts.kind.to_owned(), parts.schema, parts.facts, parts.subject);
        NewEvent { id: EventId(fresh()), kind, schema, facts, content: Vec::new(), subject }
    };
    let append = Append {
        stream,
        owner: Some(owner),
        expected: Expected::Exact(version),
        events: events.iter().map(new).collect(),
        at,
        actor: Actor::ENGINE,
        command_id: CommandId(fresh().into_bytes()),
        correlation_id: CorrelationId(fresh()),
        causation_id: None,
        rows: Vec::new(),
        claims: Vec::new(),
        inline: Some(Arc::new(RunRow(row, events))),
        record: None,
    };
    store.append(append).await.unwrap();
}

pub(super) fn claimed(run: RunId) -> RunEvent {
    RunEvent::RunClaimed(Claimed {
        run,
        prev_d: 0,
        epoch: 1,
        owner: BootId(fresh()),
        kept: Vec::new(),
    })
}

pub(super) fn ended(run: RunId) -> RunEvent {
    RunEvent::RunCompleted(Done { run, prev_d: 0 })
}

/// A step that was done with a key.
pub(super) fn completed(run: RunId, key: KeyId, input: u64) -> RunEvent {
    let usage = Usage { input, ..Usage::default() };
    RunEvent::StepCompleted(
        Completed {
            run,
            prev_d: 0,
            step: StepId(fresh()),
            attempt: 1,
            credential: Credential {
                source: CredentialSource::DefaultKey,
                key: Some(key),
                secret_version: Some(1),
            },
            model: "claude-haiku-4-5".to_owned(),
            pattern: Pattern::Sequential,
            stop_reason: StopReason::EndTurn,
            usage,
            cost: Cost(Some(input * 10)),
            first_token_ms: None,
            duration_ms: 1,
        },
        None,
    )
}
