//! Timers: key expiry, key tests left open by a crash, old command records. One process at a time
//! runs them, by lease. A late timer admits nothing it shouldn't: wherever expiry matters, the
//! clock is checked directly.

use crate::bus::Bus;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId, TestId};
use claviger_projections::ports::{Store, TimerKind, TimerRow};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);

/// Most timers run in one tick.
const BATCH: usize = 100;

/// Ticks between two sweeps of old records.
const SWEEP: u64 = 600;

#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Timers {
    pub store: Arc<dyn Store>,
    pub bus: Arc<Bus>,
    pub env: Environment,
}

impl Timers {
    /// Runs due timers every tick until cancelled: at shutdown, or when the lease is lost.
    pub async fn run(self: Arc<Self>, over: CancellationToken) {
        let mut ticks: u64 = 0;
        loop {
            self.do_due(&over).await;
            if ticks.is_multiple_of(SWEEP)
                && let Err(error) = self.store.forget_records(self.env.believed_now()).await
            {
                tracing::warn!(%error, "cannot delete old command records now");
            }
            ticks += 1;
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Runs the due timers. One that fails stays due for a later tick.
    pub async fn tick(&self) {
        self.do_due(&CancellationToken::new()).await;
    }

    async fn do_due(&self, over: &CancellationToken) {
        let due = match self.store.due_timers(self.env.believed_now(), BATCH).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot read timers now");
                return;
            }
        };
        for timer in due {
            if over.is_cancelled() {
                return;
            }
            if let Err(failure) = self.dispatch(&timer).await {
                tracing::warn!(kind = ?timer.kind, code = failure.code.as_str(), "a timer failed and stays due");
            }
        }
    }

    async fn dispatch(&self, timer: &TimerRow) -> Result<(), Failure> {
        let TimerRow { owner, subject, .. } = *timer;
        match timer.kind {
            TimerKind::KeyExpiry => self.bus.record_expiry(owner, KeyId(subject)).await,
            TimerKind::KeyTest => {
                self.bus.close_abandoned_test(owner, TestId(subject), timer.command).await
            }
            // Leaves no event.
            TimerKind::DeltaExpiry => {
                let expired = self.store.expire_deltas(owner, RunId(subject)).await;
                expired.map(drop).map_err(|error| store_failure(&error))
            }
        }
    }
}
