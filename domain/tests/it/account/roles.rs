use super::*;
use claviger_domain::account::{AccountError, GrantRole, RevokeRole};
use claviger_domain::actor::Role;

#[test]
fn role_is_granted_and_revoked() {
    for role in [Role::Auditor, Role::Admin] {
        let state = account([registered()]).when(GrantRole { role }).then([role_granted(role)]);
        assert!(state.roles.contains(&role));
        let state = account([registered(), role_granted(role)])
            .when(RevokeRole { role })
            .then([role_revoked(role)]);
        assert!(!state.roles.contains(&role) && state.roles.contains(&Role::User));
    }
}

#[test]
fn role_the_account_was_registered_with_is_revoked() {
    let role = Role::Admin;
    account([registered_as(vec![Role::User, role])])
        .when(RevokeRole { role })
        .then([role_revoked(role)]);
}

#[test]
fn role_granted_twice_or_revoked_twice_is_nothing_new() {
    let role = Role::Auditor;
    account([registered(), role_granted(role)]).when(GrantRole { role }).nothing();
    account([registered()]).when(RevokeRole { role }).nothing();
    account([registered(), role_granted(role), role_revoked(role)])
        .when(RevokeRole { role })
        .nothing();
}

#[test]
fn role_user_belongs_to_every_account() {
    let role = Role::User;
    account([registered()]).when(GrantRole { role }).refused(AccountError::FixedRole(role));
    account([registered()]).when(RevokeRole { role }).refused(AccountError::FixedRole(role));
}

#[test]
fn roles_of_nobody_and_of_an_erased_account_cannot_change() {
    let role = Role::Admin;
    for history in [vec![], vec![registered(), erased()]] {
        account(history.clone()).when(GrantRole { role }).refused(AccountError::NotFound);
        account(history).when(RevokeRole { role }).refused(AccountError::NotFound);
    }
}

#[test]
fn roles_of_a_deactivated_account_can_change() {
    let role = Role::Auditor;
    account([registered(), deactivated()]).when(GrantRole { role }).then([role_granted(role)]);
}
