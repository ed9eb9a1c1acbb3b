use super::*;
use crate::given::session;
use claviger_domain::account::{
    AccountError, AccountEvent, ChangePassword, MAX_SESSIONS, OfSession, RegisterAccount,
    ReportRefreshReuse, RevokeReason, RevokeSessions, Seen, SignIn, SignOut, Verified,
};

fn with_sessions(count: u8) -> impl Iterator<Item = AccountEvent> {
    std::iter::once(registered()).chain((1..=count).map(signed_in))
}

#[test]
fn session_begins() {
    let account = account([registered()]).when(sign_in(1)).then([signed_in(1)]);
    assert_eq!(account.sessions, [session(1)]);
}

#[test]
fn sessions_are_kept_oldest_first() {
    let account = account(with_sessions(2)).when(sign_in(3)).then([signed_in(3)]);
    assert_eq!(account.sessions, [session(1), session(2), session(3)]);
}

#[test]
fn deactivated_account_cannot_sign_in_or_change_its_password() {
    let history = || [registered(), deactivated()];
    account(history()).when(sign_in(1)).refused(AccountError::Deactivated);
    account(history()).when(change_password(1)).refused(AccountError::Deactivated);
}

#[test]
fn oldest_session_ends_when_one_too_many_begins() {
    let max = u8::try_from(MAX_SESSIONS).unwrap();
    let next = max + 1;
    let account = account(with_sessions(max))
        .when(sign_in(next))
        .then([revoked([1], RevokeReason::TooMany), signed_in(next)]);
    assert_eq!(account.sessions.len(), MAX_SESSIONS);
    assert_eq!(
        (account.sessions.first(), account.sessions.last()),
        (Some(&session(2)), Some(&session(next)))
    );
}

#[test]
fn last_allowed_session_ends_no_other() {
    let max = u8::try_from(MAX_SESSIONS).unwrap();
    account(with_sessions(max - 1)).when(sign_in(max)).then([signed_in(max)]);
}

#[test]
fn changed_password_ends_every_session_and_begins_one() {
    let account = account(with_sessions(2)).when(change_password(3)).then([
        password_changed(),
        revoked([1, 2], RevokeReason::PasswordChanged),
        signed_in(3),
    ]);
    assert_eq!(account.sessions, [session(3)]);
}

#[test]
fn password_changed_without_sessions_ends_none() {
    account([registered()]).when(change_password(1)).then([password_changed(), signed_in(1)]);
}

#[test]
fn password_changed_by_an_operator_begins_no_session() {
    let account = account(with_sessions(1))
        .when(ChangePassword { from_version: 1, session: None })
        .then([password_changed(), revoked([1], RevokeReason::PasswordChanged)]);
    assert!(account.sessions.is_empty());
}

#[test]
fn a_password_that_was_changed_since_it_was_verified_starts_no_session_and_changes_nothing() {
    let changed = || with_sessions(1).chain([password_changed(), signed_in(2)]);
    for version in [0, 1, 3] {
        let stale = Verified::Password(version);
        account(changed())
            .when(SignIn { verified: stale, ..sign_in(3) })
            .refused(AccountError::NoLongerVerified);
        account(changed())
            .when(ChangePassword { from_version: version, session: None })
            .refused(AccountError::NoLongerVerified);
    }
    let fresh = Verified::Password(2);
    account(changed()).when(SignIn { verified: fresh, ..sign_in(3) }).then([signed_in(3)]);
    account(with_sessions(1))
        .when(SignIn { verified: Verified::Token, ..sign_in(3) })
        .refused(AccountError::NoLongerVerified);
}

#[test]
fn session_is_ended_by_its_holder() {
    let account = account(with_sessions(2))
        .when(SignOut { session: session(1), tokens_from: None })
        .then([signed_out(1)]);
    assert_eq!(account.sessions, [session(2)]);
}

#[test]
fn ended_and_unknown_sessions_signed_out_are_nothing_new() {
    account(with_sessions(1).chain([signed_out(1)]))
        .when(SignOut { session: session(1), tokens_from: None })
        .nothing();
    account(with_sessions(1)).when(SignOut { session: session(9), tokens_from: None }).nothing();
}

#[test]
fn sessions_are_revoked_but_for_the_present_one() {
    let account = account(with_sessions(3))
        .when(RevokeSessions { except: Some(session(2)), tokens_kept: None })
        .then([revoked([1, 3], RevokeReason::Requested)]);
    assert_eq!(account.sessions, [session(2)]);
}

#[test]
fn every_session_is_revoked_when_none_is_to_stay() {
    let account = account(with_sessions(2))
        .when(RevokeSessions { except: None, tokens_kept: None })
        .then([revoked([1, 2], RevokeReason::Requested)]);
    assert!(account.sessions.is_empty());
}

#[test]
fn revoking_where_there_is_nothing_to_end_is_nothing_new() {
    account([registered()]).when(RevokeSessions { except: None, tokens_kept: None }).nothing();
    account(with_sessions(1))
        .when(RevokeSessions { except: Some(session(1)), tokens_kept: None })
        .nothing();
}

#[test]
fn reused_refresh_token_ends_its_session_once() {
    let report = ReportRefreshReuse { session: session(1) };
    let state = account(with_sessions(2)).when(report).then([token_reused(1)]);
    assert_eq!(state.sessions, [session(2)]);
    account(with_sessions(2).chain([token_reused(1)])).when(report).nothing();
}

#[test]
fn refresh_token_of_an_ended_or_unknown_session_is_no_event() {
    account(with_sessions(1).chain([signed_out(1)]))
        .when(ReportRefreshReuse { session: session(1) })
        .nothing();
    account([registered()]).when(ReportRefreshReuse { session: session(1) }).nothing();
}

#[test]
fn sessions_of_nobody_and_of_an_erased_account_are_not_found() {
    for history in [vec![], vec![registered(), signed_in(1), erased()]] {
        let given = || account(history.clone());
        given()
            .when(SignOut { session: session(1), tokens_from: None })
            .refused(AccountError::NotFound);
        given()
            .when(RevokeSessions { except: None, tokens_kept: None })
            .refused(AccountError::NotFound);
        given().when(ReportRefreshReuse { session: session(1) }).refused(AccountError::NotFound);
    }
}

fn signed_in_from(user_agent: Option<&str>) -> AccountEvent {
    AccountEvent::SignedIn(
        OfSession { session: session(1) },
        Some(Seen { user_agent: user_agent.map(str::to_owned) }),
    )
}

#[test]
fn user_agent_is_optional_and_cut_to_200_characters() {
    let cut = "ä".repeat(200);
    for (given, kept) in [
        (None, None),
        (Some("curl/8.16.0"), Some("curl/8.16.0")),
        (Some(&*"ä".repeat(300)), Some(&*cut)),
    ] {
        let given = || given.map(str::to_owned);
        let event = signed_in_from(kept);
        account([registered()])
            .when(SignIn { user_agent: given(), ..sign_in(1) })
            .then([event.clone()]);
        account([registered()])
            .when(ChangePassword { from_version: 1, session: Some((session(1), given())) })
            .then([password_changed(), event.clone()]);
        account([])
            .when(RegisterAccount { session: Some((session(1), given())), ..register() })
            .then([registered(), event]);
    }
}

#[test]
fn user_agent_that_holds_a_secret_is_left_out() {
    let user_agent = Some(format!("{}SK-ANT-api03-x", "a".repeat(195)));
    account([registered()]).when(SignIn { user_agent, ..sign_in(1) }).then([signed_in_from(None)]);
}
