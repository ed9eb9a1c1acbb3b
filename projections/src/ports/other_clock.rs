//! A second opinion on the time.

use claviger_domain::timestamp::Timestamp;

/// How far the clock may be ahead of the last event *and* of the other clock, in milliseconds.
pub const AHEAD_MAX_MS: u64 = 15 * 60 * 1_000;

/// A clock other than the one that times appends. An event's time never goes back, so one append
/// under a clock that was ahead for a moment would put the whole log into the future.
pub trait OtherClock: Send + Sync {
    /// What it shows now; `None` if there is no other clock.
    fn now(&self) -> Option<Timestamp>;
}

/// No other clock: any time is believed.
#[derive(Clone, Copy, Debug)]
pub struct NoClock;

impl OtherClock for NoClock {
    fn now(&self) -> Option<Timestamp> {
        None
    }
}

/// Whether a time is ahead of the last event. By itself that only means that the store had a rest:
/// it is the reason to ask the other clock.
pub const fn is_after_a_rest(at: Timestamp, head: Timestamp) -> bool {
    at.0 > head.0.saturating_add(AHEAD_MAX_MS)
}

/// The error of an append whose time the other clock contradicts; `None` if it doesn't.
pub fn contradicted(at: Timestamp, other: Timestamp) -> Option<super::StoreError> {
    let ahead = at.0.saturating_sub(other.0);
    (ahead > AHEAD_MAX_MS).then(|| {
        super::StoreError::Unavailable(format!(
            "this machine's clock is {} minutes ahead of the last event and of another clock: set it right, or wait until it has been so for ten minutes",
            ahead / 60_000
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_contradicted_beyond_a_quarter_of_an_hour() {
        let (noon, minute) = (Timestamp(1_000_000_000_000), 60_000);
        for (ahead, refused) in [(0, false), (15, false), (16, true), (100_000, true)] {
            let at = noon.plus_ms(ahead * minute);
            assert_eq!(contradicted(at, noon).is_some(), refused, "{ahead}");
            assert_eq!(is_after_a_rest(at, noon), refused, "{ahead}");
        }
        assert_eq!(contradicted(noon, noon.plus_ms(minute * 100_000)), None, "behind");
    }
}
