//! Work that one process alone does at a time: done while this one holds the lease, and only then.

use claviger_projections::ports::{Hold, Holder, LeaseName, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// A lease, and how it is kept.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a trait object")]
pub struct Tenure {
    /// Where the lease is.
    pub store: Arc<dyn Store>,
    /// What it is for.
    pub name: LeaseName,
    /// This process.
    pub holder: Holder,
    /// How long it lasts unless it is renewed.
    pub ttl: Duration,
}

impl Tenure {
    /// Has the work done whenever the lease is held, until shutdown. The work is given the token it may write under, and must end soon
    /// after its cancellation: it is cancelled before the lease can lapse, by this process's monotonic clock, and at shutdown.
    pub async fn run<F: Future<Output = ()>>(
        &self,
        shutdown: &CancellationToken,
        work: impl Fn(u64, CancellationToken) -> F,
    ) {
        while !shutdown.is_cancelled() {
            let asked = Instant::now();
            // A store that doesn't answer keeps nobody from leaving; what it grants too late lapses by itself.
            let Some(held) = shutdown.run_until_cancelled(self.hold()).await else { return };
            let wait = match held {
                Some(Hold::Ours { token }) => {
                    tracing::info!(lease = %self.name, token, "this process has the lease");
                    let over = shutdown.child_token();
                    self.serve(token, asked, over, &work).await;
                    continue;
                }
                Some(Hold::Theirs { left_ms, .. }) => {
                    Duration::from_millis(left_ms.saturating_add(1)).min(self.renewal())
                }
                None => self.renewal(),
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Works until the lease is lost, the work ends by itself, or shutdown; then the lease is free.
    async fn serve<F: Future<Output = ()>>(
        &self,
        token: u64,
        asked: Instant,
        over: CancellationToken,
        work: &impl Fn(u64, CancellationToken) -> F,
    ) {
        let both = async {
            let worked = async {
                work(token, over.clone()).await;
                over.cancel();
            };
            let renewed = async {
                self.renew(token, asked, &over).await;
                over.cancel();
            };
            tokio::join!(worked, renewed)
        };
        both.await;
        match self.store.release(self.name, self.holder).await {
            Ok(true) => tracing::info!(lease = %self.name, "the lease is free"),
            Ok(false) => tracing::warn!(lease = %self.name, "the lease went to another process"),
            Err(error) => {
                tracing::warn!(lease = %self.name, %error, "the lease can't be freed now: it lapses by itself")
            }
        }
    }

    /// Renews until it is over or the lease is lost. `since` is from before the lease was asked for, so it ends no earlier than it is taken
    /// to.
    async fn renew(&self, token: u64, mut since: Instant, over: &CancellationToken) {
        loop {
            let deadline = since + self.ttl - self.renewal() / 2;
            tokio::select! {
                () = over.cancelled() => return,
                () = sleep_until(deadline.min(Instant::now() + self.renewal())) => {}
            }
            let asked = Instant::now();
            match timeout_at(deadline, self.hold()).await {
                Ok(Some(Hold::Ours { token: now })) if now == token => since = asked,
                Ok(Some(Hold::Ours { .. } | Hold::Theirs { .. })) => {
                    tracing::warn!(lease = %self.name, "the lease was lost");
                    return;
                }
                Ok(None) => {}
                Err(_) => {
                    tracing::warn!(lease = %self.name, "the lease could not be renewed in time");
                    return;
                }
            }
        }
    }

    async fn hold(&self) -> Option<Hold> {
        let ttl_ms = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        let held = self.store.hold(self.name, self.holder, ttl_ms).await;
        held.inspect_err(
            |error| tracing::warn!(lease = %self.name, %error, "the lease can't be asked for now"),
        )
        .ok()
    }

    /// How long between two renewals, or two tries to have it.
    fn renewal(&self) -> Duration {
        (self.ttl / 3).max(Duration::from_millis(1))
    }
}
