//! Stores that hold a process at one of its appends, so that it can be dropped there.

use crate::harness::bent::{Bent, Over};
use claviger_domain::id::RunId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, DeltaRow, FlushError, Hold, Holder, LeaseName, Store,
    StoreError,
};
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Where exactly a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Before the append is made.
    Before,
    /// After it is durable, and before the process learns of it.
    After,
    /// Before it is made; it is made all the same, when the next process has read the run and is
    /// about to claim it.
    Late,
}

/// A store that answers nothing any more from a certain append of a run's events on.
pub(super) struct Halting {
    inner: Arc<dyn Store>,
    /// At which one, from 1.
    at: usize,
    when: When,
    met: AtomicUsize,
    halted: watch::Sender<Option<RunId>>,
    held: Mutex<Option<Append>>,
    /// Made before the next append of a run's events.
    late: Mutex<Option<Append>>,
}

impl Halting {
    pub(super) fn new(inner: Arc<dyn Store>, at: usize, when: When) -> Arc<Self> {
        let (met, halted) = (AtomicUsize::new(0), watch::Sender::new(None));
        Arc::new(Self {
            inner,
            at,
            when,
            met,
            halted,
            held: Mutex::default(),
            late: Mutex::default(),
        })
    }

    /// One that never halts, and makes the append that another held before it makes its own first.
    pub(super) fn after(other: &Self) -> Arc<Self> {
        let next = Self::new(Arc::clone(&other.inner), usize::MAX, When::Before);
        *next.late.lock().unwrap() = other.held.lock().unwrap().take();
        next
    }

    pub(super) fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        Over::store(self)
    }

    /// Waits until it has halted.
    pub(super) async fn halted(&self) {
        self.halted.subscribe().wait_for(Option::is_some).await.unwrap();
    }

    /// The run at whose append it has halted, if it has.
    pub(super) fn halted_at(&self) -> Option<RunId> {
        *self.halted.borrow()
    }

    /// The same of a run that has ended: a subscriber may have seen its last append before the
    /// store halted there.
    pub(super) async fn halted_by_the_end(&self) -> Option<RunId> {
        if self.met.load(Ordering::SeqCst) >= self.at {
            self.halted().await;
        }
        self.halted_at()
    }

    fn has_halted(&self) -> bool {
        self.halted_at().is_some()
    }

    async fn appended(&self, append: Append) -> Result<Appended, AppendError> {
        if self.has_halted() {
            return pending().await;
        }
        let StreamName::Run(run) = append.stream else { return self.inner.append(append).await };
        let late = self.late.lock().unwrap().take();
        if let Some(late) = late {
            self.inner.append(late).await.unwrap();
        }
        if self.met.fetch_add(1, Ordering::SeqCst) + 1 < self.at {
            return self.inner.append(append).await;
        }
        match self.when {
            When::Before => {}
            When::After => drop(self.inner.append(append).await.unwrap()),
            When::Late => *self.held.lock().unwrap() = Some(append),
        }
        self.halted.send_replace(Some(RunId(run)));
        pending().await
    }
}

impl Bent for Halting {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(self.appended(append))
    }

    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>> {
        if self.has_halted() { Box::pin(pending()) } else { self.inner.flush(rows) }
    }

    fn hold(
        &self,
        name: LeaseName,
        holder: Holder,
        ttl_ms: u64,
    ) -> BoxFuture<'_, Result<Hold, StoreError>> {
        if self.has_halted() { Box::pin(pending()) } else { self.inner.hold(name, holder, ttl_ms) }
    }
}
