//! A point at which a stream waits until a test lets it continue: no clock, no sleep.

use std::sync::Arc;
use tokio::sync::watch;

/// Cheap to clone; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    open: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Shared { open: watch::Sender::new(false), arrived: watch::Sender::new(0) }))
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gate {}

impl Gate {
    /// Lets all streams pass, now and later.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits until `count` streams have reached the gate. Everything before the gate is written by
    /// then.
    pub async fn arrived(&self, count: usize) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.0.arrived.subscribe().wait_for(|arrived| *arrived >= count).await;
    }

    pub(super) async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}
