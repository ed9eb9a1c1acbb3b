//! Users of an external issuer: an account on first use, one session, roles as the issuer assigns
//! them.

use super::accounts::{Auth, bad_token};
use super::grants::{Denied, Grant};
use super::issuer::{Judged, JwksError, Vouched};
use crate::bus::AccountRequest;
use crate::system::failure::store_failure;
use claviger_application::{ForeignToken, Principal};
use claviger_domain::account::{AccountCommand, RegisterExternal, SignIn, Verified};
use claviger_domain::actor::Actor;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::Username;

/// How often another username is tried when one is taken, or another process creates the account
/// first.
const MAX_TRIES: usize = 4;

/// The session of an external issuer's user. A user has one here, however many they have at the
/// issuer, so the session needs no id of its own.
const fn only_session(user: UserId) -> SessionId {
    SessionId(user.0)
}

impl Auth {
    /// Authenticates a token of the external issuer. The first token of a user creates their
    /// account.
    pub(super) async fn authenticate_external(
        &self,
        token: &SecretText,
    ) -> Result<Principal, Failure> {
        match self.judge_external(token).await? {
            Judged::Good(vouched) => self.vouched_principal(*vouched).await,
            Judged::Expired | Judged::Bad => Err(bad_token()),
        }
    }

    /// What such a token grants for longer than one request: until it expires, without the leeway
    /// for clock skew, which is meant for requests that end by themselves.
    pub(super) async fn grant_external(&self, token: &SecretText) -> Result<Grant, Denied> {
        let vouched = match self.judge_external(token).await? {
            Judged::Good(vouched) if vouched.expires_at > self.ports.env.clock.now() => *vouched,
            Judged::Good(_) | Judged::Expired => return Err(Denied::Expired),
            Judged::Bad => return Err(Denied::Bad(bad_token())),
        };
        let until = vouched.expires_at;
        Ok(Grant { principal: self.vouched_principal(vouched).await?, until })
    }

    async fn judge_external(&self, token: &SecretText) -> Result<Judged, Failure> {
        let Some(issuer) = &self.issuer else { return Ok(Judged::Bad) };
        issuer
            .check(token.expose(), self.ports.env.clock.now())
            .await
            .map_err(|error| unavailable(&error))
    }

    async fn vouched_principal(&self, vouched: Vouched) -> Result<Principal, Failure> {
        let user = match self.reads().find_identity(&vouched.identity).await? {
            Some(user) => user,
            None => self.register_external(&vouched).await?,
        };
        let member = self.reads().aggregates.member(user).await?;
        let member = member
            .filter(|member| member.facts.lets_in(vouched.issued_at))
            .ok_or_else(bad_token)?;
        let (issued_at, until) = (vouched.issued_at, vouched.expires_at);
        let foreign =
            Some(ForeignToken { issued_at, until, decides_roles: vouched.roles.is_some() });
        let is_external = member.facts.is_external;
        let roles = vouched.roles.unwrap_or(member.facts.roles);
        let principal =
            Principal { foreign, ..Principal::of_session(user, only_session(user), roles) };
        if is_external {
            self.open_session(&principal).await?;
        }
        Ok(principal)
    }

    /// Starts the session again if it has ended. The token must still be accepted then: it is the
    /// caller of the command.
    async fn open_session(&self, principal: &Principal) -> Result<(), Failure> {
        let user = principal.user;
        let session = self
            .ports
            .store
            .session(only_session(user))
            .await
            .map_err(|error| store_failure(&error))?;
        if session.is_some() {
            return Ok(());
        }
        let (session, verified) = (only_session(user), Verified::Token);
        let command = SignIn { session, verified, user_agent: None };
        let request = self.by_system(user, command.into());
        self.bus().run_account_command_by(principal, request).await.map(|_| ())
    }

    async fn register_external(&self, vouched: &Vouched) -> Result<UserId, Failure> {
        for attempt in 0..MAX_TRIES {
            let user = self.new_user();
            let command = RegisterExternal {
                identity: vouched.identity.clone(),
                username: username(vouched, user, attempt).ok_or_else(Failure::internal)?,
                email: vouched.email.clone(),
                full_name: vouched.full_name.clone(),
                session: only_session(user),
            };
            match self.bus().run_account_command(self.by_system(user, command.into())).await {
                Ok(_) => return Ok(user),
                // Either another user has the name, or another request created the account first.
                Err(failure) if failure.code == ErrorCode::Duplicate => {
                    if let Some(user) = self.reads().find_identity(&vouched.identity).await? {
                        return Ok(user);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::new(
            ErrorCode::Conflict,
            "the account could not be created: nothing was changed, try again",
        ))
    }

    fn by_system(&self, user: UserId, command: AccountCommand) -> AccountRequest {
        let correlation = CorrelationId(self.ports.env.ids.next());
        AccountRequest { owner: user, actor: Actor::SYSTEM, correlation, command, phc: None }
    }
}

/// The issuer's name for the user if it is free, else with part of the user's id appended.
fn username(vouched: &Vouched, user: UserId, attempt: usize) -> Option<Username> {
    let called = vouched.username.clone().filter(|_| attempt == 0);
    called.or_else(|| {
        let name: String =
            vouched.username.as_ref().map_or("user", Username::as_str).chars().take(30).collect();
        // The last digits are the random ones.
        let id = user.0.simple().to_string();
        let tail: String = id.chars().skip(20).collect();
        Username::parse(&format!("{}-{tail}", name.trim_end())).ok()
    })
}

/// While the issuer's keys are unavailable, its tokens can't be verified.
fn unavailable(error: &JwksError) -> Failure {
    // The fetch that failed has its own line; this one would be anybody's to repeat.
    tracing::debug!(%error, "cannot verify a token of the external issuer");
    Failure::new(ErrorCode::Upstream, "the identity provider is unreachable: try again in a moment")
}
