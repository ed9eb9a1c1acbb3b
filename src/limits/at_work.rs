//! How many requests of one user are worked on at once. Others of the user wait for a moment; other
//! users don't notice.

use super::rate::refused;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Requests of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtWorkSettings {
    /// Worked on at once, the sending of their answers included.
    pub at_once: usize,
    /// Waiting for that.
    pub waiting: usize,
    /// How long one waits before it is refused.
    pub patience: Duration,
}

impl Default for AtWorkSettings {
    fn default() -> Self {
        Self { at_once: 16, waiting: 64, patience: Duration::from_secs(5) }
    }
}

/// The requests of all users that are worked on. Users without one take no memory.
#[derive(Debug)]
pub struct AtWork {
    settings: AtWorkSettings,
    users: Mutex<HashMap<UserId, Present>>,
}

#[derive(Debug)]
struct Present {
    places: Arc<Semaphore>,
    /// At work and waiting.
    count: usize,
}

/// A request that is present until this is dropped.
#[derive(Debug)]
struct Visit {
    of: Arc<AtWork>,
    user: UserId,
}

/// A request that is worked on until this is dropped.
#[derive(Debug)]
pub struct Working {
    // The place is free before the user is forgotten.
    _place: OwnedSemaphorePermit,
    _visit: Visit,
}

impl AtWork {
    pub fn new(settings: AtWorkSettings) -> Arc<Self> {
        Arc::new(Self { settings, users: Mutex::default() })
    }

    /// Begins a request of a user, in the order of their arrival.
    ///
    /// # Errors
    /// `RATE_LIMITED` when too many of the user's requests wait already, or this one has waited too
    /// long.
    pub async fn begin(self: &Arc<Self>, user: UserId) -> Result<Working, Failure> {
        let AtWorkSettings { at_once, patience, .. } = self.settings;
        let too_many = || {
            let message =
                format!("you have {at_once} requests in progress, which is the limit per user");
            refused(&message, 1_000)
        };
        let (visit, places) = self.enter(user).ok_or_else(too_many)?;
        match timeout(patience, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(Working { _place: place, _visit: visit }),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(too_many()),
        }
    }

    fn enter(self: &Arc<Self>, user: UserId) -> Option<(Visit, Arc<Semaphore>)> {
        let AtWorkSettings { at_once, waiting, .. } = self.settings;
        let mut users = self.users();
        let present = users
            .entry(user)
            .or_insert_with(|| Present { places: Arc::new(Semaphore::new(at_once)), count: 0 });
        if present.count >= at_once.saturating_add(waiting) {
            return None;
        }
        present.count += 1;
        Some((Visit { of: Arc::clone(self), user }, Arc::clone(&present.places)))
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Present>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut users = self.of.users();
        let Some(present) = users.get_mut(&self.user) else { return };
        present.count -= 1;
        if present.count == 0 {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::code::ErrorCode;
    use futures::FutureExt as _;
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));

    #[tokio::test]
    async fn a_user_has_so_many_places_and_others_have_their_own() {
        let settings = AtWorkSettings { at_once: 2, waiting: 1, ..AtWorkSettings::default() };
        let work = AtWork::new(settings);
        let first = work.begin(ADA).await.unwrap();
        let second = work.begin(ADA).await.unwrap();
        let mut third = Box::pin(work.begin(ADA));
        assert!((&mut third).now_or_never().is_none(), "it waits");
        let refused = work.begin(ADA).await.expect_err("nobody else may wait");
        assert_eq!(refused.code, ErrorCode::RateLimited);
        let other = work.begin(BOB).await.unwrap();
        drop(first);
        let third = third.await.unwrap();
        drop((second, third, other));
        assert!(work.users().is_empty(), "nothing is kept of users without requests");
    }

    #[tokio::test]
    async fn a_request_waits_for_a_moment_only() {
        let (waiting, patience) = (1, Duration::ZERO);
        let settings = AtWorkSettings { at_once: 1, waiting, patience };
        let work = AtWork::new(settings);
        let first = work.begin(ADA).await.unwrap();
        let refused = work.begin(ADA).await.expect_err("the first one goes on");
        assert_eq!(refused.code, ErrorCode::RateLimited);
        drop(first);
        assert!(work.begin(ADA).await.is_ok() && work.users().is_empty());
    }
}
