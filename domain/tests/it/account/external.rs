use super::*;
use crate::given::session;
use claviger_domain::account::{
    AccountError, AccountEvent, DeactivateAccount, Identity, LeftSession, NoFacts, OfSession,
    OfSessions, Person, RegisterExternal, Registered, RevokeReason, RevokeSessions, Seen, SignIn,
    SignOut, Verified,
};
use claviger_domain::actor::Role;
use claviger_domain::text::{Email, Username};
use claviger_domain::timestamp::Timestamp;

fn identity() -> Identity {
    Identity { issuer: "https://login.example.org/".to_owned(), subject: "00u1ada".to_owned() }
}

fn register_external(email: Option<&str>) -> RegisterExternal {
    RegisterExternal {
        identity: identity(),
        username: Username::parse("ada").unwrap(),
        email: email.map(|email| Email::parse(email).unwrap()),
        full_name: None,
        session: session(1),
    }
}

fn history(email: &str) -> [AccountEvent; 3] {
    let person = Person { username: "ada".to_owned(), email: email.to_owned(), full_name: None };
    [
        AccountEvent::AccountRegistered(Registered { roles: vec![Role::User] }, Some(person)),
        AccountEvent::IdentityLinked(NoFacts {}, Some(identity())),
        AccountEvent::SignedIn(OfSession { session: session(1) }, Some(Seen { user_agent: None })),
    ]
}

#[test]
fn external_user_is_registered_linked_and_signed_in() {
    let ada = account([])
        .when(register_external(Some("ada@example.org")))
        .then(history("ada@example.org"));
    assert!(ada.is_external && ada.is_active);
    assert_eq!(ada.sessions, [session(1)]);
}

#[test]
fn external_user_needs_no_address() {
    account([]).when(register_external(None)).then(history(""));
}

#[test]
fn account_that_exists_is_not_made_external() {
    account([registered()]).when(register_external(None)).refused(AccountError::Exists);
}

#[test]
fn one_session_of_an_external_user_starts_by_a_token_and_only_once() {
    let by_token = SignIn { session: session(1), verified: Verified::Token, user_agent: None };
    account(history("")).when(by_token.clone()).nothing();
    let ended = history("").into_iter().chain([signed_out(1)]);
    let [.., begins] = history("");
    account(ended).when(by_token).then([begins]);
    account(history("")).when(sign_in(2)).refused(AccountError::NoLongerVerified);
}

#[test]
fn external_user_has_no_password_to_change() {
    account(history("")).when(change_password(2)).refused(AccountError::NoPassword);
}

#[test]
fn external_user_who_ends_other_sessions_keeps_the_token_by_which_it_is_done() {
    let tokens_kept = Some(Timestamp(1_760_000_000_000));
    let revoke = RevokeSessions { except: Some(session(1)), tokens_kept };
    let facts = OfSessions { sessions: Vec::new(), reason: RevokeReason::Requested, tokens_kept };
    let ada = account(history("")).when(revoke).then([AccountEvent::SessionsRevoked(facts)]);
    assert_eq!(ada.sessions, [session(1)]);
    account([registered()]).when(revoke).nothing();
}

#[test]
fn tokens_of_an_external_user_that_were_not_used_yet_end_with_the_sessions() {
    let ended = || history("").into_iter().chain([signed_out(1)]);
    let revoked = |reason| {
        let facts = OfSessions { sessions: Vec::new(), reason, tokens_kept: None };
        AccountEvent::SessionsRevoked(facts)
    };
    let all = RevokeSessions { except: None, tokens_kept: None };
    account(ended()).when(all).then([revoked(RevokeReason::Requested)]);
    account(ended())
        .when(DeactivateAccount)
        .then([deactivated(), revoked(RevokeReason::Deactivated)]);
}

#[test]
fn external_user_who_signs_out_ends_the_tokens_from_before_a_time() {
    let tokens_from = Some(Timestamp(1_760_000_000_000));
    let facts = LeftSession { session: session(1), tokens_from };
    account(history(""))
        .when(SignOut { session: session(1), tokens_from })
        .then([AccountEvent::SignedOut(facts)]);
    account([registered(), signed_in(1)])
        .when(SignOut { session: session(1), tokens_from })
        .then([signed_out(1)]);
}
