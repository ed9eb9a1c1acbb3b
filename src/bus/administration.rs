//! Commands of administrators on accounts, and those that users give on their own with an
//! idempotency key: who may give them, and that an administrator remains.

use super::Bus;
use super::accounts::{AccountDone, AccountRecipe, folded, kind_of, refusal, replayed};
use super::executor::PreparedCommand;
use super::preconditions::Caller;
use crate::limits::CommandLimits;
use crate::system::failure::store_failure;
use crate::views::open_account;
use claviger_application::{CommandContext, lacks_role};
use claviger_domain::account::{Account, AccountCommand, AccountError, AccountEvent};
use claviger_domain::actor::Role;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::ACCOUNTS;
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Rows of accounts that are read at a time.
const BATCH: usize = 500;

/// A command on an account, given by an administrator, the operator or the user.
#[expect(missing_debug_implementations, reason = "holds a password's hash")]
pub struct AdministrationRequest {
    /// Whose account it is, and who acts.
    pub context: CommandContext,
    /// Whether the acting user must be an administrator.
    pub needs_role: bool,
    /// Whether the acting user must have signed in lately: a token alone may be stolen.
    pub needs_sign_in: bool,
    pub command: AccountCommand,
    /// The hash of a new password or of the token that sets one.
    pub phc: Option<SecretText>,
    /// The version that the account must have; `None` for any.
    pub expected: Option<u64>,
    /// The mutation's name and its input, for the request hash.
    pub input: (&'static str, Zeroizing<Vec<u8>>),
}

/// What a command requires besides a valid sign-in of whoever gives it, and what it relied on.
#[derive(Clone, Debug, Default)]
pub(super) struct Required {
    /// The acting user; `None` for the operator and for commands that nobody gives in a session.
    by: Option<UserId>,
    /// Whether the acting user must be an administrator.
    needs_role: bool,
    /// The acting user's roles, read before each decision.
    pub(super) roles: BTreeSet<Role>,
    /// The version that the account must have.
    expected: Option<u64>,
    /// Another administrator, who must still be one when the events are committed.
    pub(super) relied_on: Vec<(StreamName, u64)>,
}

impl Required {
    /// Refuses a command of somebody who may not give it now, or that expects another version.
    pub(super) fn check(&self, account: &Account) -> Result<(), Failure> {
        if self.by.is_some() && self.needs_role && !self.roles.contains(&Role::Admin) {
            return Err(lacks_role());
        }
        account.expected(self.expected).map(drop).map_err(refusal)
    }

    /// Refuses events after which nobody could administer accounts. Another administrator must be
    /// there when the events are committed, not only now.
    pub(super) async fn leave_an_administrator(
        &mut self,
        bus: &Bus,
        (owner, account): (UserId, &Account),
        events: &[AccountEvent],
    ) -> Result<(), Failure> {
        self.relied_on.clear();
        let after = folded(account, events);
        let leaves = account.is_for_administration() && !after.is_for_administration();
        // The operator, who makes a password void, has the token that sets the next one.
        let locks_out = self.by.is_some() && bus.administers(account) && !bus.administers(&after);
        if !(leaves || locks_out) {
            return Ok(());
        }
        // Whoever acts is one as a rule, and saves the search.
        let acting = match self.by.filter(|by| *by != owner) {
            Some(by) => bus.as_administrator(by).await?,
            None => None,
        };
        let other = match acting {
            Some(acting) => Some(acting),
            None => bus.administrator_besides(owner).await?,
        };
        self.relied_on.push(other.ok_or_else(|| refusal(AccountError::LastAdministrator))?);
        Ok(())
    }
}

impl Bus {
    /// Runs a command on an account, in a task of its own, under the acting user's limits.
    ///
    /// # Errors
    /// The refusal or fault.
    pub async fn run_administration(
        self: &Arc<Self>,
        request: AdministrationRequest,
        limits: &CommandLimits,
    ) -> Result<AccountDone, Failure> {
        let (bus, kind) = (Arc::clone(self), kind_of(&request.command));
        let by = request.context.actor.user.unwrap_or(request.context.owner);
        let work = async move { bus.administer(request).await };
        self.enter((kind, by), limits, work).await
    }

    async fn administer(&self, request: AdministrationRequest) -> Result<AccountDone, Failure> {
        let AdministrationRequest { context, command, phc, expected, input, .. } = request;
        let (needs_role, needs_sign_in) = (request.needs_role, request.needs_sign_in);
        let (owner, by) = (context.owner, context.actor.user);
        let signed_in = if needs_sign_in { Caller::lately(&context) } else { None };
        let prepared = match by {
            // The record is the acting user's: the account may not be there yet.
            Some(user) if context.idempotency_key.is_some() => {
                let keys = self.keys_of(user).await?;
                self.prepared(context, &keys, (input.0, &input.1))
            }
            Some(_) | None => {
                let caller = Caller::of(&context);
                PreparedCommand::of(context, self.new_command_id()).requiring(caller)
            }
        };
        let prepared = prepared.requiring(signed_in);
        if let Some(repeat) = self.repeated(&prepared).await? {
            return replayed(repeat);
        }
        let mut recipe = AccountRecipe::new(owner, command, phc);
        recipe.required = Required { by, needs_role, expected, ..Required::default() };
        self.execute(&prepared, &mut recipe).await
    }

    /// Whether the account is that of an administrator who can sign in here.
    fn administers(&self, account: &Account) -> bool {
        account.is_administrator(self.config.is_issuer_trusted)
    }

    /// The stream of a user's account with its version, if they are an administrator who can sign
    /// in.
    async fn as_administrator(&self, user: UserId) -> Result<Option<(StreamName, u64)>, Failure> {
        let stream = StreamName::Account(user);
        let (version, account) = self.aggregates.accounts.load(&*self.store, stream).await?;
        Ok(self.administers(&account).then_some((stream, version)))
    }

    /// The stream of an administrator other than this user who can sign in, with its version. The
    /// view shows candidates; their streams decide.
    async fn administrator_besides(
        &self,
        user: UserId,
    ) -> Result<Option<(StreamName, u64)>, Failure> {
        let mut after = None;
        loop {
            let rows = self.store.rows_of_all(ACCOUNTS, after, BATCH).await;
            let rows = rows.map_err(|error| store_failure(&error))?;
            after = rows.last().map(|row| (row.owner, row.id));
            for row in rows.iter().filter(|row| row.owner != user) {
                let facts = open_account(row, None)?.facts;
                if !(facts.is_active && facts.roles.contains(&Role::Admin)) {
                    continue;
                }
                if let Some(found) = self.as_administrator(row.owner).await? {
                    return Ok(Some(found));
                }
            }
            if rows.len() < BATCH {
                return Ok(None);
            }
        }
    }
}
