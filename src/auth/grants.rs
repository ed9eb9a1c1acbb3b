//! What a token or a ticket grants for longer than one request.

use super::accounts::{Auth, bad_token};
use super::tickets::Ticket;
use super::tokens::{Named, Reading};
use crate::aggregates::Member;
use claviger_application::{Principal, StreamTicket};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::SessionId;
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;

/// How long a ticket is valid for its first use.
const FIRST_USE_MS: u64 = 30_000;

/// A principal's right to hold a socket or a stream, and its end.
#[derive(Clone, Debug)]
pub struct Grant {
    pub principal: Principal,
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
                let principal = Principal::of_session(user, session, BTreeSet::new());
                self.granted(principal, until).await
            }
        }
    }

    /// What a ticket grants: as long as its session lives, or, for an issuer's user, as long as the
    /// token it was made with.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn grant_by_ticket(&self, ticket: &Ticket) -> Result<Grant, Denied> {
        let principal = Principal {
            foreign: ticket.foreign,
            ..Principal::of_session(ticket.user, ticket.session, ticket.claimed.clone())
        };
        if let Some(foreign) = ticket.foreign {
            let expired = foreign.until <= self.ports().env.clock.now();
            return if expired {
                Err(Denied::Expired)
            } else {
                self.granted(principal, foreign.until).await
            };
        }
        let open = self.session_of(ticket.session, ticket.user).await.map_err(Denied::Fault)?;
        let until = open.ok_or_else(|| Denied::Bad(bad_ticket()))?.row.expires_at;
        self.granted(principal, until).await
    }

    async fn granted(&self, principal: Principal, until: Timestamp) -> Result<Grant, Denied> {
        let roles = self.roles_now(&principal).await.map_err(Denied::Fault)?;
        let roles = roles.ok_or_else(|| Denied::Bad(bad_token()))?;
        Ok(Grant { principal: Principal { roles, ..principal }, until })
    }

    /// Checks again a principal whose token was verified before and has not expired. Returns the
    /// principal with their current rights.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` once their session has ended or they may not sign in, or a fault of the
    /// store.
    pub async fn judged_again(&self, principal: &Principal) -> Result<Principal, Failure> {
        let roles = self.roles_now(principal).await?.ok_or_else(bad_token)?;
        Ok(Principal { roles, ..principal.clone() })
    }

    /// The principal's current roles; `None` if their session has ended or they may not sign in.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn roles_now(
        &self,
        principal: &Principal,
    ) -> Result<Option<BTreeSet<Role>>, Failure> {
        if let Some(foreign) = &principal.foreign {
            // The user's one session may have been ended and started again since, so the token's
            // age decides.
            let member = self.reads().aggregates.member(principal.user).await?;
            let member = member.filter(|member| lets_in(member, foreign.issued_at));
            return Ok(member.map(|member| {
                if foreign.decides_roles { principal.roles.clone() } else { member.facts.roles }
            }));
        }
        let Some(session) = principal.session() else { return Ok(None) };
        let open = self.session_of(session, principal.user).await?;
        let member = open.map(|open| open.member).filter(|member| member.facts.is_active);
        Ok(member.map(|member| member.facts.roles))
    }

    /// A ticket for one stream under the principal's session.
    ///
    /// # Errors
    /// `FORBIDDEN` for a principal without a session.
    pub fn new_ticket(&self, principal: &Principal) -> Result<StreamTicket, Failure> {
        let session = session_of(principal)?;
        let env = &self.ports().env;
        let until = env.clock.now().plus_ms(FIRST_USE_MS);
        let claimed = principal
            .foreign
            .filter(|foreign| foreign.decides_roles)
            .map_or_else(BTreeSet::new, |_| principal.roles.clone());
        let ticket = Ticket {
            id: env.ids.next(),
            user: principal.user,
            session,
            first_use_until: until,
            foreign: principal.foreign,
            claimed,
        };
        Ok(StreamTicket { ticket: ticket.write(self.ports().keychain.index()), expires_at: until })
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

/// The session of a principal, for what only a session may do.
pub(super) fn session_of(principal: &Principal) -> Result<SessionId, Failure> {
    let message = "this needs a session: sign in with the mutation login";
    principal.session().ok_or_else(|| Failure::new(ErrorCode::Forbidden, message))
}

fn bad_ticket() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "the ticket is invalid, was not used in time, or its session has ended: make another \
         (createStreamTicket)",
    )
}

/// Whether the account accepts a token issued at that time. Ending a session invalidates the tokens
/// issued before; the next sign-in at the issuer makes newer ones.
pub(super) fn lets_in(member: &Member, issued_at: Timestamp) -> bool {
    member.facts.is_active && member.facts.ended_at.is_none_or(|ended_at| ended_at < issued_at)
}
