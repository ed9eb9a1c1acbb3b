//! The one reader of a run in this process, whoever follows it: reads the store, folds the run, and
//! keeps the last messages for its subscribers.

use super::EventHub;
use super::run_hub::{RunHub, RunListener};
use crate::limits::{Held, Memory, NoRoom, Payer};
use crate::reads::{Pace, RunReader, feed_failure};
use claviger_application::EventView;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_projections::feed::{Registration, Topic};
use claviger_projections::run_feed::{Batch, FeedCursor, OpenedDeltas, SharedFeed};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Bytes of messages that are kept for subscribers who are a little late. Others read the store.
const KEPT: usize = 1024 * 1024;

/// The shortest and the longest pause between two looks for the text of a run that another process
/// writes: this process's hub doesn't publish it. The pause doubles while nothing comes.
const LOOK: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(1_200));

/// The shortest and the longest pause between reads while the store is unavailable.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The rooms of the runs that somebody in this process follows.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct RunRooms {
    rooms: Mutex<HashMap<RunId, Weak<Room>>>,
    hub: Arc<EventHub>,
    runs: Arc<RunHub>,
    memory: Arc<Memory>,
    tasks: TaskTracker,
    /// The process's own, whoever subscribes: readers end with it.
    runtime: Handle,
}

/// A run and its reader, which stops when the last subscriber is gone.
pub(super) struct Room {
    run: RunId,
    rooms: Arc<RunRooms>,
    pub(super) shared: Arc<Shared>,
    _stop: DropGuard,
}

/// What the reader and the subscribers share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// Wakes the reader: a subscriber asks for what is stored now.
    wanted: Notify,
}

pub(super) struct State {
    pub(super) feed: SharedFeed,
    /// Memory for the fold and its messages, held for the run's owner.
    held: Held,
    /// How often subscribers asked for what is stored, and what of it is answered.
    asked: u64,
    answered: u64,
    /// Why the last read failed, and which requests were waiting for it.
    failed: Option<(u64, Failure)>,
    /// Set once the reader has stopped: after the run's end, or with a failure that is final.
    pub(super) end: Option<Result<(), Failure>>,
}

impl RunRooms {
    /// No rooms. `memory` holds the folds. Within the runtime of the process.
    pub fn new(hub: Arc<EventHub>, runs: Arc<RunHub>, memory: Arc<Memory>) -> Arc<Self> {
        let (tasks, runtime) = (TaskTracker::new(), Handle::current());
        Arc::new(Self { rooms: Mutex::default(), hub, runs, memory, tasks, runtime })
    }

    /// Memory for a subscriber of this run.
    pub(super) fn hold(&self, reader: &RunReader) -> Held {
        self.memory.hold(Payer::User(reader.owner))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Weak<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The room of a run, and the number of a request for what is stored now. The first subscriber's
    /// cursor decides which messages the room keeps from its beginning.
    pub(super) fn enter(
        self: &Arc<Self>,
        reader: &RunReader,
        after: Option<FeedCursor>,
    ) -> (Arc<Room>, u64) {
        let open = self.lock().get(&reader.run).and_then(Weak::upgrade);
        // A room whose reader has stopped is for those who are in it: what it holds may be erased.
        if let Some(room) = open
            && let Some(asked) = room.shared.ask()
        {
            return (room, asked);
        }
        // Two that enter at once may open a room each, of which later ones find the second.
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(after, self.hold(reader)));
        let keeper = Keeper {
            shared: Arc::clone(&shared),
            // Before anything is read, so that the hubs report what is committed meanwhile.
            events: self.hub.register(Topic::Run(reader.run)),
            text: self.runs.listen(reader.run),
            runs: Arc::clone(&self.runs),
            reader: reader.clone(),
            pace: Pace::default(),
            is_behind: true,
            look: LOOK.0,
        };
        let stopped = stop.clone();
        let reading = async move { stopped.run_until_cancelled(keeper.run()).await };
        self.tasks.spawn_on(reading, &self.runtime);
        let room = Arc::new(Room {
            run: reader.run,
            rooms: Arc::clone(self),
            shared,
            _stop: stop.drop_guard(),
        });
        self.lock().insert(reader.run, Arc::downgrade(&room));
        (room, 1)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        // Another one may have taken its place.
        if rooms.get(&self.run).is_some_and(|room| room.strong_count() == 0) {
            rooms.remove(&self.run);
        }
    }
}

