//! Timers: key expiry, key tests left open by a crash, old command records. One process at a time does them, by lease. Late timers let nothing through: what they record is judged
//! by the clock wherever it matters.

use crate::bus::Bus;
use crate::effects::Effects;
use claviger_projections::ports::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often timers are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How many are done at a time.
const BATCH: usize = 100;

/// How many ticks between two sweeps of old records.
const SWEEP: u64 = 600;

/// What the timers need.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Timers {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// What does them.
    pub bus: Arc<Bus>,
    /// The outside world.
    pub effects: Effects,
}

impl Timers {
    /// Does what is due, again and again, until it is over: at shutdown, or because the lease went to another process.
    pub async fn run(self: Arc<Self>, over: CancellationToken) {
        let mut ticks: u64 = 0;
        loop {
            self.do_due(&over).await;
            if ticks.is_multiple_of(SWEEP)
                && let Err(error) = self.store.forget_records(self.effects.clock.now()).await
            {
                tracing::warn!(%error, "old command records can't be forgotten now");
            }
            ticks += 1;
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Does what is due now. One that fails stays, and is done at a later tick.
    pub async fn tick(&self) {
        self.do_due(&CancellationToken::new()).await;
    }

    async fn do_due(&self, over: &CancellationToken) {
        let due = match self.store.due_timers(self.effects.clock.now(), BATCH).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "timers can't be read now");
                return;
            }
        };
        for timer in due {
            if over.is_cancelled() {
                return;
            }
            if let Err(failure) = self.bus.on_timer(&timer).await {
                tracing::warn!(kind = ?timer.kind, code = failure.code.as_str(), "a timer waits for the next tick");
            }
        }
    }
}
