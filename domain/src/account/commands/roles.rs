use crate::account::{Account, AccountError, AccountEvent, OfRole};
use crate::actor::Role;

/// Grants a role.
#[derive(Clone, Copy, Debug)]
pub struct GrantRole {
    /// Any role but `user`.
    pub role: Role,
}

/// Revokes a role.
#[derive(Clone, Copy, Debug)]
pub struct RevokeRole {
    /// Any role but `user`.
    pub role: Role,
}

fn grantable(account: &Account, role: Role) -> Result<(), AccountError> {
    account.present()?;
    if role == Role::User { Err(AccountError::FixedRole(role)) } else { Ok(()) }
}

impl GrantRole {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        grantable(account, self.role)?;
        let has = account.roles.contains(&self.role);
        Ok(if has {
            Vec::new()
        } else {
            vec![AccountEvent::RoleGranted(OfRole { role: self.role })]
        })
    }
}

impl RevokeRole {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        grantable(account, self.role)?;
        let has = account.roles.contains(&self.role);
        Ok(if has {
            vec![AccountEvent::RoleRevoked(OfRole { role: self.role })]
        } else {
            Vec::new()
        })
    }
}
