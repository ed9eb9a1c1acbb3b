//! Users with keys and runs, whose rows are damaged, repaired and looked at.

use crate::harness::environment::fresh;
use crate::harness::events::{actor, append_to, named_event, new_event};
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::runs::{agents, line, start};
use claviger::audit::verify::{Report, verify};
use claviger::bus::AccountRequest;
use claviger::views::Replay;
use claviger_application::StartRun;
use claviger_domain::account::EraseAccount;
use claviger_domain::actor::{Actor, Via};
use claviger_domain::id::{BootId, CorrelationId, KeyId, RunId, StepId, UserId};
use claviger_domain::orchestration::{
    Claimed, Completed, Cost, Credential, CredentialSource, Done, Draft, Pattern, RunEvent,
    StopReason, Usage,
};
use claviger_domain::stream::StreamName;
use claviger_domain::text::{ModelId, Title};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, InlineViews, OPEN_RUNS, Placed, RUNS, RowChange, Store, StoreError, TimerKind,
    TimerRow, ViewRow,
};
use claviger_projections::runs::{RunFacts, RunSummary};
use std::sync::Arc;
use std::time::Duration;

/// How long anything is awaited before the test fails.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

impl Process {
    /// A replay of views, or only a comparison.
    pub(super) fn replay(&self, check: bool) -> Replay {
        Replay {
            store: Arc::clone(&self.store),
            keychain: Arc::clone(&self.keychain),
            env: self.env.clone(),
            check,
        }
    }

    pub(super) async fn verified(&self) -> Report {
        verify(Arc::clone(&self.store), Arc::clone(&self.keychain)).await.unwrap()
    }
}

/// Adds a key of this name, whose secret is the name again and again.
pub(super) async fn add(process: &Process, user: &User, name: &str) -> KeyId {
    let secret = format!("sk-ant-api03-{}AA", name.repeat(91).get(..91).unwrap());
    user.add_key(process, name, &secret).await
}

/// Changes rows without an event of theirs: beside one of the installation's own.
pub(super) async fn damage(store: &dyn Store, rows: Vec<RowChange>) {
    let version = store.read_stream(StreamName::System, 0, 1000).await.unwrap().len() as u64;
    let facts = br#"{"view":"keys","owners":0,"changed":0}"#;
    let event = named_event("ProjectionRebuilt", facts, None);
    let append = append_to(StreamName::System, version, vec![event]);
    store.append(Append { rows, ..append }).await.unwrap();
}

/// Erases a user, as the user.
pub(super) async fn erase(process: &Process, user: UserId) {
    let actor = Actor { user: Some(user), ..actor(Via::Cli) };
    let (correlation, command) = (CorrelationId(fresh()), EraseAccount.into());
    let erase = AccountRequest { owner: user, actor, correlation, command, phc: None };
    process.bus.run_account_command(erase).await.unwrap();
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

/// Starts a run of this title; no engine works on it.
pub(super) async fn titled(process: &Process, owner: &User, title: &str, draft: Draft) -> RunId {
    let title = Some(Title::parse(title).unwrap());
    let model = Some(ModelId::parse("claude-haiku-4-5").unwrap());
    let start = StartRun { title, model, ..start(draft) };
    process.try_start(owner, start, None).await.unwrap().run
}

/// A run of two agents, one after the other.
pub(super) fn sequential() -> Draft {
    line("Count.", ["Ada", "Bob"])
}

/// A debate of the same.
pub(super) fn debate() -> Draft {
    let agents = agents(["Ada", "Bob"]);
    Draft::Debate { topic: "Counting".to_owned(), agents, participants: None, rounds: 1 }
}

/// How long the text of an ended run is kept.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The rows that an engine writes with events of a run: they go on from the row that is there.
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
        let mut rows = vec![RowChange::PutView(ViewRow { facts, ..row.clone() }), open];
        if summary.facts.state.is_final() {
            let due_at = placed.last().unwrap().at.plus_ms(DAY_MS);
            let (kind, subject) = (TimerKind::DeltaExpiry, id);
            rows.push(RowChange::PutTimer(TimerRow {
                kind,
                owner,
                subject,
                command: None,
                due_at,
            }));
        }
        Ok(rows)
    }
}

/// Appends to a run as an engine does.
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
    let append = append_to(stream, version, events.iter().map(new_event).collect());
    let (owner, actor) = (Some(owner), Actor::ENGINE);
    let inline: Arc<dyn InlineViews> = Arc::new(RunRow(row, events));
    store.append(Append { owner, actor, at, inline: Some(inline), ..append }).await.unwrap();
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
