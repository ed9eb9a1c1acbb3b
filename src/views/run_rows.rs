//! Rows that are written with a run's events: the run in its owner's list, the row that marks it as
//! open work, and the expiry of its text.

use super::rows::{open_row, row};
use crate::system::environment::Environment;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    InlineViews, OPEN_RUNS, Placed, RUNS, RowChange, StoreError, TimerKind, TimerRow, ViewRow,
};
use claviger_projections::runs::{OpenRun, RunSummary};
use claviger_vault::{ContentKey, ViewAd};
use std::sync::Arc;

/// How long the streamed text of a run is kept after its end: a day. The complete replies are
/// events and stay.
const DELTAS_MS: u64 = 24 * 3600 * 1000;

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
pub(crate) fn run_row(
    owner: UserId,
    summary: &RunSummary,
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let ad = ViewAd { owner, stream: StreamName::Run(summary.id.0), view: RUNS, row: summary.id.0 };
    row(&ad, summary.facts.created_at, (&summary.facts, summary.content.as_ref()), key, env)
}

/// Encodes the row of a run that hasn't ended, by which engines find work; `None` once it has
/// ended.
pub(crate) fn open_run_row(
    owner: UserId,
    summary: &RunSummary,
) -> Result<Option<ViewRow>, StoreError> {
    let Some(open) = summary.open() else { return Ok(None) };
    let facts = serde_json::to_vec(&open)
        .map_err(|_| StoreError::Corrupt("cannot encode a row of open runs".to_owned()))?;
    let (id, sort) = (summary.id.0, summary.facts.created_at.0);
    Ok(Some(ViewRow {
        view: OPEN_RUNS,
        owner,
        id,
        sort,
        stream: StreamName::Run(id),
        facts,
        content: None,
    }))
}

/// Opens a row of the view of runs.
pub(crate) fn open_run(row: &ViewRow, key: Option<&ContentKey>) -> Result<RunSummary, Failure> {
    let (facts, content) = open_row(row, key)?;
    Ok(RunSummary { id: RunId(row.id), facts, content })
}

/// Decodes the row of a run that hasn't ended.
pub(crate) fn read_open_run(row: &ViewRow) -> Result<OpenRun, Failure> {
    open_row::<OpenRun, ()>(row, None).map(|(open, _)| open)
}

/// Whether a row of the view of runs agrees with the log.
pub(crate) fn run_row_says(row: &ViewRow, key: Option<&ContentKey>, should: &RunSummary) -> bool {
    (row.sort, row.stream) == (should.facts.created_at.0, StreamName::Run(should.id.0))
        && row.content.is_some() == should.content.is_some()
        && open_run(row, key).as_ref().ok() == Some(should)
}
