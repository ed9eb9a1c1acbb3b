//! Runs through the ports that every face uses: how they are started, followed and read.

use super::person::{User, context};
use super::process::Process;
use claviger_application::{RunCommand, RunDetail, RunDone, StartRun};
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{AgentDraft, Block, ControlRequest, Draft, Phase, RunEvent};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::StoredEvent;
use claviger_projections::run_feed::{Body, FeedCursor, FeedMessage};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::time::Duration;

/// The request for a run with its user's defaults.
pub(crate) fn start(draft: Draft) -> StartRun {
    let context = context();
    StartRun { draft, title: None, model: None, key: None, context, max_concurrency: None }
}

pub(crate) fn agent(name: &str) -> AgentDraft {
    let system_prompt = format!("You are {name}.");
    AgentDraft { name: name.to_owned(), system_prompt, ..AgentDraft::default() }
}

pub(crate) fn agents<const N: usize>(names: [&str; N]) -> Vec<AgentDraft> {
    names.map(agent).to_vec()
}

pub(crate) fn task(text: &str) -> Vec<Block> {
    vec![Block::Text { text: text.to_owned() }]
}

/// A run of steps, one after another.
pub(crate) fn line<const N: usize>(text: &str, names: [&str; N]) -> Draft {
    Draft::Sequential { task: task(text), agents: agents(names), sequence: None }
}

/// Text, in a piece or in the snapshot of a subscriber that came later.
pub(crate) fn has_text(body: &Body) -> bool {
    match body {
        Body::Delta(_) => true,
        Body::Snapshot { partial, .. } => partial.iter().any(|one| !one.text.is_empty()),
        Body::Event { .. } | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => {
            false
        }
    }
}

/// From here on the run stands still, until it is resumed.
pub(crate) fn stands_still(body: &Body) -> bool {
    match body {
        Body::Snapshot { view, .. } => matches!(view.run.phase, Phase::Paused(_)),
        Body::Event { event, .. } => {
            matches!(
                event.event,
                RunEvent::RunPaused(_) | RunEvent::RunHalted(_) | RunEvent::RunStalled(_)
            )
        }
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    }
}

impl Process {
    /// Starts a run, or is refused.
    pub(crate) async fn try_start(
        &self,
        user: &User,
        start: StartRun,
        idempotency: Option<&str>,
    ) -> Result<RunDone, Failure> {
        let command = RunCommand::Start(Box::new(start));
        self.ports.run_commands.run(user.call(idempotency), command).await
    }

    pub(crate) async fn start_run(&self, user: &User, draft: Draft) -> RunId {
        self.try_start(user, start(draft), None).await.unwrap().run
    }

    pub(crate) async fn ask(
        &self,
        user: &User,
        run: RunId,
        ask: ControlRequest,
    ) -> Result<RunDone, Failure> {
        let command = RunCommand::Ask { run, ask };
        self.ports.run_commands.run(user.call(None), command).await
    }

    pub(crate) async fn detail(&self, user: &User, run: RunId) -> RunDetail {
        self.ports.run_reads.run(user.id(), run).await.unwrap().expect("the run is the user's")
    }

    pub(crate) async fn messages(
        &self,
        user: &User,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> BoxStream<'static, Result<FeedMessage, Failure>> {
        let feed = self.ports.run_feeds.follow(user.id(), run, after).await.unwrap();
        feed.expect("the run is the user's").messages
    }

    /// Waits for a message of the run's feed.
    pub(crate) async fn until(
        &self,
        user: &User,
        run: RunId,
        mut pleases: impl FnMut(&Body) -> bool,
    ) -> FeedMessage {
        let waiting = async {
            let mut messages = self.messages(user, run, None).await;
            while let Some(message) = messages.next().await {
                let message = message.unwrap();
                if pleases(&message.body) {
                    return message;
                }
            }
            panic!("the run ended without it");
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it takes too long")
    }

    /// The run once it has ended.
    pub(crate) async fn ended(&self, user: &User, run: RunId) -> RunDetail {
        self.until(user, run, |body| matches!(body, Body::Terminal(_))).await;
        self.detail(user, run).await
    }

    /// Waits until the run stands still.
    pub(crate) async fn paused(&self, user: &User, run: RunId) -> RunDetail {
        self.until(user, run, stands_still).await;
        self.detail(user, run).await
    }

    /// The run's events.
    pub(crate) async fn events(&self, run: RunId) -> Vec<StoredEvent> {
        self.store.read_stream(StreamName::Run(run.0), 0, 10_000).await.unwrap()
    }

    /// Their types.
    pub(crate) async fn kinds(&self, run: RunId) -> Vec<String> {
        self.events(run).await.into_iter().map(|event| event.envelope.kind).collect()
    }
}
