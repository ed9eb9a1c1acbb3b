//! Mutations of administrators on accounts, and of users on their own.

use super::accounts::{at, info, logout_payload, payload};
use super::administration_inputs::{
    AccountInput, AccountRoleInput, CreateAccountInput, RenameAccountInput, ResetPasswordInput,
    SessionInput,
};
use super::call::command_context;
use super::payloads::{AccountPayload, LogoutPayload, SessionPayload};
use super::user_errors::user_error;
use crate::context::{ports, principal};
use crate::scalars::{DateTime, Position};
use crate::types::{Account, user_of};
use async_graphql::{Context, Error, ID, MaybeUndefined, Object};
use claviger_application::ids::{self, IdKind};
use claviger_application::{AccountChange, AccountChanged, NewAccount};
use claviger_domain::actor::Role;
use claviger_domain::failure::Failure;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::text::{Email, FullName, Password, Username};
use std::collections::BTreeSet;

/// Mutations on accounts by their administrators and owners.
#[derive(Default)]
pub(crate) struct AdministrationMutations;

/// The parts that the inputs have in common.
struct Call {
    user: UserId,
    expected: Option<Position>,
    idempotency_key: Option<ID>,
    client_mutation_id: Option<String>,
}

impl Call {
    fn on(input: AccountInput) -> Self {
        Self {
            user: user_of(&input.id),
            expected: input.expected_version,
            idempotency_key: input.idempotency_key,
            client_mutation_id: input.client_mutation_id,
        }
    }

    async fn change(
        self,
        ctx: &Context<'_>,
        change: Result<AccountChange, Failure>,
    ) -> Result<AccountPayload, Error> {
        let changed = self.changed(ctx, change).await?;
        account_payload(ctx, changed, self.client_mutation_id).await
    }

    async fn changed(
        &self,
        ctx: &Context<'_>,
        change: Result<AccountChange, Failure>,
    ) -> Result<Result<AccountChanged, Failure>, Error> {
        Ok(match (command_context(ctx, self.idempotency_key.as_ref())?, change) {
            (Ok(mut context), Ok(change)) => {
                context.owner = self.user;
                let expected = self.expected.map(|position| position.0);
                ports(ctx)?.administration.change(context, change, expected).await
            }
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        })
    }
}

async fn account_payload(
    ctx: &Context<'_>,
    changed: Result<AccountChanged, Failure>,
    client_mutation_id: Option<String>,
) -> Result<AccountPayload, Error> {
    let changed = match changed {
        Ok(changed) => changed,
        Err(failure) => {
            let user_errors = vec![user_error(&failure)?];
            return Ok(AccountPayload { user_errors, client_mutation_id, ..Default::default() });
        }
    };
    let (reset_token, expires_at) = match changed.reset {
        Some(reset) => (Some(reset.token.expose().to_owned()), Some(DateTime(reset.expires_at))),
        None => (None, None),
    };
    Ok(AccountPayload {
        account: Account::load(ctx, changed.user).await?,
        reset_token,
        reset_token_expires_at: expires_at,
        user_errors: Vec::new(),
        commit: Some(changed.commit.into()),
        client_mutation_id,
    })
}

