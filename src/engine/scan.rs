//! The scan of the open runs, as a task of its own: whatever it waits for, runs that hints name
//! begin meanwhile. A row that can't be read, or a control stream that can't, concerns its own run
//! only.

use super::decide::PreviousOwner;
use super::parts::Shared;
use crate::system::failure::store_failure;
use crate::views::read_open_run;
use claviger_domain::failure::Failure;
use claviger_domain::id::{BootId, RunId, UserId};
use claviger_projections::ports::{Hold, LeaseName, OPEN_RUNS, ViewRow};
use claviger_projections::runs::OpenRun;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

/// Rows of open runs that are read at a time.
const BATCH: usize = 500;

/// Findings that wait for the run set.
const FINDINGS: usize = 64;

/// The pause before a page that couldn't be read is read again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a scan found out about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It may need work, and no other live process works on it.
    Work(UserId, RunId, PreviousOwner),
    /// Another process works on it.
    Theirs(UserId, RunId),
    /// Its row can't be read.
    Unreadable(RunId),
}

/// The findings of a scan, until it ends.
pub(super) type Findings = mpsc::Receiver<Finding>;

struct Scan {
    shared: Arc<Shared>,
    found: mpsc::Sender<Finding>,
    /// Whether each process is gone, as far as that was asked.
    gone: HashMap<BootId, bool>,
}

/// Begins to scan the open runs but for those to `skip`. Of paused runs, those are found of which
/// something was requested since the scan before.
pub(super) fn scan(shared: &Arc<Shared>, skip: HashSet<RunId>) -> Findings {
    let (found, findings) = mpsc::channel(FINDINGS);
    let mut scan = Scan { shared: Arc::clone(shared), found, gone: HashMap::new() };
    let controlled = shared.parts.hub.take_controlled();
    shared.parts.tracker.spawn(async move { scan.run(&skip, &controlled).await });
    findings
}

/// Begins to look at all paused runs, for requests that came before this process listened: only a
/// crash between a request and its hint leaves one.
pub(super) fn scan_paused(shared: &Arc<Shared>) -> Findings {
    let (found, findings) = mpsc::channel(FINDINGS);
    let scan = Scan { shared: Arc::clone(shared), found, gone: HashMap::new() };
    shared.parts.tracker.spawn(async move { scan.run_paused().await });
    findings
}

impl Scan {
    async fn page(&self, after: Option<(UserId, Uuid)>) -> Result<Vec<ViewRow>, Failure> {
        let rows = self.shared.store().rows_of_all(OPEN_RUNS, after, BATCH).await;
        rows.map_err(|error| store_failure(&error))
    }

    async fn run(&mut self, skip: &HashSet<RunId>, controlled: &HashSet<RunId>) {
        let mut after = None;
        loop {
            let rows = match self.page(after).await {
                Ok(rows) => rows,
                Err(failure) => {
                    for run in controlled {
                        self.shared.parts.hub.remember(*run);
                    }
                    tracing::warn!(code = failure.code.as_str(), "failed to scan the open runs");
                    return;
                }
            };
            after = rows.last().map(|row| (row.owner, row.id));
            for row in &rows {
                let run = RunId(row.id);
                if skip.contains(&run) {
                    continue;
                }
                let finding = self.finding(row, controlled.contains(&run)).await;
                if let Some(finding) = finding
                    && self.found.send(finding).await.is_err()
                {
                    return;
                }
            }
            if rows.len() < BATCH {
                return;
            }
        }
    }

    async fn finding(&mut self, row: &ViewRow, is_controlled: bool) -> Option<Finding> {
        let (owner, run) = (row.owner, RunId(row.id));
        let Ok(open) = read_open_run(row) else { return Some(Finding::Unreadable(run)) };
        if open.is_paused {
            let is_requested = is_controlled && self.is_requested(run, &open).await;
            return is_requested.then_some(Finding::Work(owner, run, PreviousOwner(None)));
        }
        let holder = self.shared.parts.holder;
        let Some(process) = open.owner.filter(|process| process.0 != holder.0) else {
            return Some(Finding::Work(owner, run, PreviousOwner(None)));
        };
        let known = self.gone.get(&process).copied();
        let is_gone = if let Some(is_gone) = known {
            is_gone
        } else {
            let is_gone = self.take_over(process).await;
            self.gone.insert(process, is_gone);
            is_gone
        };
        Some(if is_gone {
            Finding::Work(owner, run, PreviousOwner(Some(process)))
        } else {
            Finding::Theirs(owner, run)
        })
    }

    /// Whether something was requested of a paused run since its pause.
    async fn is_requested(&self, run: RunId, open: &OpenRun) -> bool {
        match self.shared.aggregates().run_control(run).await {
            Ok(control) => control.version() > open.control,
            Err(failure) => {
                let code = failure.code.as_str();
                tracing::warn!(%run, code, "failed to read what was requested of a run");
                self.shared.parts.hub.remember(run);
                false
            }
        }
    }

    async fn run_paused(&self) {
        let mut after = None;
        loop {
            let Ok(rows) = self.page(after).await else {
                tokio::select! {
                    () = sleep(PAUSE) => continue,
                    () = self.found.closed() => return,
                }
            };
            after = rows.last().map(|row| (row.owner, row.id));
            for row in &rows {
                // The other scan reports rows that can't be read.
                let Ok(open) = read_open_run(row) else { continue };
                let run = RunId(row.id);
                if open.is_paused && self.is_requested(run, &open).await {
                    let finding = Finding::Work(row.owner, run, PreviousOwner(None));
                    if self.found.send(finding).await.is_err() {
                        return;
                    }
                }
            }
            if rows.len() < BATCH || self.found.is_closed() {
                return;
            }
        }
    }

    /// Tries to get another engine's lease. Getting it means that engine is gone, so its runs may
    /// be claimed. The lease is not released: an engine that resumes after all detects by it that
    /// it has lost its runs.
    async fn take_over(&self, process: BootId) -> bool {
        let settings = self.shared.parts.settings;
        let ttl_ms = u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX);
        let lease = LeaseName::Engine(process.0);
        match self.shared.store().hold(lease, self.shared.parts.holder, ttl_ms).await {
            Ok(Hold::Ours { .. }) => true,
            Ok(Hold::Theirs { .. }) => false,
            Err(error) => {
                tracing::warn!(%lease, %error, "cannot request the lease");
                false
            }
        }
    }
}
