//! Mutations on accounts and sessions.

use super::inputs::{
    ChangePasswordInput, LoginInput, LogoutInput, RefreshSessionInput, RegisterInput,
    RevokeSessionsInput,
};
use super::payloads::{LogoutPayload, SessionPayload, StreamTicket};
use super::user_errors::user_error;
use crate::context::{fault, ports, principal};
use crate::scalars::DateTime;
use crate::types::Viewer;
use async_graphql::{Context, Error, Object};
use claviger_application::{RequestInfo, Tokens};
use claviger_domain::failure::Failure;
use claviger_domain::text::{Email, FullName, Password, TextError, Username};

/// Mutations on accounts and sessions.
#[derive(Default)]
pub(crate) struct AccountMutations;

pub(super) fn info(ctx: &Context<'_>) -> Result<RequestInfo, Error> {
    ctx.data::<RequestInfo>().cloned()
}

pub(super) fn at<T>(result: Result<T, TextError>, field: &str) -> Result<T, Failure> {
    result.map_err(|error| Failure::text(&error, &[field]))
}

pub(super) fn payload(
    result: Result<Tokens, Failure>,
    client_mutation_id: Option<String>,
) -> Result<SessionPayload, Error> {
    match result {
        Ok(tokens) => Ok(SessionPayload {
            access_token: Some(tokens.access.expose().to_owned()),
            refresh_token: Some(tokens.refresh.expose().to_owned()),
            expires_at: Some(DateTime(tokens.expires_at)),
            viewer: Some(Viewer::of(&tokens.principal)),
            user_errors: Vec::new(),
            client_mutation_id,
        }),
        Err(failure) => Ok(SessionPayload {
            user_errors: vec![user_error(&failure)?],
            client_mutation_id,
            ..SessionPayload::default()
        }),
    }
}

pub(super) fn logout_payload(
    result: Result<(), Failure>,
    client_mutation_id: Option<String>,
) -> Result<LogoutPayload, Error> {
    let user_errors = match result {
        Ok(()) => Vec::new(),
        Err(failure) => vec![user_error(&failure)?],
    };
    Ok(LogoutPayload { user_errors, client_mutation_id })
}

#[Object]
impl AccountMutations {
    /// Creates an account and signs in.
    async fn register(
        &self,
        ctx: &Context<'_>,
        input: RegisterInput,
    ) -> Result<SessionPayload, Error> {
        let parsed = (|| {
            Ok((
                at(Username::parse(&input.username), "username")?,
                at(Email::parse(&input.email), "email")?,
                at(Password::parse(input.password.0), "password")?,
                at(input.full_name.as_deref().map(FullName::parse).transpose(), "fullName")?,
            ))
        })();
        let result = match parsed {
            Ok((username, email, password, full_name)) => {
                ports(ctx)?
                    .accounts
                    .register(info(ctx)?, username, email, password, full_name)
                    .await
            }
            Err(failure) => Err(failure),
        };
        payload(result, input.client_mutation_id)
    }
    /// Signs in. An unknown name and a wrong password give the same error.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<SessionPayload, Error> {
        let result =
            ports(ctx)?.accounts.login(info(ctx)?, input.username_or_email, input.password.0).await;
        payload(result, input.client_mutation_id)
    }
    /// Issues the next tokens of a session. A refresh token works once. Within 10 seconds,
    /// repeating it returns the same successor; later, it ends the session, because somebody else
    /// has a copy.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        input: RefreshSessionInput,
    ) -> Result<SessionPayload, Error> {
        let result = ports(ctx)?.accounts.refresh(info(ctx)?, input.refresh_token.0).await;
        payload(result, input.client_mutation_id)
    }
    /// Ends the session of this request.
    async fn logout(&self, ctx: &Context<'_>, input: LogoutInput) -> Result<LogoutPayload, Error> {
        let result = ports(ctx)?.accounts.logout(info(ctx)?, principal(ctx)?.clone()).await;
        logout_payload(result, input.client_mutation_id)
    }
    /// Changes the password. Every session ends, and a new one begins.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        input: ChangePasswordInput,
    ) -> Result<SessionPayload, Error> {
        let principal = principal(ctx)?.clone();
        let result = match at(Password::parse(input.new_password.0), "newPassword") {
            Ok(new) => {
                ports(ctx)?
                    .accounts
                    .change_password(info(ctx)?, principal, input.current_password.0, new)
                    .await
            }
            Err(failure) => Err(failure),
        };
        payload(result, input.client_mutation_id)
    }
    /// Ends every other session of the viewer immediately, including open sockets.
    async fn revoke_sessions(
        &self,
        ctx: &Context<'_>,
        input: RevokeSessionsInput,
    ) -> Result<LogoutPayload, Error> {
        let result =
            ports(ctx)?.accounts.revoke_sessions(info(ctx)?, principal(ctx)?.clone()).await;
        logout_payload(result, input.client_mutation_id)
    }
    /// Issues a ticket for `EventSource` (`?ticket=...`). It must first be used within 30 seconds;
    /// the stream can be reopened only with its own Last-Event-ID.
    async fn create_stream_ticket(&self, ctx: &Context<'_>) -> Result<StreamTicket, Error> {
        let made =
            ports(ctx)?.accounts.stream_ticket(principal(ctx)?.clone()).await.map_err(fault)?;
        Ok(StreamTicket {
            ticket: made.ticket.expose().to_owned(),
            expires_at: DateTime(made.expires_at),
        })
    }
}
