//! The events of a run, as an auditor reads them, and commands on keys while it goes on.

use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::app::config::Config;
use claviger::simulator::gate::Gate;
use claviger_application::KeyCommand;
use claviger_domain::id::{KeyId, RunId};
use serde_json::Value;
use std::time::Duration;

/// A lease that a busy machine doesn't lose: a process that lost one would repeat its calls, and
/// these tests count them.
const LONG_LEASE_MS: u64 = 30_000;

impl World {
    /// An empty store whose process keeps its lease.
    pub(super) async fn steady(kind: StoreKind) -> Self {
        Self::with(kind, |config| config.lease_ms = LONG_LEASE_MS).await
    }

    /// The same on the embedded store with another configuration.
    pub(super) async fn steady_with(change: impl FnOnce(&mut Config)) -> Self {
        let change = |config: &mut Config| {
            config.lease_ms = LONG_LEASE_MS;
            change(config);
        };
        Self::with(StoreKind::Sqlite, change).await
    }
}

impl Process {
    /// The facts of the run's events of a type, with their times, in order.
    pub(super) async fn facts(&self, run: RunId, kind: &str) -> Vec<(u64, Value)> {
        let events = self.events(run).await.into_iter().filter(|event| event.envelope.kind == kind);
        events
            .map(|event| (event.envelope.at.0, serde_json::from_slice(&event.facts).unwrap()))
            .collect()
    }

    /// The types of the control requests of the run.
    pub(super) async fn kinds_of_control(&self, run: RunId) -> Vec<String> {
        let stream = claviger_domain::stream::StreamName::RunControl(run.0);
        self.store
            .read_stream(stream, 0, 1_000)
            .await
            .unwrap()
            .into_iter()
            .map(|event| event.envelope.kind)
            .collect()
    }

    pub(super) async fn deactivate(&self, user: &User, key: KeyId) {
        self.key(user, KeyCommand::Deactivate { key, expected: None }).await.unwrap();
    }
}

/// Waits until `count` calls have come to the gate; a run that never makes them fails the test.
pub(super) async fn came(gate: &Gate, count: usize) {
    tokio::time::timeout(Duration::from_mins(1), gate.arrived(count)).await.expect("no call comes");
}
