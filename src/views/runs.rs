//! The view of runs: its rows, and what a run's events write in their transaction, which includes
//! the row that marks open work and the expiry of the run's text.

use super::inline::InlineView;
use super::open_runs::open_run_row;
use super::owner_state::OwnerState;
use super::row::{open_row, row};
use crate::system::environment::Environment;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    InlineViews, OPEN_RUNS, Placed, RUNS, RowChange, StoreError, TimerKind, TimerRow, ViewRow,
};
use claviger_projections::runs::RunSummary;
use claviger_vault::{ContentKey, ViewAd};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// How long the streamed text of a run is kept after its end: a day. The complete replies are
/// events and are kept.
pub(crate) const DELTAS_MS: u64 = 24 * 3600 * 1000;

/// Runs, each sealed under a content key of its own. An erasure removes them.
pub(super) struct Runs;

impl InlineView for Runs {
    fn reads(&self, stream: StreamName) -> bool {
        reads_runs(stream)
    }

    fn stream(&self, _: UserId, id: Uuid) -> StreamName {
        StreamName::Run(id)
    }

    fn ids(&self, state: &OwnerState) -> BTreeSet<Uuid> {
        state.runs().map(|run| run.id.0).collect()
    }

    fn agrees(&self, state: &OwnerState, row: &ViewRow, key: Option<&ContentKey>) -> bool {
        state.run(row.id).is_some_and(|should| {
            row.sort == should.facts.created_at.0
                && row.content.is_some() == should.content.is_some()
                && open_run(row, key).as_ref().ok() == Some(should)
        })
    }

    fn encode(
        &self,
        state: &OwnerState,
        id: Uuid,
        key: Option<&ContentKey>,
        env: &Environment,
    ) -> Result<Option<ViewRow>, StoreError> {
        state.run(id).map(|run| run_row(state.owner(), run, key, env)).transpose()
    }
}

/// Views of runs are folded from the runs, and from the account for its erasure.
pub(super) const fn reads_runs(stream: StreamName) -> bool {
    match stream {
        StreamName::Run(_) | StreamName::Account(_) => true,
        StreamName::KeyRing(_) | StreamName::RunControl(_) | StreamName::System => false,
    }
}

/// The rows that a run's events write.
pub(crate) struct RunRows {
    /// The run before the events.
    pub(crate) before: Option<RunSummary>,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) owner: UserId,
    pub(crate) key: Arc<ContentKey>,
    pub(crate) env: Environment,
}

impl InlineViews for RunRows {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let mut summary = self.before.clone();
        let mut end = None;
        for (event, placed) in self.events.iter().zip(placed) {
            summary = RunSummary::after(summary, event, placed.at);
            end = summary
                .as_ref()
                .filter(|summary| summary.facts.state.is_final())
                .map(|_| placed.at);
        }
        let summary =
            summary.ok_or_else(|| StoreError::Corrupt("a run without a first event".to_owned()))?;
        let subject = summary.id.0;
        let mut rows =
            vec![RowChange::PutView(run_row(self.owner, &summary, Some(&self.key), &self.env)?)];
        rows.push(match open_run_row(self.owner, &summary)? {
            Some(row) => RowChange::PutView(row),
            None => RowChange::DeleteView { view: OPEN_RUNS, owner: self.owner, id: subject },
        });
        if let Some(at) = end {
            let (owner, due_at) = (self.owner, at.plus_ms(DELTAS_MS));
            rows.push(RowChange::PutTimer(TimerRow {
                kind: TimerKind::DeltaExpiry,
                owner,
                subject,
                command: None,
                due_at,
            }));
        }
        Ok(rows)
    }
}

/// Encodes a row of the view of runs.
fn run_row(
    owner: UserId,
    summary: &RunSummary,
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let ad = ViewAd { owner, stream: StreamName::Run(summary.id.0), view: RUNS, row: summary.id.0 };
    row(&ad, summary.facts.created_at, (&summary.facts, summary.content.as_ref()), key, env)
}

/// Opens a row of the view of runs.
pub(crate) fn open_run(row: &ViewRow, key: Option<&ContentKey>) -> Result<RunSummary, Failure> {
    let (facts, content) = open_row(row, key)?;
    Ok(RunSummary { id: RunId(row.id), facts, content })
}
