//! Queues what a stream writes, with a bound, between the task that produces it and the body that
//! hyper reads.

use crate::limits::{Held, NoRoom};
use axum::body::Body;
use bytes::Bytes;
use futures::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

struct Waiting {
    bytes: Bytes,
    /// Released when hyper takes the bytes.
    _room: OwnedSemaphorePermit,
}

/// A frame and the memory held for it, until the last of its bytes is sent.
struct Paid {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The sending end of a body.
pub(super) struct Frames {
    /// Holds nothing itself: for whom frames are held.
    payer: Held,
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    most: u32,
}

/// A body and its sender: at most `frames` frames and about `bytes` bytes wait in between, which are
/// held like `payer`.
pub(super) fn channel(frames: usize, bytes: usize, payer: Held) -> (Frames, Body) {
    let most = u32::try_from(bytes.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let (queue, waiting) = mpsc::channel(frames.max(1));
    let body = unfold(waiting, |mut waiting| async {
        let next: Waiting = waiting.recv().await?;
        Some((Ok::<_, Infallible>(next.bytes), waiting))
    });
    let room = Arc::new(Semaphore::new(most as usize));
    (Frames { payer, queue, room, most }, Body::from_stream(body))
}

impl Frames {
    /// Holds memory for a frame.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(super) fn paid(&self, bytes: Bytes) -> Result<Bytes, NoRoom> {
        let mut held = self.payer.sibling();
        held.resize(bytes.len())?;
        Ok(Bytes::from_owner(Paid { bytes, _held: held }))
    }

    /// Waits for room. `false` once the body was dropped.
    pub(super) async fn send(&self, bytes: Bytes) -> bool {
        let weight = u32::try_from(bytes.len()).unwrap_or(u32::MAX).clamp(1, self.most);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(weight).await else {
            return false;
        };
        self.queue.send(Waiting { bytes, _room: room }).await.is_ok()
    }

    /// Waits until the body is dropped.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }
}
