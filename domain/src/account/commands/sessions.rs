//! Sessions that several commands start and end.

use crate::account::{Account, AccountEvent, OfSession, OfSessions, RevokeReason, Seen};
use crate::api_key::contains_secret;
use crate::id::SessionId;

/// Most characters kept of a client's user agent.
const MAX_USER_AGENT: usize = 200;

/// Begins a session. A client may send anything as its user agent: it is cut at the bound, and left
/// out if it holds an API key.
pub(super) fn signed_in(session: SessionId, user_agent: Option<String>) -> AccountEvent {
    let kept = user_agent.filter(|text| !contains_secret(text));
    let user_agent = kept.map(|text| text.chars().take(MAX_USER_AGENT).collect());
    AccountEvent::SignedIn(OfSession { session }, Some(Seen { user_agent }))
}

/// Ends everything by which the user is signed in. A user of an external issuer may have tokens that
/// were not used here yet, so for them there is always something to end.
pub(super) fn revoke_all(account: &Account, reason: RevokeReason) -> Option<AccountEvent> {
    let sessions = account.sessions.clone();
    if account.is_external {
        let facts = OfSessions { sessions, reason, tokens_kept: None };
        return Some(AccountEvent::SessionsRevoked(facts));
    }
    revoke(sessions, reason)
}

/// Ends these sessions; `None` if there are none.
pub(super) fn revoke(sessions: Vec<SessionId>, reason: RevokeReason) -> Option<AccountEvent> {
    let facts = OfSessions { sessions, reason, tokens_kept: None };
    (!facts.sessions.is_empty()).then_some(AccountEvent::SessionsRevoked(facts))
}
