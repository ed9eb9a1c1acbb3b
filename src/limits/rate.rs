//! Rate limiters: a burst, then a steady rate, for each key. The caller passes the time, which never
//! goes back: by the time of day, a clock that was ahead and is set right would keep everybody out.
//! Keys have a fixed size, so the number of keys bounds the memory.

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Uptime;
use lru::LruCache;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Most keys remembered. A forgotten key starts with a full bucket.
pub(crate) const MAX_KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);

/// Buckets by the generic cell rate algorithm (ITU-T I.371), one timestamp per key.
#[derive(Debug)]
pub(crate) struct Buckets<K: Hash + Eq> {
    interval_ms: u64,
    burst: u64,
    /// When each key's bucket will be full again, in milliseconds.
    full_at: LruCache<K, u64>,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    /// `burst` attempts at once, then one every `interval_ms`; 0 for no limit.
    pub(crate) fn new(burst: u32, interval_ms: u64) -> Self {
        Self { interval_ms, burst: u64::from(burst), full_at: LruCache::new(MAX_KEYS) }
    }

    /// `attempts` in a period, which may come in one burst; 0 for no limit.
    pub(crate) fn per(attempts: u32, period_ms: u64) -> Self {
        if attempts == 0 {
            Self::new(1, 0)
        } else {
            Self::new(attempts, period_ms / u64::from(attempts))
        }
    }

    /// Milliseconds until an attempt is allowed; 0 if it is allowed now. No key is added.
    pub(crate) fn wait_ms(&mut self, key: &K, now: Uptime) -> u64 {
        // Returns early, because concurrent requests may present their clock readings out of order,
        // and an unlimited key must not fail on that.
        if self.interval_ms == 0 {
            return 0;
        }
        let allowed = now.0 + self.interval_ms * self.burst;
        let Some(full_at) = self.full_at.get(key) else { return 0 };
        ((*full_at).max(now.0) + self.interval_ms).saturating_sub(allowed)
    }

    /// Takes an attempt that [`Buckets::wait_ms`] allows.
    pub(crate) fn take(&mut self, key: K, now: Uptime) {
        if self.interval_ms > 0 {
            let full_at = self.full_at.get(&key).copied().unwrap_or(now.0).max(now.0);
            self.full_at.put(key, full_at + self.interval_ms);
        }
    }

    /// Returns an attempt.
    pub(crate) fn give_back(&mut self, key: &K) {
        if let Some(full_at) = self.full_at.get_mut(key) {
            *full_at = full_at.saturating_sub(self.interval_ms);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.full_at.len()
    }
}

/// Buckets that are taken from one at a time.
#[derive(Debug)]
pub struct RateLimiter<K: Hash + Eq = UserId>(Mutex<Buckets<K>>);

impl<K: Hash + Eq + Copy> RateLimiter<K> {
    /// `attempts` per minute, which may come in one burst; 0 for no limit.
    pub fn per_minute(attempts: u32) -> Self {
        Self(Mutex::new(Buckets::per(attempts, 60_000)))
    }

    /// Takes one attempt.
    ///
    /// # Errors
    /// The milliseconds until the next attempt is allowed.
    pub fn take(&self, key: K, now: Uptime) -> Result<(), u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match buckets.wait_ms(&key, now) {
            0 => {
                buckets.take(key, now);
                Ok(())
            }
            wait_ms => Err(wait_ms),
        }
    }
}

/// The refusal of a rate-limited request.
pub(crate) fn refused(why: &str, retry_after_ms: u64) -> Failure {
    let seconds = retry_after_ms.div_ceil(1000);
    Failure::new(ErrorCode::RateLimited, format!("{why}: try again in {seconds} s"))
        .with(FailureDetail::RetryAfterMs(retry_after_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: u8 = 1;
    const BOB: u8 = 2;

    fn take(buckets: &mut Buckets<u8>, key: u8, now: Uptime) -> u64 {
        let wait_ms = buckets.wait_ms(&key, now);
        if wait_ms == 0 {
            buckets.take(key, now);
        }
        wait_ms
    }

    #[test]
    fn a_burst_passes_then_one_each_interval() {
        let mut buckets = Buckets::new(3, 1000);
        let at = |ms: u64| Uptime(1_000_000 + ms);
        for _ in 0..3 {
            assert_eq!(take(&mut buckets, ADA, at(0)), 0);
        }
        assert_eq!(take(&mut buckets, ADA, at(0)), 1000);
        assert_eq!(take(&mut buckets, ADA, at(400)), 600);
        assert_eq!(take(&mut buckets, ADA, at(1000)), 0);
        assert_eq!(take(&mut buckets, ADA, at(1000)), 1000);
        assert_eq!(take(&mut buckets, BOB, at(1000)), 0, "keys do not share a bucket");
    }

    #[test]
    fn per_minute_allows_a_burst_and_zero_means_no_limit() {
        let (few, any) = (RateLimiter::per_minute(2), RateLimiter::per_minute(0));
        for n in 0..1_000 {
            assert_eq!(few.take(ADA, Uptime(5)), if n < 2 { Ok(()) } else { Err(30_000) });
            assert_eq!(any.take(ADA, Uptime(5)), Ok(()));
        }
    }

    #[test]
    fn an_attempt_that_is_given_back_costs_nothing() {
        let mut buckets = Buckets::new(1, 1000);
        for _ in 0..10 {
            assert_eq!(take(&mut buckets, ADA, Uptime(5)), 0);
            buckets.give_back(&ADA);
        }
    }

    #[test]
    fn what_is_refused_or_only_asked_is_not_remembered() {
        let mut buckets = Buckets::new(1, 1000);
        for key in 0..100 {
            assert_eq!(buckets.wait_ms(&key, Uptime(5)), 0);
        }
        assert_eq!(buckets.len(), 0);
    }
}
