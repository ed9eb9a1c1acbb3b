//! What was written down of a run, as an auditor reads it, and what keys are told to do while it goes on.

use super::world::{Process, User, agents, task};
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::Draft;
use claviger_graphql::ports::{KeyCommand, KeyDone};
use serde_json::Value;

impl Process {
    /// The facts of the run's events of a type, with their times, in order.
    pub(super) async fn facts(&self, run: RunId, kind: &str) -> Vec<(u64, Value)> {
        let events = self.events(run).await.into_iter().filter(|event| event.envelope.kind == kind);
        events.map(|event| (event.envelope.at.0, serde_json::from_slice(&event.facts).unwrap())).collect()
    }

    /// A command on keys.
    pub(super) async fn key(&self, user: &User, command: KeyCommand) -> Result<KeyDone, Failure> {
        self.ports.keys.run(user.call(None), command).await
    }

    /// The types of what was asked of the run.
    pub(super) async fn kinds_of_control(&self, run: RunId) -> Vec<String> {
        let stream = claviger_domain::stream::StreamName::RunControl(run.0);
        self.store.read_stream(stream, 0, 1_000).await.unwrap().into_iter().map(|event| event.envelope.kind).collect()
    }

    pub(super) async fn deactivate(&self, user: &User, key: KeyId) {
        self.key(user, KeyCommand::Deactivate { key, expected: None }).await.unwrap();
    }
}

/// A run of steps, one after another.
pub(super) fn line<const N: usize>(text: &str, names: [&str; N]) -> Draft {
    Draft::Sequential { task: task(text), agents: agents(names), sequence: None }
}
