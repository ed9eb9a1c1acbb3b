//! The time since the machine was started, as a second opinion on the time of day.

use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{AHEAD_MAX_MS, OtherClock};
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Mutex, PoisonError};

/// How long the time of day must keep a jump ahead before it is believed, in milliseconds. A machine
/// that was paused, or that learned the time late, is right after all.
const BELIEVED_AFTER_MS: u64 = 10 * 60 * 1_000;

/// How much a jump may change and still be the same one, in milliseconds.
const SAME_MS: u64 = 60_000;

/// Believes the time of day at the start, and from then on how much of it has passed.
pub(super) struct BootClock {
    clock: Arc<dyn super::environment::Clock>,
    state: Mutex<Belief>,
}

impl BootClock {
    pub(super) fn start(clock: Arc<dyn super::environment::Clock>) -> Self {
        let belief = Belief { offset: offset(clock.now().0, since_boot_ms()), jump: None };
        Self { clock, state: Mutex::new(belief) }
    }
}

impl OtherClock for BootClock {
    fn now(&self) -> Option<Timestamp> {
        let mut belief = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Some(belief.look(self.clock.now().0, since_boot_ms()))
    }
}

/// Sleep of the machine included, unlike `Instant`.
pub(super) fn since_boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000 + u64::try_from(now.tv_nsec / 1_000_000).unwrap_or_default()
}

/// What is believed, in milliseconds.
struct Belief {
    /// Time of day at which the machine was started.
    offset: u64,
    /// A start that the time of day suggests instead, and since when.
    jump: Option<(u64, u64)>,
}

const fn offset(wall: u64, boot: u64) -> u64 {
    wall.saturating_sub(boot)
}

impl Belief {
    /// The believed time, given the time of day and the time since the start.
    fn look(&mut self, wall: u64, boot: u64) -> Timestamp {
        let suggested = offset(wall, boot);
        if suggested <= self.offset.saturating_add(AHEAD_MAX_MS) {
            // Behind, or slightly ahead: corrections of a clock. Going back endangers nothing.
            *self = Self { offset: suggested, jump: None };
        } else {
            match self.jump {
                Some((jump, since)) if jump.abs_diff(suggested) <= SAME_MS => {
                    if boot.saturating_sub(since) >= BELIEVED_AFTER_MS {
                        tracing::warn!("a jump of the clock has lasted and is believed");
                        *self = Self { offset: suggested, jump: None };
                    }
                }
                Some(_) | None => {
                    tracing::error!(
                        minutes = (suggested - self.offset) / 60_000,
                        "the clock jumped ahead: nothing is appended until it is set right, or has stayed so for ten minutes"
                    );
                    self.jump = Some((suggested, boot));
                }
            }
        }
        Timestamp(self.offset.saturating_add(boot)).min(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const START: u64 = 1_000_000 * MINUTE;

    /// The believed minutes since the start, after looks at (minutes passed, minutes ahead).
    fn believed(looks: &[(u64, i64)]) -> Vec<u64> {
        let mut belief = Belief { offset: offset(START, 7), jump: None };
        let look = |(passed, ahead): &(u64, i64)| {
            let boot = 7 + passed * MINUTE;
            let wall = (START + passed * MINUTE).saturating_add_signed(ahead * 60_000);
            (belief.look(wall, boot).0 - START) / MINUTE
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn a_jump_ahead_is_believed_once_it_has_lasted() {
        for (looks, expected) in [
            // Days of rest, corrections, and a clock that is behind.
            (vec![(5_000, 0), (9_000, 2)], vec![5_000, 9_002]),
            // A blip.
            (vec![(1, 60), (3, 60), (5, 0), (20, 60)], vec![1, 3, 5, 20]),
            // It lasts: the machine was paused.
            (vec![(1, 60), (10, 60), (11, 60), (12, 60)], vec![1, 10, 71, 72]),
            // It jumps about, and is not believed.
            (vec![(1, 60), (8, 90), (12, 60), (20, 90)], vec![1, 8, 12, 20]),
        ] {
            assert_eq!(believed(&looks), expected, "{looks:?}");
        }
    }
}
