//! Counts commands around the port, so that every way to give one is counted.

use crate::system::metrics::Metrics;
use claviger_application::{Answer, Call, KeyCommand, KeyCommands, KeyDone};
use std::sync::Arc;
use tokio::time::Instant;

/// Counts key commands by outcome.
pub(super) struct MeteredCommands {
    pub(super) commands: Arc<dyn KeyCommands>,
    pub(super) metrics: Metrics,
}

impl KeyCommands for MeteredCommands {
    fn run(&self, call: Call, command: KeyCommand) -> Answer<'_, KeyDone> {
        let name = match &command {
            KeyCommand::Add { .. } => "add",
            KeyCommand::Test { .. } => "test",
            KeyCommand::SetDefault { .. } => "set_default",
            KeyCommand::ClearDefault { .. } => "clear_default",
            KeyCommand::Activate { .. } => "activate",
            KeyCommand::Deactivate { .. } => "deactivate",
            KeyCommand::Rename { .. } => "rename",
            KeyCommand::ReplaceSecret { .. } => "replace_secret",
            KeyCommand::SetExpiry { .. } => "set_expiry",
            KeyCommand::Delete { .. } => "delete",
        };
        Box::pin(async move {
            let began_at = Instant::now();
            let done = self.commands.run(call, command).await;
            self.metrics.commanded(
                name,
                done.as_ref().err().map(|failure| failure.code),
                began_at.elapsed(),
            );
            done
        })
    }
}
