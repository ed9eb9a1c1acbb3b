//! Every run's rows against the log. A run has a content key of its own, so none is kept once its row is compared.

use super::verify::Report;
use crate::bus::{Keychain, UserKeys, open_run_row, run_row_says, store_failure};
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{OPEN_RUNS, RUNS, Store, ViewRow};
use claviger_projections::runs::RunSummary;
use claviger_vault::ContentKey;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// How many rows are read at a time.
const BATCH: usize = 1000;

/// What an event made of its run.
pub(super) enum Taken {
    /// It goes on.
    Open,
    /// It has ended.
    Ended,
    /// There is no run: it has no beginning.
    Nothing,
}

/// Runs as the log says they are.
#[derive(Default)]
pub(super) struct Runs {
    summaries: BTreeMap<(UserId, Uuid), RunSummary>,
}

impl Runs {
    pub(super) fn take(&mut self, owner: UserId, run: Uuid, event: &RunEvent, at: Timestamp) -> Taken {
        let before = self.summaries.remove(&(owner, run));
        let Some(after) = RunSummary::after(before, event, at) else { return Taken::Nothing };
        let taken = if after.facts.state.is_final() { Taken::Ended } else { Taken::Open };
        self.summaries.insert((owner, run), after);
        taken
    }

    /// Compares both views with the log: none is missing, and there is none more. Erased users have none.
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
        let mut wrong = |run: Uuid| report.problem(format!("the open run {run} in the view isn't that of the log"));
        let mut should = BTreeMap::new();
        for (place, summary) in &self.summaries {
            if let Some(row) = open_run_row(place.0, summary).map_err(|error| store_failure(&error))? {
                should.insert(*place, row);
            }
        }
        let mut rows = AllRows::new(store, OPEN_RUNS);
        while let Some(batch) = rows.next().await? {
            for row in batch {
                if should.remove(&(row.owner, row.id)).as_ref() != Some(&row) {
                    wrong(row.id);
                }
            }
        }
        should.keys().for_each(|(_, run)| wrong(*run));
        Ok(())
    }

    async fn compare_all(mut self, store: &dyn Store, keychain: &Keychain, report: &mut Report) -> Result<(), Failure> {
        let wrong = |report: &mut Report, run| report.problem(format!("the run {run} in the view isn't that of the log"));
        let mut keys = KeysOfOne { keychain, keys: None };
        let mut rows = AllRows::new(store, RUNS);
        while let Some(batch) = rows.next().await? {
            for row in batch {
                report.runs += 1;
                let key = keys.content_key(&row).await?;
                let should = self.summaries.remove(&(row.owner, row.id));
                if !should.is_some_and(|should| run_row_says(&row, key.as_ref(), &should)) {
                    wrong(report, RunId(row.id));
                }
            }
        }
        self.summaries.values().for_each(|missing| wrong(report, missing.id));
        Ok(())
    }
}

/// All rows of a view, owner by owner.
struct AllRows<'store> {
    store: &'store dyn Store,
    view: &'static str,
    after: Option<(UserId, Uuid)>,
}

impl<'store> AllRows<'store> {
    const fn new(store: &'store dyn Store, view: &'static str) -> Self {
        Self { store, view, after: None }
    }

    async fn next(&mut self) -> Result<Option<Vec<ViewRow>>, Failure> {
        let rows = self.store.rows_of_all(self.view, self.after, BATCH).await.map_err(|error| store_failure(&error))?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some((last.owner, last.id));
        Ok(Some(rows))
    }
}

/// The keys of the owner whose rows are looked at.
struct KeysOfOne<'keychain> {
    keychain: &'keychain Keychain,
    keys: Option<(UserId, Option<UserKeys>)>,
}

impl KeysOfOne<'_> {
    async fn content_key(&mut self, row: &ViewRow) -> Result<Option<ContentKey>, Failure> {
        if self.keys.as_ref().is_none_or(|(owner, _)| *owner != row.owner) {
            self.keys = Some((row.owner, self.keychain.user(row.owner).await?));
        }
        match &self.keys {
            Some((_, Some(keys))) => self.keychain.content_key(keys, row.stream).await,
            Some((_, None)) | None => Ok(None),
        }
    }
}
