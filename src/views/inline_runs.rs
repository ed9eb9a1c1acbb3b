//! An owner's runs, folded from the log. Content keys aren't kept, because each run has its own.

use super::{open_run_row, run_row, run_row_says};
use crate::keychain::{Keychain, decode, open_event};
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{StoredEvent, ViewRow};
use claviger_projections::runs::RunSummary;
use claviger_vault::ContentKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

pub(super) struct Runs {
    keychain: Arc<Keychain>,
    owner: UserId,
    summaries: BTreeMap<RunId, RunSummary>,
}

impl Runs {
    pub(super) const fn new(keychain: Arc<Keychain>, owner: UserId) -> Self {
        Self { keychain, owner, summaries: BTreeMap::new() }
    }

    /// Folds an event of a run. Of all content, only the first event's is part of the view.
    pub(super) async fn take(&mut self, run: Uuid, event: &StoredEvent) -> Result<(), Failure> {
        let mut decoded = decode::<RunEvent>(event, None)?;
        if matches!(decoded, RunEvent::RunRequested(..)) {
            let content = open_event(event, self.content_key(run).await?.as_ref())?;
            decoded = decode(event, content.as_ref().map(|content| content.as_slice()))?;
        }
        let before = self.summaries.remove(&RunId(run));
        let Some(after) = RunSummary::after(before, &decoded, event.envelope.at) else {
            tracing::error!(
                position = event.envelope.position,
                "an event of a run that has no first event"
            );
            return Err(Failure::internal());
        };
        self.summaries.insert(RunId(run), after);
        Ok(())
    }

    /// An erasure removes all rows.
    pub(super) fn erase(&mut self) {
        self.summaries.clear();
    }

    async fn content_key(&self, run: Uuid) -> Result<Option<ContentKey>, Failure> {
        match self.keychain.user(self.owner).await? {
            Some(keys) => self.keychain.content_key(&keys, StreamName::Run(run)).await,
            None => Ok(None),
        }
    }

    /// Whether the view of runs agrees with the log.
    pub(super) async fn agree(&self, rows: &[ViewRow]) -> Result<bool, Failure> {
        if rows.len() != self.summaries.len() {
            return Ok(false);
        }
        for row in rows {
            let Some(should) = self.summaries.get(&RunId(row.id)) else { return Ok(false) };
            let key = self.content_key(row.id).await?;
            if !run_row_says(row, key.as_ref(), should) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The rows the view of runs should have.
    pub(super) async fn rows(&self, env: &Environment) -> Result<Vec<ViewRow>, Failure> {
        let mut rows = Vec::with_capacity(self.summaries.len());
        for summary in self.summaries.values() {
            let key = self.content_key(summary.id.0).await?;
            rows.push(
                run_row(self.owner, summary, key.as_ref(), env)
                    .map_err(|error| store_failure(&error))?,
            );
        }
        Ok(rows)
    }

    /// The rows that unfinished runs should have, by id.
    pub(super) fn open_rows(&self) -> Result<Vec<ViewRow>, Failure> {
        let rows = self
            .summaries
            .values()
            .filter_map(|summary| open_run_row(self.owner, summary).transpose());
        rows.collect::<Result<_, _>>().map_err(|error| store_failure(&error))
    }
}
