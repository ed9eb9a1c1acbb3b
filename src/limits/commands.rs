//! Rate limits of commands per user: one user must not slow the store down for others, and each key
//! test is a call that somebody pays for at Anthropic.

use super::budget::ByteBudget;
use super::rate::{RateLimiter, refused};
use claviger_application::CommandKind;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Uptime;

/// A limit on some kinds of commands.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimit {
    pub covers: fn(CommandKind) -> bool,
    /// Per user and minute; 0 for no limit.
    pub per_minute: u32,
    /// What there were too many of, for the refusal.
    pub refusal: &'static str,
}

/// The limits that commands from one kind of face are under. The default has none: it is for timers
/// and the operator's command line.
#[derive(Debug, Default)]
pub struct CommandLimits {
    rates: Vec<(CommandLimit, RateLimiter)>,
    /// What commands may append.
    bytes: ByteBudget,
}

impl CommandLimits {
    /// All limits that cover a command are taken from, in this order.
    pub fn new(limits: impl IntoIterator<Item = CommandLimit>) -> Self {
        let limiter = |limit: CommandLimit| (limit, RateLimiter::per_minute(limit.per_minute));
        let rates = limits.into_iter().map(limiter).collect();
        Self { rates, bytes: ByteBudget::default() }
    }

    /// The same with a bound of the bytes that a user's commands append per day; 0 for none.
    #[must_use]
    pub fn with_bytes_per_day(self, bytes: u64) -> Self {
        Self { bytes: ByteBudget::per_day(bytes), ..self }
    }

    /// Takes one command of a user, which appends so many bytes if it succeeds.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn take(
        &self,
        kind: CommandKind,
        (owner, bytes): (UserId, usize),
        now: Uptime,
    ) -> Result<(), Failure> {
        let covering = self.rates.iter().filter(|(limit, _)| (limit.covers)(kind));
        for (limit, limiter) in covering {
            limiter.take(owner, now).map_err(|ms| refused(limit.refusal, ms))?;
        }
        let too_much = "you have stored as much as you may in a day";
        self.bytes.take(owner, bytes, now).map_err(|ms| refused(too_much, ms))
    }
}
