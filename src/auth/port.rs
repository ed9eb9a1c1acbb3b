//! [`Auth`] as the schema's port.

use super::accounts::{Auth, Registration, call};
use super::grants::session_of;
use claviger_application::{Accounts, Answer, Principal, RequestInfo, StreamTicket, Tokens};
use claviger_domain::account::{
    AccountError, ChangePassword, RegisterAccount, RevokeSessions, SignOut,
};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Email, FullName, Password, Username};
use std::sync::Arc;

/// The limiter's key for registrations from one address: repeated failures there block no other
/// address. It can't collide with a username, because usernames contain no @.
fn registrations(info: &RequestInfo) -> String {
    format!("@register {}", info.peer)
}

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "keys")]
pub struct AccountsPort(pub Arc<Auth>);

impl Accounts for AccountsPort {
    fn register(
        &self,
        info: RequestInfo,
        username: Username,
        email: Email,
        password: Password,
        full_name: Option<FullName>,
    ) -> Answer<'_, Tokens> {
        Box::pin(async move {
            let auth = &self.0;
            if auth.config.registration == Registration::Closed {
                let message =
                    "registration is closed on this server: ask its operator for an account";
                return Err(
                    Failure::new(ErrorCode::Forbidden, message).with(FailureDetail::Credentials)
                );
            }
            let limited = registrations(&info);
            auth.attempt(&info, &limited)?;
            let (user, session) = (auth.new_user(), auth.new_session());
            let phc = auth.passwords.hash(password.expose()).await?;
            let session_from = Some((session, info.user_agent.clone()));
            let command = RegisterAccount {
                username,
                email,
                full_name,
                role: Role::User,
                session: session_from,
            }
            .into();
            auth.bus().run_account_command(call(user, &info, None, command, Some(phc))).await?;
            auth.good_attempt(&info, &limited);
            auth.first_tokens(user, session).await
        })
    }

    fn login(
        &self,
        info: RequestInfo,
        username_or_email: String,
        password: SecretText,
    ) -> Answer<'_, Tokens> {
        Box::pin(self.0.sign_in(info, username_or_email, password))
    }

    fn refresh(&self, info: RequestInfo, refresh_token: SecretText) -> Answer<'_, Tokens> {
        Box::pin(self.0.refresh_tokens(info, refresh_token))
    }

    fn logout(&self, info: RequestInfo, principal: Principal) -> Answer<'_, ()> {
        Box::pin(async move {
            let session = session_of(&principal)?;
            let command = SignOut { session }.into();
            self.0
                .bus()
                .run_account_command(call(principal.user, &info, Some(session), command, None))
                .await
                .map(|_| ())
        })
    }

    fn change_password(
        &self,
        info: RequestInfo,
        principal: Principal,
        current: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens> {
        Box::pin(async move {
            let auth = &self.0;
            if auth.reads().aggregates.account(principal.user).await?.is_external {
                let failure =
                    Failure::new(ErrorCode::Validation, AccountError::NoPassword.to_string());
                return Err(failure.at(&["currentPassword"]));
            }
            let limited = principal.user.to_string();
            auth.attempt(&info, &limited)?;
            if !auth.fits(Some(principal.user), &current).await? {
                let failure = Failure::new(
                    ErrorCode::Unauthenticated,
                    "the current password is wrong: nothing was changed",
                );
                return Err(failure.at(&["currentPassword"]).with(FailureDetail::Credentials));
            }
            auth.good_attempt(&info, &limited);
            let session = auth.new_session();
            let phc = auth.passwords.hash(new.expose()).await?;
            let command =
                ChangePassword { session: Some((session, info.user_agent.clone())) }.into();
            auth.bus()
                .run_account_command(call(
                    principal.user,
                    &info,
                    principal.session(),
                    command,
                    Some(phc),
                ))
                .await?;
            auth.first_tokens(principal.user, session).await
        })
    }

    fn revoke_sessions(&self, info: RequestInfo, principal: Principal) -> Answer<'_, ()> {
        Box::pin(async move {
            let session = session_of(&principal)?;
            let command = RevokeSessions { except: Some(session) }.into();
            self.0
                .bus()
                .run_account_command(call(principal.user, &info, Some(session), command, None))
                .await
                .map(|_| ())
        })
    }

    fn stream_ticket(&self, principal: Principal) -> Answer<'_, StreamTicket> {
        Box::pin(async move { self.0.new_ticket(&principal) })
    }
}
