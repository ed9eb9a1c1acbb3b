//! Keeps asynchronous views up to date: one follower per view, in the process that holds the view's
//! lease.

use super::lease::LeaseHolder;
use crate::system::metrics::{Level, Metrics};
use crate::views::registry;
use claviger_projections::follower::{FollowedView, Follower, Step};
use claviger_projections::ports::{Fence, Holder, LeaseName, Quarantined, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often an idle follower polls without being woken by a commit.
const POLL: Duration = Duration::from_secs(5);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Every view that has a follower.
pub fn followed_views() -> Vec<Arc<dyn FollowedView>> {
    registry::ALL.iter().filter_map(|view| view.followed()).collect()
}

/// Runs a view's follower whenever this process holds the view's lease.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct ViewFollower {
    store: Arc<dyn Store>,
    view: Arc<dyn FollowedView>,
    lease_holder: LeaseHolder,
    lag: Level,
    quarantined: Level,
}

impl ViewFollower {
    /// Follows `view` while this process holds its lease.
    pub fn new(
        store: Arc<dyn Store>,
        view: Arc<dyn FollowedView>,
        holder: Holder,
        ttl: Duration,
    ) -> Self {
        let name = LeaseName::Follower(view.name());
        let lease_holder = LeaseHolder { store: Arc::clone(&store), name, holder, ttl };
        Self { lease_holder, store, view, lag: Level::default(), quarantined: Level::default() }
    }

    /// Reports the follower's lag and its number of quarantined rows.
    #[must_use]
    pub fn counted(self, metrics: &Metrics) -> Self {
        let name = self.view.name();
        Self {
            lag: metrics.follower_lag(name),
            quarantined: metrics.follower_quarantined(name),
            ..self
        }
    }

    pub async fn run(self, shutdown: CancellationToken) {
        self.lease_holder.run(&shutdown, |token, over| self.follow(token, over)).await;
    }

    async fn follow(&self, token: u64, over: CancellationToken) {
        let fence = Fence { lease: self.lease_holder.name, token };
        let mut follower = Follower::new(Arc::clone(&self.store), Arc::clone(&self.view), fence);
        let mut commits = self.store.watch();
        self.count_quarantined_rows().await;
        while !over.is_cancelled() {
            // Before the step: a commit during it wakes the next one.
            commits.mark_unchanged();
            let (wait, wakes) = match follower.step().await {
                Ok(Step::Advanced { to, quarantined }) => {
                    let behind = commits.borrow().saturating_sub(to);
                    self.lag.set(i64::try_from(behind).unwrap_or(i64::MAX));
                    for row in &quarantined {
                        self.report_quarantined(row);
                    }
                    if !quarantined.is_empty() {
                        self.count_quarantined_rows().await;
                    }
                    continue;
                }
                Ok(Step::Moved) => {
                    self.count_quarantined_rows().await;
                    continue;
                }
                Ok(Step::Fenced) => return,
                Ok(Step::Idle) => {
                    self.lag.set(0);
                    (POLL, true)
                }
                Ok(Step::Stuck(poison)) => {
                    let (position, reason) = (poison.position, poison.reason.as_str());
                    tracing::warn!(
                        view = self.view.name(),
                        position,
                        reason,
                        "cannot apply an event: will retry"
                    );
                    (PAUSE, false)
                }
                Err(error) => {
                    self.report_failure(&error);
                    (PAUSE, false)
                }
            };
            tokio::select! {
                () = over.cancelled() => return,
                () = woken(&mut commits), if wakes => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn count_quarantined_rows(&self) {
        if let Ok(count) = self.store.count_quarantined(self.view.name()).await {
            self.quarantined.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn report_quarantined(&self, row: &Quarantined) {
        tracing::error!(
            view = self.view.name(),
            owner = %row.owner,
            row = %row.id,
            position = row.position,
            reason = row.reason.as_str(),
            "a row no longer advances because an event cannot be applied: run `claviger replay` \
             for its view once the cause is fixed"
        );
    }

    fn report_failure(&self, error: &StoreError) {
        match error {
            StoreError::Unavailable(_) | StoreError::Closed => {
                tracing::warn!(view = self.view.name(), %error, "cannot update the view now");
            }
            StoreError::Corrupt(_) | StoreError::Gap { .. } => {
                tracing::error!(view = self.view.name(), %error, "cannot update the view: run `claviger verify`");
            }
        }
    }
}

/// Resolves at the next commit; never for a closed store.
async fn woken(commits: &mut watch::Receiver<u64>) {
    if commits.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
