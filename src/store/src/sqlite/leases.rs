//! Leases of the embedded store. Only one process has the file open, so leases live in its memory:
//! all are free at startup, and no earlier holder is left to be fenced off. They are accessed on
//! the writer's thread only, so no lease changes hands during an advance.

use claviger_projections::ports::{Fence, Hold, Holder, LeaseName};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest lease; a much longer one could overflow the clock.
const LONGEST: Duration = Duration::from_hours(24);

struct Lease {
    token: u64,
    held: Option<(Holder, Instant)>,
}

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<LeaseName, Lease>>);

impl Leases {
    /// Takes or renews a lease.
    pub(super) fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Hold {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let lease = leases.entry(name).or_insert(Lease { token: 0, held: None });
        match lease.held {
            Some((by, _)) if by == holder => {}
            Some((holder, until)) if until > now => {
                let left_ms = u64::try_from((until - now).as_millis()).unwrap_or(u64::MAX);
                return Hold::Theirs { holder, left_ms };
            }
            Some(_) | None => lease.token += 1,
        }
        let until = now + Duration::from_millis(ttl_ms).min(LONGEST);
        lease.held = Some((holder, until));
        Hold::Ours { token: lease.token }
    }

    /// Frees a lease if `holder` holds it.
    pub(super) fn release(&self, name: LeaseName, holder: Holder) -> bool {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match leases.get_mut(&name) {
            Some(lease) if lease.held.is_some_and(|(by, _)| by == holder) => {
                lease.held = None;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether a fence's token is the newest of its lease.
    pub(super) fn is_newest(&self, fence: Fence) -> bool {
        let leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(&fence.lease).is_some_and(|lease| lease.token == fence.token)
    }
}
