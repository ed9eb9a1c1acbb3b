//! The view of runs that have not ended, by which engines find work. Its rows have no content, so
//! that looking for work needs no key.

use super::inline::InlineView;
use super::owner_state::OwnerState;
use super::row::open_row;
use super::runs::reads_runs;
use crate::system::environment::Environment;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{OPEN_RUNS, StoreError, ViewRow};
use claviger_projections::runs::{OpenRun, RunSummary};
use claviger_vault::ContentKey;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Runs that have not ended.
pub(super) struct OpenRuns;

impl InlineView for OpenRuns {
    fn reads(&self, stream: StreamName) -> bool {
        reads_runs(stream)
    }

    fn stream(&self, _: UserId, id: Uuid) -> StreamName {
        StreamName::Run(id)
    }

    fn has_content(&self) -> bool {
        false
    }

    fn ids(&self, state: &OwnerState) -> BTreeSet<Uuid> {
        state.runs().filter(|run| run.open().is_some()).map(|run| run.id.0).collect()
    }

    fn agrees(&self, state: &OwnerState, row: &ViewRow, _: Option<&ContentKey>) -> bool {
        let should = state.run(row.id).map(|run| open_run_row(state.owner(), run));
        matches!(should, Some(Ok(Some(should))) if should == *row)
    }

    fn encode(
        &self,
        state: &OwnerState,
        id: Uuid,
        _: Option<&ContentKey>,
        _: &Environment,
    ) -> Result<Option<ViewRow>, StoreError> {
        match state.run(id) {
            Some(run) => open_run_row(state.owner(), run),
            None => Ok(None),
        }
    }
}

/// Encodes the row of a run that hasn't ended; `None` once it has.
pub(super) fn open_run_row(
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

/// Decodes the row of a run that hasn't ended.
pub(crate) fn read_open_run(row: &ViewRow) -> Result<OpenRun, Failure> {
    open_row::<OpenRun, ()>(row, None).map(|(open, _)| open)
}
