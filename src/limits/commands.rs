//! Rate limits for key commands per user: one user must not slow the store down for others, and
//! each test is a call that somebody pays for at Anthropic.

use super::rate::{RateLimiter, refused};
use crate::bus::Commands;
use crate::system::environment::Clock;
use claviger_application::{Answer, Call, KeyCommand, KeyCommands, KeyDone};
use std::sync::Arc;

/// Key commands, rate-limited per user. For faces that users reach; timers and the operator's
/// command line have no limits.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct LimitedCommands {
    commands: Commands,
    clock: Arc<dyn Clock>,
    all: RateLimiter,
    tests: RateLimiter,
}

impl LimitedCommands {
    /// At most `commands_per_minute` commands per user, and at most `tests_per_minute` tests among
    /// them.
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
            self.tests.take(&user, now).map_err(|ms| refused("too many key tests", ms))
        } else {
            Ok(())
        };
        let taken = taken.and_then(|()| {
            self.all.take(&user, now).map_err(|ms| refused("too many key changes", ms))
        });
        match taken {
            Ok(()) => self.commands.run(call, command),
            Err(failure) => Box::pin(std::future::ready(Err(failure))),
        }
    }
}
