//! [`Auth`] as the schema's port.

use super::accounts::{Auth, Registration, call, look_up_end};
use super::attempts::{Subject, What};
use super::grants::session_of;
use claviger_application::{
    Accounts, Answer, ForeignToken, Principal, RequestInfo, StreamTicket, Tokens,
};
use claviger_domain::account::{
    AccountError, ChangePassword, RegisterAccount, RevokeSessions, SignOut,
};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Email, FullName, Password, Username};
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// From when on an issuer's tokens are not ended by signing out with this one now. They are dated in
/// whole seconds: one of this very second may be the next sign-in's, unless the one that signs out
/// is of this second too.
fn tokens_after(token: &ForeignToken, now: Timestamp) -> Timestamp {
    let this_second = Timestamp(now.0 - now.0 % 1000);
    this_second.max(token.issued_at.plus_ms(1))
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
            let attempt = auth.attempt(&info, What::Registration)?;
            let (user, session) = (auth.new_user(), auth.new_session());
            let phc = auth.passwords.hash(password.expose()).await?;
            let names = auth.ports.keychain.claims_of(username.as_str(), email.as_str(), None);
            let session_from = Some((session, info.user_agent.clone()));
            let command = RegisterAccount {
                username,
                email,
                full_name,
                roles: BTreeSet::new(),
                reset_until: None,
                session: session_from,
            }
            .into();
            let made =
                auth.bus().run_account_command(call(user, &info, None, command, Some(phc))).await;
            if let Err(failure) = made {
                if failure.code == ErrorCode::Duplicate {
                    attempt.failed();
                }
                return Err(failure);
            }
            attempt.registered(names.map(|(_, hash)| hash), auth.ports.env.clock.uptime());
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
            let now = self.0.ports.env.clock.now();
            let tokens_from = principal.foreign.map(|token| tokens_after(&token, now));
            let command = SignOut { session, tokens_from }.into();
            let request = call(principal.user, &info, Some(session), command, None);
            self.0.bus().run_account_command_by(&principal, request).await.map(|_| ())
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
            let account = auth.reads().aggregates.account(principal.user).await?;
            if account.is_external {
                let failure =
                    Failure::new(ErrorCode::Validation, AccountError::NoPassword.to_string());
                return Err(failure.at(&["currentPassword"]));
            }
            let subject = (Subject::Own(principal.user), account.password_version);
            let attempt = auth.attempt(&info, What::Password(Some(subject)))?;
            let Some(from_version) =
                auth.verified(Some(principal.user), &current, look_up_end()).await?
            else {
                attempt.failed();
                let failure = Failure::new(
                    ErrorCode::Unauthenticated,
                    "the current password is wrong: nothing was changed",
                );
                return Err(failure.at(&["currentPassword"]).with(FailureDetail::Credentials));
            };
            attempt.succeeded(auth.ports.env.clock.uptime());
            let session = auth.new_session();
            let phc = auth.passwords.hash(new.expose()).await?;
            let session_from = Some((session, info.user_agent.clone()));
            let command = ChangePassword { from_version, session: session_from }.into();
            let (user, by) = (principal.user, principal.session());
            let request = call(user, &info, by, command, Some(phc));
            auth.bus().run_account_command_by(&principal, request).await?;
            auth.first_tokens(user, session).await
        })
    }

    fn revoke_sessions(&self, info: RequestInfo, principal: Principal) -> Answer<'_, ()> {
        Box::pin(async move {
            let session = session_of(&principal)?;
            let tokens_kept = principal.foreign.map(|token| token.issued_at);
            let command = RevokeSessions { except: Some(session), tokens_kept }.into();
            let request = call(principal.user, &info, Some(session), command, None);
            self.0.bus().run_account_command_by(&principal, request).await.map(|_| ())
        })
    }

    fn stream_ticket(&self, principal: Principal) -> Answer<'_, StreamTicket> {
        Box::pin(async move { self.0.new_ticket(&principal) })
    }
}