impl Shared {
    fn new(after: Option<FeedCursor>, held: Held) -> Self {
        let feed = SharedFeed::new(after, KEPT);
        let state = State { feed, held, asked: 1, answered: 0, failed: None, end: None };
        Self { state: Mutex::new(state), changed: watch::Sender::new(()), wanted: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Asks for what is stored now; `None` once the reader has stopped.
    fn ask(&self) -> Option<u64> {
        let mut state = self.lock();
        if state.end.is_some() {
            return None;
        }
        state.asked += 1;
        let asked = state.asked;
        drop(state);
        self.wanted.notify_one();
        Some(asked)
    }

    /// Waits until a request is answered: the fold has everything that was stored before it.
    pub(super) async fn answered(
        &self,
        asked: u64,
        changes: &mut watch::Receiver<()>,
    ) -> Result<(), Failure> {
        loop {
            if let Some(answer) = self.lock().answer(asked) {
                return answer;
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }
}

/// The reader of one run.
struct Keeper {
    shared: Arc<Shared>,
    events: Registration<Arc<EventView>>,
    text: RunListener,
    runs: Arc<RunHub>,
    reader: RunReader,
    pace: Pace,
    /// The store may hold something that the fold lacks.
    is_behind: bool,
    look: Duration,
}

impl Keeper {
    /// Reads until the run's end, or until a failure that doesn't go away.
    async fn run(mut self) {
        let mut pause = PAUSE.0;
        let end = loop {
            let done = if self.is_behind { self.read().await } else { self.wait().await };
            match done {
                Ok(true) => break Ok(()),
                Ok(false) => pause = PAUSE.0,
                Err(failure) if failure.code == ErrorCode::StoreUnavailable => {
                    self.shared.update(|state| state.failed = Some((state.asked, failure)));
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.shared.wanted.notified() => {}
                    }
                    pause = (pause * 2).min(PAUSE.1);
                    self.is_behind = true;
                }
                Err(failure) => break Err(failure),
            }
        };
        self.shared.update(|state| state.end = Some(end));
    }

    /// Reads the store once. Returns whether the run has ended.
    async fn read(&mut self) -> Result<bool, Failure> {
        let (asked, after) = {
            let state = self.shared.lock();
            (state.asked, state.feed.feed().reading())
        };
        let batch = self.reader.batch(after, &mut self.pace).await?;
        if !batch.events.is_empty() || !batch.rows.is_empty() {
            self.look = LOOK.0;
        }
        let is_end = batch.events_end && batch.rows_end;
        self.shared.update(|state| {
            state.take(batch)?;
            let feed = state.feed.feed();
            self.is_behind = !feed.is_done() && (!is_end || feed.needs_rows());
            if !self.is_behind {
                state.answered = asked;
            }
            Ok(feed.is_done())
        })
    }

    /// Waits for a reason to read. Returns whether the run has ended.
    async fn wait(&mut self) -> Result<bool, Failure> {
        let is_foreign = !self.runs.owns(self.reader.run)
            && self.shared.lock().feed.feed().fold().run().running().next().is_some();
        tokio::select! {
            _ = self.events.told() => self.is_behind = true,
            row = self.text.told() => match row {
                Some(row) => return self.fold_row((*row).clone()),
                None => self.is_behind = true,
            },
            () = self.shared.wanted.notified() => self.is_behind = true,
            () = sleep(self.look), if is_foreign => {
                let after = self.shared.lock().feed.feed().rows_after();
                self.is_behind = self.reader.has_rows(after).await?;
                self.look = (self.look * 2).min(LOOK.1);
            }
        }
        Ok(false)
    }

    fn fold_row(&mut self, row: OpenedDeltas) -> Result<bool, Failure> {
        let place = (row.v, row.d);
        self.shared.update(|state| {
            let before = state.feed.feed().rows_after();
            state.take(Batch { rows: vec![row], ..Batch::default() })?;
            let feed = state.feed.feed();
            // A row that isn't the next one shows that some were missed.
            self.is_behind = place > before && feed.rows_after() < place;
            Ok(feed.is_done())
        })
    }
}

impl State {
    /// The answer to a request, if it has come.
    fn answer(&self, asked: u64) -> Option<Result<(), Failure>> {
        if self.answered >= asked {
            return Some(Ok(()));
        }
        let failed = self.failed.as_ref().filter(|(failed, _)| *failed >= asked);
        self.end.clone().or_else(|| failed.map(|(_, failure)| Err(failure.clone())))
    }

    fn take(&mut self, batch: Batch) -> Result<(), Failure> {
        self.feed.take(batch).map_err(|error| feed_failure(&error))?;
        self.held.resize(self.feed.bytes()).map_err(NoRoom::failure)
    }
}
