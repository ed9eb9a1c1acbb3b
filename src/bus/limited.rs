//! How often a user may change keys, and have them tested: what one does must not slow the store down for the others, and a test is a
//! call on somebody's account at Anthropic.

use super::Commands;
use crate::effects::Clock;
use crate::limiter::{RateLimiter, refused};
use claviger_application::{Answer, Call, KeyCommand, KeyCommands, KeyDone};
use std::sync::Arc;

/// Commands on keys, so many a minute for each user. For people's doors; timers and the operator's command line have no limits.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct LimitedCommands {
    commands: Commands,
    clock: Arc<dyn Clock>,
    all: RateLimiter,
    tests: RateLimiter,
}

impl LimitedCommands {
    /// At most so many commands a minute for each user, and so many tests among them.
    pub fn new(
        commands: Commands,
        clock: Arc<dyn Clock>,
        commands_per_minute: u32,
        tests_per_minute: u32,
    ) -> Self {
        let (all, tests) = (
            RateLimiter::per_minute(commands_per_minute),
            RateLimiter::per_minute(tests_per_minute),
        );
        Self { commands, clock, all, tests }
    }
}

impl KeyCommands for LimitedCommands {
    fn run(&self, call: Call, command: KeyCommand) -> Answer<'_, KeyDone> {
        let (user, now) = (call.owner.to_string(), self.clock.now());
        let taken = if matches!(command, KeyCommand::Test { .. }) {
            self.tests.take(&user, now).map_err(|ms| refused("too many tests of keys", ms))
        } else {
            Ok(())
        };
        let taken = taken.and_then(|()| {
            self.all.take(&user, now).map_err(|ms| refused("too many changes of keys", ms))
        });
        match taken {
            Ok(()) => self.commands.run(call, command),
            Err(failure) => Box::pin(std::future::ready(Err(failure))),
        }
    }
}
