//! The engine of a process: it holds the process's lease, and works on runs while it does
//! ([`super::run_set`]).

use super::parts::{EngineParts, Shared};
use super::queue::{Bounds, Queue};
use super::run_set::RunSet;
use super::told::follow_keys;
use crate::background::lease::LeaseHolder;
use crate::bus::WakeEngine;

use claviger_domain::id::{RunId, UserId};
use claviger_projections::flusher::{Flusher, FlusherParts};
use claviger_projections::ports::LeaseName;
use futures::future::FutureExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the text of runs may take to become durable at shutdown.
const FLUSH: Duration = Duration::from_secs(1);

/// Sends hints to the engine: runs that may need work.
#[derive(Clone, Debug)]
pub struct EngineHandle(mpsc::UnboundedSender<(UserId, RunId)>);

impl WakeEngine for EngineHandle {
    fn wake(&self, owner: UserId, run: RunId) {
        // If the engine has ended, the scans of the others find the run.
        let _ = self.0.send((owner, run));
    }
}

impl EngineHandle {
    /// A handle, and the receiver of its hints.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<(UserId, RunId)>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

/// The engine of a process.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Engine {
    shared: Arc<Shared>,
    flusher: Flusher,
    hints: mpsc::UnboundedReceiver<(UserId, RunId)>,
}

impl Engine {
    /// An engine; nothing happens before [`Engine::run`].
    pub fn new(parts: EngineParts, hints: mpsc::UnboundedReceiver<(UserId, RunId)>) -> Self {
        let clock = Arc::clone(&parts.reads.env.clock);
        let (flusher, flush) = Flusher::new(FlusherParts {
            store: Arc::clone(&parts.reads.store) as _,
            listener: Arc::clone(&parts.runs) as _,
            now: Arc::new(move || clock.now()),
            pause: Arc::new(|tries| sleep(Duration::from_millis(50 << tries.min(5))).boxed()),
        });
        let queue = Queue::new(
            Arc::clone(&parts.reads.env.timer),
            parts.tracker.clone(),
            Bounds {
                per_lane: parts.settings.calls_per_key,
                max_plan: parts.settings.max_plan_calls,
                at_once: parts.settings.calls_at_once,
            },
        );
        Self { shared: Arc::new(Shared { parts, queue, flush }), flusher, hints }
    }

    /// Works until shutdown, and then until the calls under way have ended, at most for the drain
    /// time.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { shared, flusher, hints } = self;
        let flushing = shared.parts.tracker.spawn(flusher.run());
        let holder = shared.parts.holder;
        let lease_holder = LeaseHolder {
            store: Arc::clone(shared.store()),
            name: LeaseName::Engine(holder.0),
            holder,
            ttl: shared.parts.settings.lease,
        };
        // The lease is kept while calls end: a process that got it would retry them.
        let done = CancellationToken::new();
        let (hints, serves) = (tokio::sync::Mutex::new(hints), AtomicBool::new(false));
        let working = lease_holder.run(&done, |_, lost| {
            let (shared, shutdown, done) = (Arc::clone(&shared), shutdown.clone(), done.clone());
            let (hints, serves) = (&hints, &serves);
            async move {
                serves.store(true, Ordering::SeqCst);
                let mut hints = hints.lock().await;
                RunSet::new(shared, &lost).serve(&mut hints, &shutdown, &lost).await;
                serves.store(false, Ordering::SeqCst);
                if shutdown.is_cancelled() {
                    done.cancel();
                }
            }
        });
        let following =
            follow_keys(Arc::clone(&shared.parts.hub), Arc::clone(&shared.queue), shutdown.clone());
        let stopping = async {
            shutdown.cancelled().await;
            shared.queue.close();
            // Without the lease there is nothing to wait for.
            if !serves.load(Ordering::SeqCst) {
                done.cancel();
            }
        };
        tokio::join!(working, stopping, following);
        drop(shared);
        // Text that the store doesn't take now is lost with the process, as in a crash.
        let abort = flushing.abort_handle();
        if timeout(FLUSH, flushing).await.is_err() {
            abort.abort();
        }
    }
}
