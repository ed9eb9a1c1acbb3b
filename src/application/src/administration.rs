//! Accounts as administrators see and change them, and what users change of their own.

use crate::accounts::Tokens;
use crate::command::{Answer, CommandContext, Commit};
use crate::principal::RequestInfo;
use crate::reads::EventView;
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Email, FullName, Password, Username};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::AccountView;
use claviger_projections::ports::Page;
use std::collections::BTreeSet;

/// An account that an administrator creates.
#[expect(missing_debug_implementations, reason = "holds a password")]
#[derive(Clone)]
pub struct NewAccount {
    /// The name to sign in with.
    pub username: Username,
    /// The address to sign in with.
    pub email: Email,
    /// The name to display.
    pub full_name: Option<FullName>,
    /// The roles besides `user`.
    pub roles: BTreeSet<Role>,
    /// `None`: the answer has a token that sets one.
    pub password: Option<Password>,
}

/// A change of an account that is there.
#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Changes names; `None` leaves one.
    Rename {
        /// The name to sign in with.
        username: Option<Username>,
        /// The address to sign in with.
        email: Option<Email>,
        /// The name to display; `Some(None)` removes it.
        full_name: Option<Option<FullName>>,
    },
    /// Keeps the user from signing in, and ends what they have under way.
    Deactivate,
    /// Lets the user sign in again.
    Reactivate,
    /// Grants a role.
    Grant(Role),
    /// Revokes a role.
    Revoke(Role),
    /// Ends one session.
    EndSession(SessionId),
    /// Ends every session.
    EndSessions,
    /// Makes the password void; the answer has a token that sets a new one.
    CreateReset,
}

impl AccountChange {
    /// The mutation's name: idempotency keys are counted by it.
    pub const fn mutation(&self) -> &'static str {
        match self {
            Self::Rename { .. } => "renameAccount",
            Self::Deactivate => "deactivateAccount",
            Self::Reactivate => "reactivateAccount",
            Self::Grant(_) => "grantRole",
            Self::Revoke(_) => "revokeRole",
            Self::EndSession(_) => "endSession",
            Self::EndSessions => "endAccountSessions",
            Self::CreateReset => "createPasswordReset",
        }
    }

    /// Whether users may make it on their own account without the role admin.
    pub const fn is_for_oneself(&self) -> bool {
        match self {
            Self::Rename { .. } | Self::EndSession(_) => true,
            Self::Deactivate
            | Self::Reactivate
            | Self::Grant(_)
            | Self::Revoke(_)
            | Self::EndSessions
            | Self::CreateReset => false,
        }
    }
}

/// A token that sets a new password once.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ResetToken {
    /// The token, for its user. Stored nowhere.
    pub token: SecretText,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// What a change of an account led to.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct AccountChanged {
    /// What was committed.
    pub commit: Commit,
    /// The user whose account it is.
    pub user: UserId,
    /// For a new reset; `None` also for a repeat of the request that made it.
    pub reset: Option<ResetToken>,
}

/// What an account is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountState {
    /// The user may sign in.
    Active,
    /// The user may not sign in.
    Deactivated,
    /// Its content was destroyed.
    Erased,
}

/// An account, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDetail {
    /// The user.
    pub user: UserId,
    /// The account.
    pub view: AccountView,
    /// Its state.
    pub state: AccountState,
    /// Its version, for the next change.
    pub version: u64,
}

/// Which accounts to list. Names are sealed, so only a whole one can be looked for.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// A username, an e-mail address or a user's id.
    pub search: Option<AccountSearch>,
    /// Only these states; empty for all.
    pub states: BTreeSet<AccountState>,
}

/// What an account is looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountSearch {
    /// The user's id.
    Id(UserId),
    /// A whole username or e-mail address.
    Name(String),
}

/// A page of accounts.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// The accounts, newest first.
    pub accounts: Vec<AccountDetail>,
    /// How many accounts pass the filter.
    pub total: u64,
    /// Whether more accounts follow in the direction of the page.
    pub more: bool,
}

/// How much a user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Number of keys.
    pub keys: u64,
    /// Number of orchestrations that have not ended.
    pub open_runs: u64,
}

/// The port for the administration of accounts. Commands check the rights of who gives them, where
/// they are decided; reads do not, which is up to the face.
pub trait Administration: Send + Sync {
    /// Creates an account.
    fn create(&self, context: CommandContext, new: NewAccount) -> Answer<'_, AccountChanged>;
    /// Changes the account of the context's owner, if it is at the expected version.
    fn change(
        &self,
        context: CommandContext,
        change: AccountChange,
        expected: Option<u64>,
    ) -> Answer<'_, AccountChanged>;
    /// Sets a new password with the token of a reset, ends every session and begins one.
    fn reset_password(
        &self,
        info: RequestInfo,
        token: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens>;
    /// An account; `None` for an unknown user.
    fn account(&self, user: UserId) -> Answer<'_, Option<AccountDetail>>;
    /// A page of accounts, newest first.
    fn accounts(&self, filter: AccountFilter, page: Page) -> Answer<'_, AccountPage>;
    /// How much a user has.
    fn holdings(&self, user: UserId) -> Answer<'_, Holdings>;
    /// For each open session of a user, the last event that it caused, of the newest thousand of the
    /// user's own events. Without content for everybody but the user.
    fn last_events(
        &self,
        user: UserId,
        with_content: bool,
    ) -> Answer<'_, Vec<(SessionId, EventView)>>;
}

/// The one refusal of those who are no administrators, whether or not an account is there.
pub fn lacks_role() -> Failure {
    Failure::new(ErrorCode::Forbidden, "this needs the role admin")
}

/// What a server tells everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The program's version.
    pub version: &'static str,
    /// Whether everybody may create an account.
    pub is_registration_open: bool,
    /// Tokens of an external issuer are accepted.
    pub has_issuer: bool,
    /// Runs may use the operator's Max plan.
    pub has_max_plan: bool,
}
