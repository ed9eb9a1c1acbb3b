//! Work that only one process may do at a time: it runs while this process holds the work's lease.

use claviger_projections::ports::{Hold, Holder, LeaseName, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// A lease, and how it is held.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a trait object")]
pub struct LeaseHolder {
    pub store: Arc<dyn Store>,
    pub name: LeaseName,
    /// This process.
    pub holder: Holder,
    /// How long the lease lasts unless it is renewed.
    pub ttl: Duration,
}

impl LeaseHolder {
    /// Runs `work` whenever the lease is held, until shutdown. `work` receives the fencing token it
    /// may write under and a cancellation token. It must end soon after its cancellation, which
    /// comes at shutdown and, by this process's monotonic clock, before the lease can lapse.
    pub async fn run<F: Future<Output = ()>>(
        &self,
        shutdown: &CancellationToken,
        work: impl Fn(u64, CancellationToken) -> F,
    ) {
        while !shutdown.is_cancelled() {
            let asked = Instant::now();
            // An unavailable store must not delay shutdown; a lease that it grants too late lapses
            // by itself.
            let Some(held) = shutdown.run_until_cancelled(self.hold()).await else { return };
            let wait = match held {
                Some(Hold::Ours { token }) => {
                    tracing::info!(lease = %self.name, token, "this process holds the lease");
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

    /// Works until the lease is lost, the work ends by itself, or shutdown. Then releases the
    /// lease.
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
            Ok(true) => tracing::info!(lease = %self.name, "released the lease"),
            Ok(false) => tracing::warn!(lease = %self.name, "another process holds the lease"),
            Err(error) => {
                tracing::warn!(lease = %self.name, %error, "cannot release the lease: it will lapse");
            }
        }
    }

    /// Renews until the work is over or the lease is lost. `since` is a time before the request for
    /// the lease, so the lease lasts at least as long as assumed.
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
                    tracing::warn!(lease = %self.name, "lost the lease");
                    return;
                }
                Ok(None) => {}
                Err(_) => {
                    tracing::warn!(lease = %self.name, "could not renew the lease in time");
                    return;
                }
            }
        }
    }

    async fn hold(&self) -> Option<Hold> {
        let ttl_ms = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        let held = self.store.hold(self.name, self.holder, ttl_ms).await;
        held.inspect_err(
            |error| tracing::warn!(lease = %self.name, %error, "cannot request the lease"),
        )
        .ok()
    }

    /// The interval between renewals, and between attempts to get the lease.
    fn renewal(&self) -> Duration {
        (self.ttl / 3).max(Duration::from_millis(1))
    }
}
