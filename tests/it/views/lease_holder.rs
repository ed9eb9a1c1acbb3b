//! Leases in time: on the embedded store, where two holders stand for two processes.

use crate::harness::stores::sqlite;
use claviger::background::lease::LeaseHolder;
use claviger_projections::ports::{Hold, Holder, LeaseName, Store};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long anything is awaited before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

struct Two {
    store: Arc<dyn Store>,
    events: UnboundedReceiver<(u128, u64, &'static str)>,
    sender: UnboundedSender<(u128, u64, &'static str)>,
    tracker: TaskTracker,
    _dir: TempDir,
}

impl Two {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (sender, events) = unbounded_channel();
        let store = sqlite(dir.path());
        Self { store, events, sender, tracker: TaskTracker::new(), _dir: dir }
    }

    /// A holder that works whenever it has the lease; the token stops it.
    fn start(&self, holder: u128, ttl: Duration) -> CancellationToken {
        let shutdown = CancellationToken::new();
        let store = Arc::clone(&self.store);
        let lease_holder = LeaseHolder {
            store,
            name: LeaseName::Timers,
            holder: Holder(Uuid::from_u128(holder)),
            ttl,
        };
        let (stop, sender) = (shutdown.clone(), self.sender.clone());
        self.tracker.spawn(async move {
            let work = |token, over: CancellationToken| {
                let sender = sender.clone();
                async move {
                    sender.send((holder, token, "begins")).unwrap();
                    over.cancelled().await;
                    sender.send((holder, token, "ends")).unwrap();
                }
            };
            lease_holder.run(&stop, work).await;
        });
        shutdown
    }

    async fn next(&mut self) -> (u128, u64, &'static str) {
        timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_holder_that_stops_hands_the_work_over() {
    let mut two = Two::new();
    let first = two.start(1, Duration::from_millis(300));
    assert_eq!(two.next().await, (1, 1, "begins"));
    let second = two.start(2, Duration::from_millis(300));
    first.cancel();
    assert_eq!(two.next().await, (1, 1, "ends"));
    assert_eq!(two.next().await, (2, 2, "begins"));
    second.cancel();
    assert_eq!(two.next().await, (2, 2, "ends"));
    two.tracker.close();
    timeout(PATIENCE, two.tracker.wait()).await.unwrap();
    let free = two.store.hold(LeaseName::Timers, Holder(Uuid::from_u128(3)), 0).await.unwrap();
    assert_eq!(free, Hold::Ours { token: 3 }, "the lease was not freed");
}

#[tokio::test]
async fn a_holder_that_loses_the_lease_ends_the_work_and_begins_again_once_it_is_free() {
    let mut two = Two::new();
    let first = two.start(1, Duration::from_millis(300));
    assert_eq!(two.next().await, (1, 1, "begins"));
    // As if the process had been stopped for longer than its lease: another holder has it when it
    // renews.
    assert!(two.store.release(LeaseName::Timers, Holder(Uuid::from_u128(1))).await.unwrap());
    let other = Holder(Uuid::from_u128(9));
    assert_eq!(
        two.store.hold(LeaseName::Timers, other, 600_000).await.unwrap(),
        Hold::Ours { token: 2 }
    );
    assert_eq!(two.next().await, (1, 1, "ends"));
    assert!(
        two.store.release(LeaseName::Timers, other).await.unwrap(),
        "the holder that lost the lease released it"
    );
    assert_eq!(two.next().await, (1, 3, "begins"));
    first.cancel();
    assert_eq!(two.next().await, (1, 3, "ends"));
}
