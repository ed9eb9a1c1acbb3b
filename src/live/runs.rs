//! The feed of one run for one subscriber: messages of the run's room, and for what the room no
//! longer keeps, a fold of its own.

use super::run_room::{PAUSE, Room, RunRooms};
use crate::limits::{Held, NoRoom};
use crate::reads::{Pace, RunReader, StoreReads, feed_failure};
use claviger_application::{Answer, RunFeeds, RunMessages};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_projections::run_feed::{Batch, FeedCursor, FeedMessage, Outbox, Subscriber, Wants};
use futures::StreamExt as _;
use futures::stream::unfold;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Messages that a subscriber takes from the room at a time, and their bytes: also the largest piece
/// of text that is merged for a slow reader.
const TAKEN: (usize, usize) = (64, 64 * 1024);

/// How long a message waits for memory that the owner's other streams hold.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct LiveRuns {
    /// Reads the log and opens its events.
    pub reads: Arc<StoreReads>,
    pub rooms: Arc<RunRooms>,
}

impl RunFeeds for LiveRuns {
    fn follow(
        &self,
        user: UserId,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> Answer<'_, Option<RunMessages>> {
        Box::pin(async move {
            let Some(reader) = self.reads.reader_of(user, run).await? else { return Ok(None) };
            let (room, asked) = self.rooms.enter(&reader, after);
            let mut changes = room.shared.changes();
            // An invalid cursor is refused before the stream begins.
            room.shared.answered(asked, &mut changes).await?;
            let outbox = Outbox::new(TAKEN.0, TAKEN.1).holding(TAKEN.1);
            let subscriber = Subscriber::new(&room.shared.lock().feed, after, outbox)
                .map_err(|error| feed_failure(&error))?;
            // Boxed: an unfolded stream holds its state twice.
            let mut following = Box::new(Following {
                held: self.rooms.hold(&reader),
                room,
                changes,
                reader,
                pace: Pace::default(),
                subscriber,
            });
            following.pay().await?;
            let messages = unfold(Some(following), |following| async {
                let mut following = following?;
                match following.step().await {
                    Ok(Some(message)) => Some((Ok(message), Some(following))),
                    Ok(None) => None,
                    Err(failure) => Some((Err(failure), None)),
                }
            });
            Ok(Some(RunMessages { messages: messages.boxed() }))
        })
    }
}

struct Following {
    /// Memory for the messages that were taken, and for a fold apart.
    held: Held,
    room: Arc<Room>,
    changes: watch::Receiver<()>,
    reader: RunReader,
    pace: Pace,
    subscriber: Subscriber,
}

impl Following {
    /// The next message; `None` after the run's end. Nothing is read ahead of the consumer.
    async fn step(&mut self) -> Result<Option<FeedMessage>, Failure> {
        loop {
            // What was held for this message stays held until the next one is wanted, since it is
            // shown meanwhile.
            if let Some(message) = self.subscriber.pop() {
                return Ok(Some(message));
            }
            match self.subscriber.wants() {
                Wants::Nothing => return Ok(None),
                Wants::Store(after) => self.catch_up(after).await?,
                Wants::Shared => {
                    // Before the look: a change during it wakes the wait.
                    self.changes.borrow_and_update();
                    if !self.take()? {
                        self.pay().await?;
                        // The sender lives as long as the room.
                        let _ = self.changes.changed().await;
                    }
                }
            }
            self.pay().await?;
        }
    }

    /// Takes messages of the room. Returns whether anything has changed.
    fn take(&mut self) -> Result<bool, Failure> {
        let state = self.room.shared.lock();
        match (self.subscriber.take(&state.feed), &state.end) {
            (false, Some(Err(failure))) => Err(failure.clone()),
            (has_changed, _) => Ok(has_changed),
        }
    }

    /// Reads once for the fold apart.
    async fn catch_up(&mut self, after: (u64, (u64, u64))) -> Result<(), Failure> {
        let batch = self.read_patiently(after).await?;
        self.subscriber.fold(batch).map_err(|error| feed_failure(&error))?;
        // Not waited for: several folds that are half done would wait for each other.
        let (apart, taken) = self.subscriber.bytes();
        if apart > 0 {
            self.held.at_least(apart.saturating_add(taken)).map_err(NoRoom::failure)?;
        }
        Ok(())
    }

    async fn read_patiently(&mut self, after: (u64, (u64, u64))) -> Result<Batch, Failure> {
        let mut pause = PAUSE.0;
        loop {
            match self.reader.batch(after, &mut self.pace).await {
                Err(failure) if failure.code == ErrorCode::StoreUnavailable => sleep(pause).await,
                answered => return answered,
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Holds memory for what was taken, once there is room.
    async fn pay(&mut self) -> Result<(), Failure> {
        let (apart, taken) = self.subscriber.bytes();
        let needed = apart.saturating_add(taken);
        self.held.wait_for(needed, PATIENCE).await.map_err(NoRoom::failure)
    }
}
