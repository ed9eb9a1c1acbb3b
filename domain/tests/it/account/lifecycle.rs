use super::*;
use crate::given::{fold, session};
use claviger_domain::account::{
    Account, AccountError, DeactivateAccount, EraseAccount, ReactivateAccount, RegisterAccount,
    RenameAccount, RevokeReason,
};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::text::FullName;

#[test]
fn registered_account_is_active_and_has_the_role_user() {
    let account = account([]).when(register()).then([registered()]);
    assert!(account.is_registered && account.is_active && !account.is_erased);
    assert_eq!(account.roles.into_iter().collect::<Vec<_>>(), [Role::User]);
    assert!(account.sessions.is_empty());
}

#[test]
fn account_registered_with_more_rights_is_a_user_too() {
    for role in [Role::Auditor, Role::Admin] {
        account([])
            .when(RegisterAccount { roles: [role].into(), ..register() })
            .then([registered_as(vec![Role::User, role])]);
    }
}

#[test]
fn registering_may_sign_in_at_once() {
    let command =
        RegisterAccount { session: Some((session(1), Some(BROWSER.to_owned()))), ..register() };
    let account = account([]).when(command).then([registered(), signed_in(1)]);
    assert_eq!(account.sessions, [session(1)]);
}

#[test]
fn account_is_registered_once() {
    account([registered()]).when(register()).refused(AccountError::Exists);
}

#[test]
fn erased_account_cannot_be_registered_again() {
    account([registered(), erased()]).when(register()).refused(AccountError::Exists);
}

#[test]
fn account_is_renamed_and_the_name_taken_back() {
    let rename = |name: Option<&str>| RenameAccount {
        full_name: Some(name.and_then(|name| FullName::parse(name).ok())),
        ..RenameAccount::default()
    };
    account([registered()]).when(rename(Some("Ada King"))).then([renamed(Some("Ada King"))]);
    account([registered()]).when(rename(None)).then([renamed(None)]);
    account([]).when(rename(None)).refused(AccountError::NotFound);
    account([registered(), erased()]).when(rename(None)).refused(AccountError::NotFound);
}

#[test]
fn deactivated_account_loses_every_session_in_the_same_commit() {
    let account = account([registered(), signed_in(1), signed_in(2)])
        .when(DeactivateAccount)
        .then([deactivated(), revoked([1, 2], RevokeReason::Deactivated)]);
    assert!(!account.is_active);
    assert!(account.sessions.is_empty());
}

#[test]
fn account_without_sessions_is_just_deactivated() {
    account([registered()]).when(DeactivateAccount).then([deactivated()]);
}

#[test]
fn deactivated_account_deactivated_again_is_nothing_new() {
    account([registered(), deactivated()]).when(DeactivateAccount).nothing();
}

#[test]
fn reactivated_account_may_sign_in_again_but_has_no_sessions() {
    let history =
        [registered(), signed_in(1), deactivated(), revoked([1], RevokeReason::Deactivated)];
    let state = account(history.clone()).when(ReactivateAccount).then([reactivated()]);
    assert!(state.is_active);
    assert!(state.sessions.is_empty());
    account(history.into_iter().chain([reactivated()])).when(sign_in(2)).then([signed_in(2)]);
}

#[test]
fn active_account_reactivated_is_nothing_new() {
    account([registered()]).when(ReactivateAccount).nothing();
}

#[test]
fn erased_account_is_gone_and_its_sessions_with_it() {
    let account = account([registered(), signed_in(1)]).when(EraseAccount).then([erased()]);
    assert!(account.is_erased && !account.is_active);
    assert!(account.sessions.is_empty());
}

#[test]
fn deactivated_account_can_be_erased() {
    account([registered(), deactivated()]).when(EraseAccount).then([erased()]);
}

#[test]
fn nothing_can_be_asked_of_nobody_or_of_an_erased_account() {
    for history in [vec![], vec![registered(), erased()]] {
        let given = || account(history.clone());
        given().when(DeactivateAccount).refused(AccountError::NotFound);
        given().when(ReactivateAccount).refused(AccountError::NotFound);
        given().when(EraseAccount).refused(AccountError::NotFound);
        given().when(sign_in(1)).refused(AccountError::NotFound);
        given().when(change_password(1)).refused(AccountError::NotFound);
    }
}

#[test]
fn every_refusal_has_its_code() {
    let table = [
        (AccountError::NotFound, ErrorCode::NotFound),
        (AccountError::Exists, ErrorCode::Conflict),
        (AccountError::Deactivated, ErrorCode::Unauthenticated),
        (AccountError::FixedRole(Role::User), ErrorCode::Validation),
        (AccountError::NoPassword, ErrorCode::Validation),
        (AccountError::ForeignEmail, ErrorCode::Validation),
        (AccountError::VersionMismatch { expected: 1, actual: 2 }, ErrorCode::Conflict),
        (AccountError::LastAdministrator, ErrorCode::Conflict),
        (AccountError::NoSession, ErrorCode::NotFound),
        (AccountError::ResetInvalid, ErrorCode::Unauthenticated),
    ];
    for (error, code) in table {
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn state_survives_being_written_as_json() {
    let account: Account = fold([registered_as(vec![Role::User, Role::Admin]), signed_in(1)]);
    let json = serde_json::to_string(&account).unwrap();
    assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), account);
    assert_eq!(account.version, 2);
}
