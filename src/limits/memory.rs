//! Bytes that are held in memory for clients: in all, and for each of them.
//!
//! A count of sockets, subscriptions or bodies says little about memory, because a client decides
//! how large each of them is. What is kept for a client is therefore held here first, in bytes.

use super::rate::refused;
use crate::system::metrics::{Level, Metrics};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// What has at most so many bytes may use the last quarter of a bound, which is closed to larger
/// ones: while somebody fills the memory with large bodies, ordinary requests are still served.
const SMALL: usize = 16 * 1024;

/// What sockets may hold before their clients have signed in: this part of the memory for requests,
/// beside it.
const EARLY: usize = 4;

/// When a client may try again after the process had no room.
const AGAIN_MS: u64 = 1_000;

/// For whom something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    User(UserId),
    /// A client that isn't signed in, by its address; for IPv6 by its network.
    Peer(IpAddr),
    /// All clients whose address is unknown.
    Unknown,
}

/// Most bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySettings {
    pub in_all: usize,
    pub of_one: usize,
}

/// Something does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The process holds too much for all clients together.
    #[error("this server's memory for requests and streams is in use")]
    InAll,
    /// The client holds too much.
    #[error("your requests and streams hold too many bytes: end some first, or request less")]
    OfOne,
}

impl NoRoom {
    /// The failure that every face reports: to wait, or to end something else first.
    pub fn failure(self) -> Failure {
        match self {
            Self::InAll => refused(&self.to_string(), AGAIN_MS),
            Self::OfOne => Failure::new(ErrorCode::LimitExceeded, self.to_string()),
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    in_all: usize,
    by_payer: HashMap<Payer, usize>,
}

/// The bytes held of one kind.
#[derive(Debug)]
pub struct Memory {
    settings: MemorySettings,
    level: Level,
    counts: Mutex<Counts>,
    freed: Notify,
}

/// The memory of a process for clients.
#[derive(Clone, Debug)]
pub struct Memories {
    /// Requests that arrive or are worked on, by peer.
    pub requests: Arc<Memory>,
    /// What sockets keep before their clients have signed in, by peer. Apart from the requests:
    /// who only opens sockets takes no room from those who sign in.
    pub early: Arc<Memory>,
    /// What sockets and streams keep of signed-in users, by user.
    pub streams: Arc<Memory>,
}

impl Memories {
    /// All of them, shown in the metrics.
    pub fn new(requests: MemorySettings, streams: MemorySettings, metrics: &Metrics) -> Self {
        let MemorySettings { in_all, of_one } = requests;
        let early = MemorySettings { in_all: in_all / EARLY, of_one: of_one / EARLY };
        Self {
            early: Memory::new(early, metrics.held("early")),
            requests: Memory::new(requests, metrics.held("requests")),
            streams: Memory::new(streams, metrics.held("streams")),
        }
    }
}

impl Memory {
    /// `level` shows the bytes that are held.
    pub fn new(settings: MemorySettings, level: Level) -> Arc<Self> {
        Arc::new(Self { settings, level, counts: Mutex::default(), freed: Notify::new() })
    }

    /// A holding of nothing yet.
    pub fn hold(self: &Arc<Self>, payer: Payer) -> Held {
        Held { of: Arc::clone(self), payer, bytes: 0, whole: 0 }
    }

    /// A holding of so many bytes.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn take(self: &Arc<Self>, payer: Payer, bytes: usize) -> Result<Held, NoRoom> {
        let mut held = self.hold(payer);
        held.resize(bytes)?;
        Ok(held)
    }

    /// The bytes held for all.
    pub fn in_use(&self) -> usize {
        self.counts().in_all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a holding from `before` to `after` bytes, of something that will have `whole` bytes.
    fn change(
        &self,
        payer: Payer,
        (before, after): (usize, usize),
        whole: usize,
    ) -> Result<(), NoRoom> {
        let is_small = after.max(whole) <= SMALL;
        let most = |bound: usize| if is_small { bound } else { bound - bound / 4 };
        let mut counts = self.counts();
        let of_one = counts.by_payer.get(&payer).copied().unwrap_or_default();
        let moved = |held: usize| held.saturating_sub(before).saturating_add(after);
        let (in_all, of_one) = (moved(counts.in_all), moved(of_one));
        if after > before && of_one > most(self.settings.of_one) {
            return Err(NoRoom::OfOne);
        }
        if after > before && in_all > most(self.settings.in_all) {
            return Err(NoRoom::InAll);
        }
        counts.in_all = in_all;
        if of_one == 0 {
            counts.by_payer.remove(&payer);
        } else {
            counts.by_payer.insert(payer, of_one);
        }
        self.level.set(i64::try_from(in_all).unwrap_or(i64::MAX));
        drop(counts);
        if after < before {
            self.freed.notify_waiters();
        }
        Ok(())
    }
}

/// Bytes held for a client until this is dropped.
#[derive(Debug)]
pub struct Held {
    of: Arc<Memory>,
    payer: Payer,
    bytes: usize,
    /// The bytes of the whole of which a part is held.
    whole: usize,
}

impl Held {
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A holding of nothing for the same client.
    #[must_use]
    pub fn sibling(&self) -> Self {
        self.of.hold(self.payer)
    }

    /// What is held is the beginning of something of so many bytes: the reserve for small holdings
    /// is closed to the first bytes of large ones.
    pub const fn expects(&mut self, whole: usize) {
        self.whole = whole;
    }

    /// Holds so many bytes from now on. To hold fewer never fails.
    ///
    /// # Errors
    /// [`NoRoom`]: it holds what it held before.
    pub fn resize(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes != self.bytes {
            self.of.change(self.payer, (self.bytes, bytes), self.whole)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Holds so many bytes once others have given back enough.
    ///
    /// # Errors
    /// [`NoRoom`] after `patience`: it holds what it held before.
    pub async fn wait_for(&mut self, bytes: usize, patience: Duration) -> Result<(), NoRoom> {
        let (of, deadline) = (Arc::clone(&self.of), Instant::now() + patience);
        loop {
            let mut freed = std::pin::pin!(of.freed.notified());
            // What is given back between the attempt and the wait counts.
            freed.as_mut().enable();
            let Err(no_room) = self.resize(bytes) else { return Ok(()) };
            if timeout_at(deadline, freed).await.is_err() {
                return Err(no_room);
            }
        }
    }

    /// Holds at least so many bytes.
    ///
    /// # Errors
    /// [`NoRoom`]: it holds what it held before.
    pub fn at_least(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.resize(bytes.max(self.bytes))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nothing is held any more, which always fits.
        let _ = self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ADA: Payer = Payer::User(UserId(Uuid::from_u128(1)));
    const BOB: Payer = Payer::User(UserId(Uuid::from_u128(2)));
    const KIB: usize = 1024;

    fn memory(in_all: usize, of_one: usize) -> Arc<Memory> {
        Memory::new(MemorySettings { in_all, of_one }, Level::default())
    }

    #[test]
    fn bytes_are_counted_for_each_client_and_in_all() {
        let memory = memory(160 * KIB, 80 * KIB);
        let mut ada = memory.take(ADA, 60 * KIB).unwrap();
        assert_eq!(ada.resize(61 * KIB), Err(NoRoom::OfOne));
        assert_eq!(ada.bytes(), 60 * KIB, "as before");
        let bob = memory.take(BOB, 60 * KIB).unwrap();
        assert_eq!(memory.take(Payer::Unknown, 20 * KIB).unwrap_err(), NoRoom::InAll);
        drop(bob);
        let other = memory.take(Payer::Unknown, 20 * KIB).unwrap();
        assert_eq!(memory.in_use(), 80 * KIB);
        drop((ada, other));
        assert_eq!((memory.in_use(), memory.counts().by_payer.len()), (0, 0));
    }

    #[test]
    fn the_last_quarter_is_for_small_holdings() {
        let memory = memory(80 * KIB, 80 * KIB);
        let large = memory.take(ADA, 60 * KIB).unwrap();
        assert_eq!(memory.take(BOB, 17 * KIB).unwrap_err(), NoRoom::InAll);
        let mut small = memory.take(BOB, 16 * KIB).unwrap();
        assert_eq!(small.resize(17 * KIB), Err(NoRoom::InAll));
        assert_eq!(memory.take(ADA, 5 * KIB).unwrap_err(), NoRoom::InAll);
        assert!(memory.take(ADA, 4 * KIB).is_ok());
        drop(large);
        assert!(small.resize(60 * KIB).is_ok());
    }

    #[test]
    fn the_beginning_of_something_large_is_not_small() {
        let memory = memory(80 * KIB, 80 * KIB);
        let _large = memory.take(ADA, 60 * KIB).unwrap();
        let mut beginning = memory.hold(BOB);
        beginning.expects(17 * KIB);
        assert_eq!(beginning.resize(1), Err(NoRoom::InAll));
        beginning.expects(16 * KIB);
        assert_eq!(beginning.resize(1), Ok(()));
    }

    #[tokio::test]
    async fn what_has_no_room_now_may_wait_for_it() {
        let memory = memory(80 * KIB, 80 * KIB);
        let (first, mut second) = (memory.take(ADA, 60 * KIB).unwrap(), memory.hold(BOB));
        assert_eq!(second.wait_for(50 * KIB, Duration::ZERO).await, Err(NoRoom::InAll));
        let waiting = second.wait_for(50 * KIB, Duration::from_mins(1));
        let (waited, ()) = tokio::join!(waiting, async { drop(first) });
        assert_eq!(waited, Ok(()));
        assert_eq!(memory.in_use(), 50 * KIB);
    }

    #[test]
    fn what_a_client_can_do_about_it_is_in_the_failure() {
        assert_eq!(NoRoom::OfOne.failure().code, ErrorCode::LimitExceeded);
        assert_eq!(NoRoom::InAll.failure().code, ErrorCode::RateLimited);
    }
}
