//! Events and commands with everything filled in.

use crate::given::{Given, given, session};
use claviger_domain::account::{
    Account, AccountEvent, ChangePassword, LeftSession, NoFacts, OfRole, OfSession, OfSessions,
    Person, RegisterAccount, Registered, Renamed, ResetCreated, RevokeReason, Seen, SignIn,
    SignInNames, Verified,
};
use claviger_domain::actor::Role;
use claviger_domain::text::{Email, FullName, Username};
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;

pub(crate) const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";

pub(crate) fn account(history: impl IntoIterator<Item = AccountEvent>) -> Given<Account> {
    given(history)
}

// ---- commands ----

pub(crate) fn register() -> RegisterAccount {
    RegisterAccount {
        username: Username::parse("Ada").unwrap(),
        email: Email::parse("Ada@Example.org").unwrap(),
        full_name: FullName::parse("Ada Lovelace").ok(),
        roles: BTreeSet::new(),
        reset_until: None,
        session: None,
    }
}

pub(crate) fn sign_in(n: u8) -> SignIn {
    SignIn {
        session: session(n),
        verified: Verified::Password(1),
        user_agent: Some(BROWSER.to_owned()),
    }
}

pub(crate) fn change_password(n: u8) -> ChangePassword {
    ChangePassword { from_version: 1, session: Some((session(n), Some(BROWSER.to_owned()))) }
}

// ---- events ----

pub(crate) fn registered() -> AccountEvent {
    registered_as(vec![Role::User])
}

pub(crate) fn registered_as(roles: Vec<Role>) -> AccountEvent {
    let full_name = Some("Ada Lovelace".to_owned());
    let person =
        Person { username: "Ada".to_owned(), email: "ada@example.org".to_owned(), full_name };
    AccountEvent::AccountRegistered(Registered { roles }, Some(person))
}

pub(crate) fn renamed(full_name: Option<&str>) -> AccountEvent {
    AccountEvent::AccountRenamed(
        NoFacts {},
        Some(Renamed { full_name: full_name.map(str::to_owned) }),
    )
}

pub(crate) fn password_changed() -> AccountEvent {
    AccountEvent::PasswordChanged(NoFacts {})
}

pub(crate) fn role_granted(role: Role) -> AccountEvent {
    AccountEvent::RoleGranted(OfRole { role })
}

pub(crate) fn role_revoked(role: Role) -> AccountEvent {
    AccountEvent::RoleRevoked(OfRole { role })
}

pub(crate) fn deactivated() -> AccountEvent {
    AccountEvent::AccountDeactivated(NoFacts {})
}

pub(crate) fn reactivated() -> AccountEvent {
    AccountEvent::AccountReactivated(NoFacts {})
}

pub(crate) fn signed_in(n: u8) -> AccountEvent {
    AccountEvent::SignedIn(
        OfSession { session: session(n) },
        Some(Seen { user_agent: Some(BROWSER.to_owned()) }),
    )
}

pub(crate) fn signed_out(n: u8) -> AccountEvent {
    AccountEvent::SignedOut(LeftSession { session: session(n), tokens_from: None })
}

pub(crate) fn revoked(numbers: impl IntoIterator<Item = u8>, reason: RevokeReason) -> AccountEvent {
    AccountEvent::SessionsRevoked(OfSessions {
        sessions: numbers.into_iter().map(session).collect(),
        reason,
        tokens_kept: None,
    })
}

pub(crate) fn token_reused(n: u8) -> AccountEvent {
    AccountEvent::RefreshTokenReused(OfSession { session: session(n) })
}

pub(crate) fn erased() -> AccountEvent {
    AccountEvent::AccountErased(NoFacts {})
}

pub(crate) fn names_changed(username: Option<&str>, email: Option<&str>) -> AccountEvent {
    let names =
        SignInNames { username: username.map(str::to_owned), email: email.map(str::to_owned) };
    AccountEvent::SignInNamesChanged(NoFacts {}, Some(names))
}

pub(crate) fn reset_created(until: u64) -> AccountEvent {
    AccountEvent::PasswordResetCreated(ResetCreated { expires_at: Timestamp(until) })
}

pub(crate) fn password_reset() -> AccountEvent {
    AccountEvent::PasswordReset(NoFacts {})
}
