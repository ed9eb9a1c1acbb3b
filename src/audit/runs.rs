//! Compares every run's rows with the log. Each run has its own content key, which is dropped once
//! its row is compared.

use super::verify::Report;
use crate::keychain::Keychain;
use crate::system::failure::store_failure;
use crate::views::{open_run_row, run_row_says};
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{OPEN_RUNS, Page, RUNS, Store};
use claviger_projections::runs::RunSummary;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Rows read at a time.
const BATCH: usize = 1000;

/// The state of a run after an event.
pub(super) enum Taken {
    Open,
    Ended,
    /// There is no run: its first event is missing.
    Nothing,
}

/// The runs folded from the log.
#[derive(Default)]
pub(super) struct Runs {
    summaries: BTreeMap<(UserId, Uuid), RunSummary>,
}

impl Runs {
    pub(super) fn take(
        &mut self,
        owner: UserId,
        run: Uuid,
        event: &RunEvent,
        at: Timestamp,
    ) -> Taken {
        let before = self.summaries.remove(&(owner, run));
        let Some(after) = RunSummary::after(before, event, at) else { return Taken::Nothing };
        let taken = if after.facts.state.is_final() { Taken::Ended } else { Taken::Open };
        self.summaries.insert((owner, run), after);
        taken
    }

    /// Compares both views with the log: no row may be missing or extra. Erased users have no rows.
    pub(super) async fn compare(
        mut self,
        store: &dyn Store,
        keychain: &Keychain,
        erased: &HashSet<UserId>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.summaries.retain(|(owner, _), _| !erased.contains(owner));
        self.compare_open(store, report).await?;
        self.compare_all(store, keychain, report).await
    }

    async fn compare_open(&self, store: &dyn Store, report: &mut Report) -> Result<(), Failure> {
        let mut wrong = |run: Uuid| {
            report.problem(format!("the open run {run} in the view does not agree with the log"));
        };
        let mut should = BTreeMap::new();
        for (place, summary) in &self.summaries {
            if let Some(row) =
                open_run_row(place.0, summary).map_err(|error| store_failure(&error))?
            {
                should.insert(*place, row);
            }
        }
        let mut after = None;
        loop {
            let rows = store
                .rows_of_all(OPEN_RUNS, after, BATCH)
                .await
                .map_err(|error| store_failure(&error))?;
            let Some(last) = rows.last() else { break };
            after = Some((last.owner, last.id));
            for row in rows {
                if should.remove(&(row.owner, row.id)).as_ref() != Some(&row) {
                    wrong(row.id);
                }
            }
        }
        for (_, run) in should.keys() {
            wrong(*run);
        }
        Ok(())
    }

    /// Compares owner by owner, using the index for lists, because there may be many ended runs.
    async fn compare_all(
        mut self,
        store: &dyn Store,
        keychain: &Keychain,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let owners =
                store.owners(RUNS, after, BATCH).await.map_err(|error| store_failure(&error))?;
            let Some(last) = owners.last() else { break };
            after = Some(*last);
            for owner in owners {
                self.compare_owner(store, keychain, owner, report).await?;
            }
        }
        for missing in self.summaries.values() {
            wrong(report, missing.id);
        }
        Ok(())
    }

    async fn compare_owner(
        &mut self,
        store: &dyn Store,
        keychain: &Keychain,
        owner: UserId,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let keys = keychain.user(owner).await?;
        let mut page = Page { limit: BATCH, ..Page::default() };
        loop {
            let found =
                store.page(RUNS, owner, page).await.map_err(|error| store_failure(&error))?;
            page.after = found.rows.last().map(|row| (row.sort, row.id));
            for row in &found.rows {
                report.runs += 1;
                let key = match &keys {
                    Some(keys) => keychain.content_key(keys, row.stream).await?,
                    None => None,
                };
                let should = self.summaries.remove(&(owner, row.id));
                if !should.is_some_and(|should| run_row_says(row, key.as_ref(), &should)) {
                    wrong(report, RunId(row.id));
                }
            }
            if !found.more {
                return Ok(());
            }
        }
    }
}

fn wrong(report: &mut Report, run: RunId) {
    report.problem(format!("the run {run} in the view does not agree with the log"));
}
