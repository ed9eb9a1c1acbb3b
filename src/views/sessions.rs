//! Rows of sessions, which an account's events write. They are not a view: the use of a refresh
//! token changes them without an event.

use super::row::unsealable;
use crate::keychain::Evidence;
use crate::system::environment::Environment;
use crate::system::failure::vault_failure;
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Placed, RowChange, SessionRow, StoreError};
use claviger_vault::{ContentKey, ViewAd, open_view, seal_view};

/// How long an unused session lives: thirty days.
pub(crate) const SESSION_MS: u64 = 30 * 24 * 3600 * 1000;

/// The view name under which a session's user agent is sealed.
const SESSIONS: &str = "sessions";

/// The sessions that an account's event starts and ends.
pub(super) fn session_changes(
    owner: UserId,
    (event, placed): (&AccountEvent, &Placed),
    (key, env): (&ContentKey, &Environment),
    evidence: &Evidence,
) -> Result<Vec<RowChange>, StoreError> {
    Ok(match event {
        AccountEvent::SignedIn(facts, seen) => {
            let stream = StreamName::Account(owner);
            let ad = ViewAd { owner, stream, view: SESSIONS, row: facts.session.0 };
            let agent = seen.as_ref().and_then(|seen| seen.user_agent.as_ref());
            let content = agent
                .map(|agent| seal_view(key, &ad, agent.as_bytes(), &*env.entropy))
                .transpose()
                .map_err(|error| unsealable(&error))?;
            let (generation, expires_at) = (1, placed.at.plus_ms(SESSION_MS));
            vec![RowChange::PutSession(SessionRow {
                id: facts.session,
                owner,
                created_at: placed.at,
                last_seen_at: placed.at,
                expires_at,
                generation,
                rotated_at: placed.at,
                content,
                mac: evidence.session_mac((facts.session, owner), generation, expires_at),
            })]
        }
        AccountEvent::SignedOut(facts) => vec![RowChange::DeleteSession(facts.session)],
        AccountEvent::RefreshTokenReused(facts) => vec![RowChange::DeleteSession(facts.session)],
        AccountEvent::SessionsRevoked(facts) => {
            facts.sessions.iter().copied().map(RowChange::DeleteSession).collect()
        }
        AccountEvent::AccountRegistered(..)
        | AccountEvent::IdentityLinked(..)
        | AccountEvent::AccountRenamed(..)
        | AccountEvent::PasswordChanged(_)
        | AccountEvent::RoleGranted(_)
        | AccountEvent::RoleRevoked(_)
        | AccountEvent::AccountDeactivated(_)
        | AccountEvent::AccountReactivated(_)
        | AccountEvent::AccountErased(_)
        | AccountEvent::SignInNamesChanged(..)
        | AccountEvent::PasswordResetCreated(_)
        | AccountEvent::PasswordReset(_) => Vec::new(),
    })
}

/// Opens a session's user agent.
pub(crate) fn open_user_agent(
    session: &SessionRow,
    key: Option<&ContentKey>,
) -> Result<Option<String>, Failure> {
    let (Some(sealed), Some(key)) = (&session.content, key) else { return Ok(None) };
    let ad = ViewAd {
        owner: session.owner,
        stream: StreamName::Account(session.owner),
        view: SESSIONS,
        row: session.id.0,
    };
    let text = open_view(key, &ad, sealed).map_err(|error| vault_failure(&error))?;
    Ok(String::from_utf8(text.to_vec()).ok())
}