#[Object]
impl AdministrationMutations {
    /// Ends one session of the viewer immediately, including its open sockets.
    async fn end_session(
        &self,
        ctx: &Context<'_>,
        input: SessionInput,
    ) -> Result<LogoutPayload, Error> {
        // An invalid id becomes one that no session has.
        let session = SessionId(ids::decode_as(IdKind::Session, &input.id).unwrap_or_default());
        let call = Call {
            user: principal(ctx)?.user,
            expected: None,
            idempotency_key: input.idempotency_key,
            client_mutation_id: None,
        };
        let changed = call.changed(ctx, Ok(AccountChange::EndSession(session))).await?;
        logout_payload(changed.map(drop), input.client_mutation_id)
    }
    /// Changes the viewer's own names, or with the role ADMIN another user's. A username or e-mail
    /// address needs a sign-in of the last five minutes.
    async fn rename_account(
        &self,
        ctx: &Context<'_>,
        input: RenameAccountInput,
    ) -> Result<AccountPayload, Error> {
        let own = principal(ctx)?.user;
        let full_name = match &input.full_name {
            MaybeUndefined::Undefined => Ok(None),
            MaybeUndefined::Null => Ok(Some(None)),
            MaybeUndefined::Value(name) => FullName::parse(name).map(|name| Some(Some(name))),
        };
        let change = (|| {
            Ok(AccountChange::Rename {
                username: at(
                    input.username.as_deref().map(Username::parse).transpose(),
                    "username",
                )?,
                email: at(input.email.as_deref().map(Email::parse).transpose(), "email")?,
                full_name: at(full_name, "fullName")?,
            })
        })();
        let call = Call {
            user: input.id.map_or(own, |id| user_of(&id)),
            expected: input.expected_version,
            idempotency_key: input.idempotency_key,
            client_mutation_id: input.client_mutation_id,
        };
        call.change(ctx, change).await
    }
    /// Creates an account. Without a password the payload has a reset token to hand over. Needs the
    /// role ADMIN and a sign-in of the last five minutes.
    async fn create_account(
        &self,
        ctx: &Context<'_>,
        input: CreateAccountInput,
    ) -> Result<AccountPayload, Error> {
        let roles: BTreeSet<Role> =
            input.roles.unwrap_or_default().into_iter().map(Role::from).collect();
        let new = (|| {
            let password = input.password.map(|password| Password::parse(password.0)).transpose();
            Ok(NewAccount {
                username: at(Username::parse(&input.username), "username")?,
                email: at(Email::parse(&input.email), "email")?,
                full_name: at(
                    input.full_name.as_deref().map(FullName::parse).transpose(),
                    "fullName",
                )?,
                roles,
                password: at(password, "password")?,
            })
        })();
        let created = match (command_context(ctx, input.idempotency_key.as_ref())?, new) {
            (Ok(context), Ok(new)) => ports(ctx)?.administration.create(context, new).await,
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        };
        account_payload(ctx, created, input.client_mutation_id).await
    }
    /// Keeps a user from signing in, and ends their sessions, sockets, streams and reset tokens
    /// immediately; their orchestrations pause. Refused for the last active administrator. Needs
    /// the role ADMIN and a sign-in of the last five minutes.
    async fn deactivate_account(
        &self,
        ctx: &Context<'_>,
        input: AccountInput,
    ) -> Result<AccountPayload, Error> {
        Call::on(input).change(ctx, Ok(AccountChange::Deactivate)).await
    }
    /// Lets a user sign in again. Needs the role ADMIN and a sign-in of the last five minutes.
    async fn reactivate_account(
        &self,
        ctx: &Context<'_>,
        input: AccountInput,
    ) -> Result<AccountPayload, Error> {
        Call::on(input).change(ctx, Ok(AccountChange::Reactivate)).await
    }
    /// Grants a role. Needs the role ADMIN and a sign-in of the last five minutes.
    async fn grant_role(
        &self,
        ctx: &Context<'_>,
        input: AccountRoleInput,
    ) -> Result<AccountPayload, Error> {
        let role = Role::from(input.role);
        Call::on_role(input).change(ctx, Ok(AccountChange::Grant(role))).await
    }
    /// Revokes a role. Refused for the last active administrator. Needs the role ADMIN and a sign-in
    /// of the last five minutes.
    async fn revoke_role(
        &self,
        ctx: &Context<'_>,
        input: AccountRoleInput,
    ) -> Result<AccountPayload, Error> {
        let role = Role::from(input.role);
        Call::on_role(input).change(ctx, Ok(AccountChange::Revoke(role))).await
    }
    /// Ends every session of a user immediately, including open sockets. Needs the role ADMIN.
    async fn end_account_sessions(
        &self,
        ctx: &Context<'_>,
        input: AccountInput,
    ) -> Result<AccountPayload, Error> {
        Call::on(input).change(ctx, Ok(AccountChange::EndSessions)).await
    }
    /// Makes another user's password void and ends every session. The payload has a token that sets
    /// a new password once, within an hour; a repeat is answered without it. Refused for the last
    /// administrator who can sign in. Needs the role ADMIN and a sign-in of the last five minutes.
    async fn create_password_reset(
        &self,
        ctx: &Context<'_>,
        input: AccountInput,
    ) -> Result<AccountPayload, Error> {
        Call::on(input).change(ctx, Ok(AccountChange::CreateReset)).await
    }
    /// Sets a new password with the token of a reset, and signs in.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        input: ResetPasswordInput,
    ) -> Result<SessionPayload, Error> {
        let result = match at(Password::parse(input.new_password.0), "newPassword") {
            Ok(new) => {
                ports(ctx)?.administration.reset_password(info(ctx)?, input.token.0, new).await
            }
            Err(failure) => Err(failure),
        };
        payload(result, input.client_mutation_id)
    }
}

impl Call {
    fn on_role(input: AccountRoleInput) -> Self {
        Self {
            user: user_of(&input.id),
            expected: input.expected_version,
            idempotency_key: input.idempotency_key,
            client_mutation_id: input.client_mutation_id,
        }
    }
}
