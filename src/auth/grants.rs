//! What a token or a ticket grants for longer than one request.

use super::accounts::{Auth, bad_token};
use super::tickets::Ticket;
use super::tokens::{Named, Reading};
use crate::bus::store_failure;
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use claviger_graphql::ports::{Caller, StreamTicket};
use std::collections::BTreeSet;

/// How long after its making a ticket may be used first.
const FIRST_USE_MS: u64 = 30_000;

/// Who may hold a socket or a stream, and until when.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who.
    pub caller: Caller,
    /// Until when, unless it is ended before.
    pub until: Timestamp,
}

/// Nothing is granted.
#[derive(Clone, Debug)]
pub enum Denied {
    /// The token was good once: the next one will do.
    Expired,
    /// The token is none, or its session has ended.
    Bad(Failure),
    /// It can't be said now.
    Fault(Failure),
}

impl Denied {
    /// The same for those who don't tell them apart.
    pub fn failure(self) -> Failure {
        match self {
            Self::Expired => bad_token(),
            Self::Bad(failure) | Self::Fault(failure) => failure,
        }
    }
}

impl Auth {
    /// What an access token grants.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn grant(&self, token: &SecretText) -> Result<Grant, Denied> {
        match self.key().read(token.expose(), self.ports().effects.clock.now()) {
            Reading::Bad => Err(Denied::Bad(bad_token())),
            Reading::Expired => Err(Denied::Expired),
            Reading::Good(named, until) => self.granted(named, until).await,
        }
    }

    /// What a ticket grants: as long as its session lives.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn grant_by_ticket(&self, ticket: &Ticket) -> Result<Grant, Denied> {
        let found = self.ports().store.session(ticket.session).await.map_err(|error| Denied::Fault(store_failure(&error)))?;
        let until = found.ok_or_else(|| Denied::Bad(bad_ticket()))?.expires_at;
        self.granted(Named { user: ticket.user, session: ticket.session }, until).await
    }

    async fn granted(&self, named: Named, until: Timestamp) -> Result<Grant, Denied> {
        let caller = Caller { user: named.user, session: named.session, roles: BTreeSet::new() };
        let roles = self.roles_now(&caller).await.map_err(Denied::Fault)?;
        let roles = roles.ok_or_else(|| Denied::Bad(bad_token()))?;
        Ok(Grant { caller: Caller { roles, ..caller }, until })
    }

    /// What a caller may do now; `None` if their session has ended or they may not sign in.
    ///
    /// # Errors
    /// When the store doesn't answer.
    pub async fn roles_now(&self, caller: &Caller) -> Result<Option<BTreeSet<Role>>, Failure> {
        let session = self.ports().store.session(caller.session).await.map_err(|error| store_failure(&error))?;
        if session.is_none_or(|session| session.owner != caller.user) {
            return Ok(None);
        }
        let account = self.bus().account_view(caller.user, None).await?;
        Ok(account.filter(|account| account.facts.is_active).map(|account| account.facts.roles))
    }

    /// A ticket for a stream of this session.
    pub fn new_ticket(&self, caller: &Caller) -> StreamTicket {
        let effects = &self.ports().effects;
        let until = effects.clock.now().plus_ms(FIRST_USE_MS);
        let ticket = Ticket { id: effects.ids.next(), user: caller.user, session: caller.session, first_use_until: until };
        StreamTicket { ticket: ticket.write(self.ports().keychain.index()), expires_at: until }
    }

    /// Reads a ticket, and the cursor to go on from. Without `last_event_id` it must be young; with one, that must have been sent on
    /// its stream.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn ticket(&self, text: &SecretText, last_event_id: Option<&str>) -> Result<(Ticket, Option<String>), Failure> {
        let index = self.ports().keychain.index();
        let ticket = Ticket::read(index, text.expose()).ok_or_else(bad_ticket)?;
        match last_event_id {
            Some(id) => ticket.cursor_of(index, id).map(|cursor| (ticket, Some(cursor))).ok_or_else(bad_ticket),
            None if self.ports().effects.clock.now() < ticket.first_use_until => Ok((ticket, None)),
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
        "the ticket is not valid, was not used in time, or its session has ended: make another (createStreamTicket)",
    )
}
