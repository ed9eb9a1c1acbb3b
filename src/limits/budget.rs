//! How many bytes each user may have appended to the log: a budget for a day, which comes back
//! steadily. The log is never trimmed, so what one user may add to it has a bound in bytes.

use claviger_domain::id::UserId;
use claviger_domain::timestamp::Uptime;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Most users remembered. Each takes a fixed few bytes. A forgotten user has a full budget, and the
/// one that has appended nothing for the longest is forgotten.
const USERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);

const DAY_NS: u128 = 24 * 3_600 * 1_000_000_000;
const MS_NS: u128 = 1_000_000;

/// Budgets of users, by the generic cell rate algorithm: one time per user, when the budget is full
/// again.
#[derive(Debug)]
pub struct ByteBudget {
    /// What a byte costs, in nanoseconds; 0 for no limit.
    byte_ns: u128,
    /// Nanoseconds of the uptime.
    full_at: Mutex<LruCache<UserId, u128>>,
}

impl ByteBudget {
    /// This many bytes per user and day, which may come in one burst; 0 for no limit.
    pub fn per_day(bytes: u64) -> Self {
        let byte_ns = if bytes == 0 { 0 } else { DAY_NS / u128::from(bytes) };
        Self { byte_ns, full_at: Mutex::new(LruCache::new(USERS)) }
    }

    /// Takes bytes of a user's budget.
    ///
    /// # Errors
    /// The milliseconds until so many can be taken. Nothing was.
    pub fn take(&self, user: UserId, bytes: usize, now: Uptime) -> Result<(), u64> {
        let cost = self.byte_ns * u128::try_from(bytes).unwrap_or(u128::MAX >> 64);
        if cost == 0 {
            return Ok(());
        }
        let now = u128::from(now.0) * MS_NS;
        let mut users = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = users.get(&user).copied().unwrap_or(now).max(now) + cost;
        let over = full_at.saturating_sub(now + DAY_NS);
        if over > 0 {
            return Err(u64::try_from(over.div_ceil(MS_NS)).unwrap_or(u64::MAX));
        }
        users.put(user, full_at);
        Ok(())
    }
}

impl Default for ByteBudget {
    fn default() -> Self {
        Self::per_day(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));
    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_day_has_a_budget_that_comes_back_steadily() {
        let budget = ByteBudget::per_day(24_000_000);
        let at = |hours: u64| Uptime(1_795_446_000_000 + hours * HOUR_MS);
        assert_eq!(budget.take(ADA, 20_000_000, at(0)), Ok(()));
        assert_eq!(budget.take(ADA, 5_000_000, at(0)), Err(HOUR_MS), "a million an hour");
        assert_eq!(budget.take(ADA, 4_000_000, at(0)), Ok(()), "a refusal takes nothing");
        assert_eq!(budget.take(BOB, 24_000_000, at(0)), Ok(()), "each user has their own");
        assert_eq!(budget.take(ADA, 2_000_000, at(1)), Err(HOUR_MS));
        assert_eq!(budget.take(ADA, 2_000_000, at(2)), Ok(()));
        assert_eq!(ByteBudget::per_day(0).take(ADA, usize::MAX, at(0)), Ok(()));
    }
}
