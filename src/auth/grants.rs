//! What a token or a ticket grants for longer than one request.

use super::accounts::{Auth, bad_token};
use super::external::lets_in;
use super::tickets::Ticket;
use super::tokens::{Named, Reading};
use crate::system::failure::store_failure;
use claviger_application::{Caller, StreamTicket};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;

/// How long a ticket is valid for its first use.
const FIRST_USE_MS: u64 = 30_000;

/// A caller's right to hold a socket or a stream, and its end.
#[derive(Clone, Debug)]
pub struct Grant {
    pub caller: Caller,
    /// The latest end; a revocation may come earlier.
    pub until: Timestamp,
}

/// Why nothing is granted.
#[derive(Clone, Debug)]
pub enum Denied {
    /// The token was valid once: a new one is accepted.
    Expired,
    /// The token is invalid, or its session has ended.
    Bad(Failure),
    /// The token can't be checked now.
    Fault(Failure),
}

impl Denied {
    /// The failure to report where the reason makes no difference.
    pub fn failure(self) -> Failure {
        match self {
            Self::Expired => bad_token(),
            Self::Bad(failure) | Self::Fault(failure) => failure,
        }
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        if failure.code == ErrorCode::Unauthenticated {
            Self::Bad(failure)
        } else {
            Self::Fault(failure)
        }
    }
}

impl Auth {
    /// What an access token grants.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn grant(&self, token: &SecretText) -> Result<Grant, Denied> {
        match self.key().read(token.expose(), self.ports().env.clock.now()) {
            Reading::Bad => self.grant_external(token).await,
            Reading::Expired => Err(Denied::Expired),
            Reading::Good(Named { user, session }, until) => {
                self.granted(Caller { user, session, roles: BTreeSet::new(), foreign: None }, until)
                    .await
            }
        }
    }

    /// What a ticket grants: as long as its session lives, or, for an issuer's user, as long as the
    /// token it was made with.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn grant_by_ticket(&self, ticket: &Ticket) -> Result<Grant, Denied> {
        let caller = Caller {
            user: ticket.user,
            session: ticket.session,
            roles: ticket.claimed.clone(),
            foreign: ticket.foreign,
        };
        if let Some(foreign) = ticket.foreign {
            let expired = foreign.until <= self.ports().env.clock.now();
            return if expired {
                Err(Denied::Expired)
            } else {
                self.granted(caller, foreign.until).await
            };
        }
        let found = self
            .ports()
            .store
            .session(ticket.session)
            .await
            .map_err(|error| Denied::Fault(store_failure(&error)))?;
        let until = found.ok_or_else(|| Denied::Bad(bad_ticket()))?.expires_at;
        self.granted(caller, until).await
    }

    async fn granted(&self, caller: Caller, until: Timestamp) -> Result<Grant, Denied> {
        let roles = self.roles_now(&caller).await.map_err(Denied::Fault)?;
        let roles = roles.ok_or_else(|| Denied::Bad(bad_token()))?;
        Ok(Grant { caller: Caller { roles, ..caller }, until })
    }

    /// Checks again a caller whose token was verified before and hasn't expired. Returns the caller
    /// with their current rights.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` once their session has ended or they may not sign in, or a fault of the
    /// store.
    pub async fn judged_again(&self, caller: &Caller) -> Result<Caller, Failure> {
        let roles = self.roles_now(caller).await?.ok_or_else(bad_token)?;
        Ok(Caller { roles, ..caller.clone() })
    }

    /// The caller's current roles; `None` if their session has ended or they may not sign in.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn roles_now(&self, caller: &Caller) -> Result<Option<BTreeSet<Role>>, Failure> {
        if let Some(foreign) = &caller.foreign {
            // The user's one session may have been ended and started again since, so the token's
            // age decides.
            let account = self.bus().account_view(caller.user, None).await?;
            let account = account.filter(|account| lets_in(account, foreign.issued_at));
            return Ok(account.map(|account| {
                if foreign.decides_roles { caller.roles.clone() } else { account.facts.roles }
            }));
        }
        let session = self
            .ports()
            .store
            .session(caller.session)
            .await
            .map_err(|error| store_failure(&error))?;
        if session.is_none_or(|session| session.owner != caller.user) {
            return Ok(None);
        }
        let account = self.bus().account_view(caller.user, None).await?;
        Ok(account.filter(|account| account.facts.is_active).map(|account| account.facts.roles))
    }

    /// A ticket for one stream under the caller's session.
    pub fn new_ticket(&self, caller: &Caller) -> StreamTicket {
        let env = &self.ports().env;
        let until = env.clock.now().plus_ms(FIRST_USE_MS);
        let claimed = caller
            .foreign
            .filter(|foreign| foreign.decides_roles)
            .map_or_else(BTreeSet::new, |_| caller.roles.clone());
        let ticket = Ticket {
            id: env.ids.next(),
            user: caller.user,
            session: caller.session,
            first_use_until: until,
            foreign: caller.foreign,
            claimed,
        };
        StreamTicket { ticket: ticket.write(self.ports().keychain.index()), expires_at: until }
    }

    /// Reads a ticket, and the cursor to resume from. Without `last_event_id` the ticket must be in
    /// its first-use period; with one, the id must have been sent on the ticket's stream.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn ticket(
        &self,
        text: &SecretText,
        last_event_id: Option<&str>,
    ) -> Result<(Ticket, Option<String>), Failure> {
        let index = self.ports().keychain.index();
        let ticket = Ticket::read(index, text.expose()).ok_or_else(bad_ticket)?;
        match last_event_id {
            Some(id) => ticket
                .cursor_of(index, id)
                .map(|cursor| (ticket, Some(cursor)))
                .ok_or_else(bad_ticket),
            None if self.ports().env.clock.now() < ticket.first_use_until => Ok((ticket, None)),
            None => Err(bad_ticket()),
        }
    }

    /// The `id:` of a cursor on a ticket's stream.
    pub fn ticket_event_id(&self, ticket: &Ticket, cursor: &str) -> String {
        ticket.event_id(self.ports().keychain.index(), cursor)
    }
}

fn bad_ticket() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "the ticket is invalid, was not used in time, or its session has ended: make another \
         (createStreamTicket)",
    )
}
