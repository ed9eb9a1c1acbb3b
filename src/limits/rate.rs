//! Per-name rate limiter: a burst, then a steady rate. The caller passes the time.

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::timestamp::Timestamp;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Most names remembered. A forgotten name starts with a full bucket, so flooding the map frees at
/// most as many attempts as the flood itself costs.
const NAMES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);

/// Limits attempts by name with the generic cell rate algorithm (ITU-T I.371), one timestamp per
/// name.
#[derive(Debug)]
pub struct RateLimiter {
    interval_ms: u64,
    burst: u64,
    /// When each name's bucket will be full again, in milliseconds.
    full_at: Mutex<LruCache<String, u64>>,
}

impl RateLimiter {
    /// `burst` attempts at once, then one every `interval_ms`.
    pub fn new(burst: u32, interval_ms: u64) -> Self {
        Self { interval_ms, burst: u64::from(burst), full_at: Mutex::new(LruCache::new(NAMES)) }
    }

    /// Takes one attempt.
    ///
    /// # Errors
    /// The milliseconds until the next attempt is allowed.
    pub fn take(&self, name: &str, now: Timestamp) -> Result<(), u64> {
        // No limit. Returns early, because concurrent requests may present their clock readings out
        // of order, and an unlimited name must not fail on that.
        if self.interval_ms == 0 {
            return Ok(());
        }
        let mut names = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = names.get(name).copied().unwrap_or(now.0).max(now.0) + self.interval_ms;
        let allowed = now.0 + self.interval_ms * self.burst;
        if full_at > allowed {
            return Err(full_at - allowed);
        }
        names.put(name.to_owned(), full_at);
        Ok(())
    }

    /// `attempts` per minute, which may come in one burst; 0 for no limit.
    pub fn per_minute(attempts: u32) -> Self {
        if attempts == 0 {
            Self::new(1, 0)
        } else {
            Self::new(attempts, 60_000 / u64::from(attempts))
        }
    }

    /// Returns an attempt that succeeded.
    pub fn give_back(&self, name: &str) {
        let mut names = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = names.get_mut(name) {
            *full_at = full_at.saturating_sub(self.interval_ms);
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

    #[test]
    fn a_burst_passes_then_one_each_interval() {
        let limiter = RateLimiter::new(3, 1000);
        let at = |ms: u64| Timestamp(1_000_000 + ms);
        for _ in 0..3 {
            assert_eq!(limiter.take("ada", at(0)), Ok(()));
        }
        assert_eq!(limiter.take("ada", at(0)), Err(1000));
        assert_eq!(limiter.take("ada", at(400)), Err(600));
        assert_eq!(limiter.take("ada", at(1000)), Ok(()));
        assert_eq!(limiter.take("ada", at(1000)), Err(1000));
        assert_eq!(limiter.take("bob", at(1000)), Ok(()), "names do not share a bucket");
    }

    #[test]
    fn per_minute_allows_a_burst_and_zero_means_no_limit() {
        let (few, any) = (RateLimiter::per_minute(2), RateLimiter::per_minute(0));
        for n in 0..1_000 {
            assert_eq!(few.take("ada", Timestamp(5)), if n < 2 { Ok(()) } else { Err(30_000) });
            assert_eq!(any.take("ada", Timestamp(5)), Ok(()));
        }
    }

    #[test]
    fn a_successful_attempt_costs_nothing() {
        let limiter = RateLimiter::new(1, 1000);
        for _ in 0..10 {
            assert_eq!(limiter.take("ada", Timestamp(5)), Ok(()));
            limiter.give_back("ada");
        }
    }
}
