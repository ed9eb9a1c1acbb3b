//! Until when somebody may hold a socket or a stream: expiry by the clock, revocation by the events of their account.

use super::EventHub;
use crate::auth::{Auth, Grant};
use crate::effects::Clock;
use claviger_application::{Caller, EventView};
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::feed::{Registration, Span, Told, Topic};
use std::sync::Arc;
use std::time::Duration;

/// The wait before a check that the store didn't answer is made again.
const PAUSE: Duration = Duration::from_millis(250);

/// Why somebody may hold it no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The session has ended, or its user was deactivated.
    Revoked,
    /// The token has expired, or the user may do less than when it was shown: show another.
    Expired,
}

/// What guards stand on.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Watch {
    /// Who tells of accounts' events.
    pub hub: Arc<EventHub>,
    /// Who knows sessions.
    pub auth: Arc<Auth>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Watches one holder.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Guard {
    watch: Watch,
    grant: Grant,
    listener: Registration<Arc<EventView>>,
    /// Something happened that may have ended the session. Kept across dropped futures.
    must_check: bool,
}

impl Watch {
    /// Watches over what a token granted. The first thing the guard does is to check again: the token was judged before it listened.
    pub fn over(&self, grant: Grant) -> Guard {
        let listener = self.hub.register(Topic::Owner(grant.caller.user));
        Guard { watch: self.clone(), grant, listener, must_check: true }
    }
}

impl Guard {
    /// Who.
    pub const fn caller(&self) -> &Caller {
        &self.grant.caller
    }

    /// Goes on with another grant of the same user.
    pub fn renew(&mut self, grant: Grant) {
        self.grant = grant;
        self.must_check = true;
    }

    /// How long until the grant ends by the clock.
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.grant.until.ms_since(self.watch.clock.now()))
    }

    /// Has it ended by the clock?
    pub fn has_expired(&self) -> bool {
        self.watch.clock.now() >= self.grant.until
    }

    /// Waits for the end by revocation. May be dropped and called again.
    pub async fn ended(&mut self) -> End {
        loop {
            if self.must_check {
                // Boxed, as the pause below: it is seldom asked, and thousands wait here.
                match Box::pin(self.watch.auth.roles_now(&self.grant.caller)).await {
                    Ok(None) => return End::Revoked,
                    Ok(Some(roles)) if !self.grant.caller.roles.is_subset(&roles) => {
                        return End::Expired;
                    }
                    Ok(Some(_)) => self.must_check = false,
                    Err(_) => {
                        Box::pin(tokio::time::sleep(PAUSE)).await;
                        continue;
                    }
                }
            }
            let told = self.listener.told().await;
            self.must_check = match told {
                Told::Lagged => true,
                Told::Span(span) => concerns(&span, self.grant.caller.user),
            };
        }
    }
}

/// Hints without items may hide anything.
fn concerns(span: &Span<u64, Arc<EventView>>, user: UserId) -> bool {
    span.items.is_empty()
        || span.items.iter().any(|(_, event)| event.envelope.stream == StreamName::Account(user))
}
