use super::*;
use crate::given::{fold, session};
use claviger_domain::account::{
    Account, AccountError, AccountEvent, CreatePasswordReset, EndSession, NoFacts, RegisterAccount,
    RenameAccount, ResetPassword, RevokeReason,
};
use claviger_domain::actor::Role;
use claviger_domain::text::{Email, Username};
use claviger_domain::timestamp::Timestamp;

const UNTIL: u64 = 3_600_000;

fn create() -> CreatePasswordReset {
    CreatePasswordReset { expires_at: Timestamp(UNTIL) }
}

fn reset(password_version: u32, now: u64) -> ResetPassword {
    let user_agent = Some(BROWSER.to_owned());
    ResetPassword { password_version, now: Timestamp(now), session: session(9), user_agent }
}

#[test]
fn a_reset_makes_the_password_void_and_ends_every_session() {
    let state = account([registered(), signed_in(1), signed_in(2)])
        .when(create())
        .then([reset_created(UNTIL), revoked([1, 2], RevokeReason::PasswordChanged)]);
    assert!(!state.has_password && state.sessions.is_empty());
    assert_eq!((state.password_version, state.reset_until), (2, Some(Timestamp(UNTIL))));
    account([registered(), deactivated()]).when(create()).then([reset_created(UNTIL)]);
}

#[test]
fn a_reset_sets_a_password_once_before_it_expires_and_signs_in() {
    let history = || [registered(), reset_created(UNTIL)];
    let state = account(history()).when(reset(2, UNTIL - 1)).then([password_reset(), signed_in(9)]);
    assert!(state.has_password);
    assert_eq!((state.password_version, state.reset_until), (3, None));
    account(history()).when(reset(2, UNTIL)).refused(AccountError::ResetInvalid);
    account(history().into_iter().chain([password_reset()]))
        .when(reset(2, 1))
        .refused(AccountError::ResetInvalid);
}

#[test]
fn a_later_reset_replaces_the_one_before() {
    let history = [registered(), reset_created(UNTIL), reset_created(UNTIL + 1)];
    account(history.clone()).when(reset(2, 1)).refused(AccountError::ResetInvalid);
    account(history).when(reset(3, 1)).then([password_reset(), signed_in(9)]);
}

#[test]
fn a_deactivation_ends_a_reset_and_the_old_password_stays_void() {
    let history = [registered(), reset_created(UNTIL), deactivated()];
    account(history.clone()).when(reset(2, 1)).refused(AccountError::Deactivated);
    let history = history.into_iter().chain([reactivated()]);
    account(history.clone()).when(reset(2, 1)).refused(AccountError::ResetInvalid);
    assert!(!fold::<Account>(history).has_password);
}

#[test]
fn an_account_without_a_password_begins_with_a_reset() {
    let command = RegisterAccount {
        reset_until: Some(Timestamp(UNTIL)),
        roles: [Role::Admin].into(),
        ..register()
    };
    let state = account([])
        .when(command)
        .then([registered_as(vec![Role::User, Role::Admin]), reset_created(UNTIL)]);
    assert!(!state.has_password && !state.is_administrator(true));
    assert_eq!(state.password_version, 2);
}

#[test]
fn who_can_sign_in_with_the_role_is_an_administrator() {
    let admin = || registered_as(vec![Role::User, Role::Admin]);
    for (history, is) in [
        (vec![registered()], false),
        (vec![admin()], true),
        (vec![admin(), deactivated()], false),
        (vec![admin(), deactivated(), reactivated()], true),
        (vec![admin(), role_revoked(Role::Admin)], false),
        (vec![admin(), reset_created(UNTIL)], false),
        (vec![admin(), reset_created(UNTIL), password_reset()], true),
        (vec![admin(), erased()], false),
    ] {
        assert_eq!(fold::<Account>(history.clone()).is_administrator(true), is, "{history:?}");
    }
    // A user of an issuer has no password, and is one while the issuer's tokens are accepted.
    let external = fold::<Account>([admin(), AccountEvent::IdentityLinked(NoFacts {}, None)]);
    assert!(external.is_administrator(true) && !external.is_administrator(false));
}

#[test]
fn one_session_is_ended_from_another_and_only_once() {
    let history = [registered(), signed_in(1), signed_in(2)];
    let end = EndSession { session: session(1) };
    let state = account(history.clone()).when(end).then([revoked([1], RevokeReason::Requested)]);
    assert_eq!(state.sessions, [session(2)]);
    let ended = history.into_iter().chain([revoked([1], RevokeReason::Requested)]);
    account(ended).when(end).refused(AccountError::NoSession);
    account([]).when(end).refused(AccountError::NotFound);
}

#[test]
fn names_to_sign_in_with_are_changed_together() {
    let command = RenameAccount {
        username: Username::parse("Countess").ok(),
        email: Email::parse("Ada.King@Example.org").ok(),
        full_name: Some(None),
    };
    let both = names_changed(Some("Countess"), Some("ada.king@example.org"));
    account([registered()]).when(command).then([both, renamed(None)]);
    account([registered()]).when(RenameAccount::default()).nothing();
}

#[test]
fn sessions_are_no_change_that_a_caller_must_know_of() {
    let state: Account =
        fold([registered(), signed_in(1), role_granted(Role::Auditor), signed_out(1)]);
    assert_eq!((state.version, state.changed), (4, 3));
    assert!(state.expected(None).is_ok() && state.expected(Some(3)).is_ok());
    let mismatch = AccountError::VersionMismatch { expected: 4, actual: 3 };
    assert_eq!(state.expected(Some(4)).err(), Some(mismatch));
}
