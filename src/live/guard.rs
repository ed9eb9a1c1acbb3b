//! How long a caller may hold a socket or a stream: until the grant expires by the clock, or until
//! events of the account revoke it.

use super::EventHub;
use crate::auth::{Auth, Grant};
use crate::system::environment::Clock;
use claviger_application::{EventView, Principal};
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::feed::{Registration, Span, Told, Topic};
use std::sync::Arc;
use std::time::Duration;

/// The pause before a check that failed in the store is repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a caller may no longer hold the socket or stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The session has ended, or its user was deactivated.
    Revoked,
    /// The token has expired, or the user has fewer rights than when it was shown: the client must
    /// show another.
    Expired,
}

/// What guards depend on.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Watch {
    /// Publishes the accounts' events.
    pub hub: Arc<EventHub>,
    pub auth: Arc<Auth>,
    pub clock: Arc<dyn Clock>,
}

/// Watches the rights of one caller.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Guard {
    watch: Watch,
    grant: Grant,
    listener: Registration<Arc<EventView>>,
    /// An event may have ended the session. Kept across dropped futures.
    must_check: bool,
}

impl Watch {
    /// Watches a grant. The guard starts with a check, because the token was verified before the
    /// guard subscribed.
    pub fn over(&self, grant: Grant) -> Guard {
        let listener = self.hub.register(Topic::Owner(grant.principal.user));
        Guard { watch: self.clone(), grant, listener, must_check: true }
    }
}

impl Guard {
    pub const fn principal(&self) -> &Principal {
        &self.grant.principal
    }

    /// Continues with another grant of the same user.
    pub fn renew(&mut self, grant: Grant) {
        self.grant = grant;
        self.must_check = true;
    }

    /// The time left until the grant expires.
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.grant.until.ms_since(self.watch.clock.now()))
    }

    /// Whether the grant has expired.
    pub fn has_expired(&self) -> bool {
        self.watch.clock.now() >= self.grant.until
    }

    /// Waits for a revocation. The future may be dropped and the method called again.
    pub async fn ended(&mut self) -> End {
        loop {
            if self.must_check {
                // Boxed, as is the pause below: this runs seldom, and thousands of guards wait
                // here.
                match Box::pin(self.watch.auth.roles_now(&self.grant.principal)).await {
                    Ok(None) => return End::Revoked,
                    Ok(Some(roles)) if !self.grant.principal.roles.is_subset(&roles) => {
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
                Told::Span(span) => concerns(&span, self.grant.principal.user),
            };
        }
    }
}

/// A hint without items may stand for any event.
fn concerns(span: &Span<u64, Arc<EventView>>, user: UserId) -> bool {
    span.items.is_empty()
        || span.items.iter().any(|(_, event)| event.envelope.stream == StreamName::Account(user))
}
