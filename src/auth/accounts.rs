//! Authentication: passwords, tokens, sessions.

use super::administration;
use super::attempts::{Attempt, Attempts, Subject, What};
use super::checked::CheckedTokens;
use super::issuer::ExternalIssuer;
use super::passwords::Passwords;
use super::sessions::OpenSession;
use super::tokens::{Named, RefreshToken, TokenKey, read_refresh, write_refresh};
use crate::bus::{AccountRequest, Bus};
use crate::keychain::Keychain;
use crate::limits::CommandLimits;
use crate::reads::StoreReads;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use crate::views::SESSION_MS;
use claviger_application::{Principal, RequestInfo, Tokens};
use claviger_domain::account::{AccountCommand, ReportRefreshReuse, SignIn, Verified};
use claviger_domain::actor::{ActingCredential, Actor, Role};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_projections::ports::{SessionRow, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Lifetime of an access token: fifteen minutes.
const ACCESS_MS: u64 = 15 * 60 * 1000;

/// How long a superseded refresh token is still accepted: a client may have lost the response, or
/// two tabs may refresh at once.
const GRACE_MS: u64 = 10_000;

/// How long the look-up of a password hash takes at least. An account has rows to read and keys to
/// unwrap, and nobody has none: without the floor, the time of an answer would show which of them a
/// name stands for.
const LOOK_UP: Duration = Duration::from_millis(25);

/// No name has more bytes, however it is spelled.
const MAX_NAME: usize = 1_000;

/// Who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Everyone who can reach the server.
    Open,
    /// Nobody: the operator creates accounts (`claviger user add`).
    Closed,
}

#[derive(Clone, Debug)]
pub struct AuthConfig {
    pub registration: Registration,
    /// Burst of failed attempts for one name from one address; then one every six seconds.
    pub attempts_per_pair: u32,
    /// Burst of failed attempts from one address; then one a second.
    pub attempts_per_peer: u32,
    /// Burst of failed attempts for one account from any address; then a hundred an hour. Divided:
    /// two fifths for each of its names, one for changes of the password.
    pub attempts_per_account: u32,
    /// Accounts made from one address; 0 for no limit.
    pub registrations_per_hour: u32,
    /// Sign-ins that succeed from one address; 0 for no limit.
    pub sign_ins_per_minute: u32,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            registration: Registration::Closed,
            attempts_per_pair: 10,
            attempts_per_peer: 60,
            attempts_per_account: 100,
            registrations_per_hour: 20,
            sign_ins_per_minute: 60,
        }
    }
}

/// What [`Auth`] depends on.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct AuthPorts {
    pub store: Arc<dyn Store>,
    /// Password hashes and the key of refresh tokens.
    pub keychain: Arc<Keychain>,
    pub bus: Arc<Bus>,
    /// Finds users and reads their accounts.
    pub reads: Arc<StoreReads>,
    /// Clock, ids and entropy.
    pub env: Environment,
}

#[expect(missing_debug_implementations, reason = "keys")]
pub struct Auth {
    pub(super) ports: AuthPorts,
    pub(super) passwords: Passwords,
    key: TokenKey,
    checked: CheckedTokens,
    pub(super) issuer: Option<ExternalIssuer>,
    pub(super) config: AuthConfig,
    /// Limits of administrators.
    pub(super) administration: CommandLimits,
    attempts: Attempts,
}

impl Auth {
    pub fn new(ports: AuthPorts, passwords: Passwords, key: TokenKey, config: AuthConfig) -> Self {
        let attempts = Attempts::new(&config);
        Self {
            ports,
            passwords,
            key,
            checked: CheckedTokens::default(),
            issuer: None,
            config,
            administration: administration::limits(),
            attempts,
        }
    }

    /// Adds an external issuer, whose tokens are accepted like the server's own.
    #[must_use]
    pub fn with_issuer(self, issuer: ExternalIssuer) -> Self {
        Self { issuer: Some(issuer), ..self }
    }

    /// Fetches the issuer's keys in the background: an issuer that is down locks out its own users
    /// only.
    pub fn warm_up(&self) {
        if let Some(issuer) = &self.issuer {
            issuer.jwks.warm_up();
        }
    }

    pub(super) fn reads(&self) -> &StoreReads {
        &self.ports.reads
    }

    pub(super) fn bus(&self) -> &Arc<Bus> {
        &self.ports.bus
    }

    /// The principal of an access token, if the token is valid, its session open and its user
    /// active.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, or a fault of the store.
    pub async fn authenticate(&self, token: &SecretText) -> Result<Principal, Failure> {
        let Some(named) = self.checked.check(&self.key, token.expose(), self.ports.env.clock.now())
        else {
            return self.authenticate_external(token).await;
        };
        let open = self.session_of(named.session, named.user).await?;
        let member = open.map(|open| open.member).filter(|member| member.facts.is_active);
        let roles = member.ok_or_else(bad_token)?.facts.roles;
        Ok(Principal::of_session(named.user, named.session, roles))
    }

    pub(super) fn ports(&self) -> &AuthPorts {
        &self.ports
    }

    pub(super) fn key(&self) -> &TokenKey {
        &self.key
    }

    pub(super) fn new_session(&self) -> SessionId {
        SessionId(self.ports.env.ids.next())
    }

    pub(super) fn new_user(&self) -> UserId {
        UserId(self.ports.env.ids.next())
    }

    pub(super) fn tokens(
        &self,
        user: UserId,
        session: SessionId,
        roles: BTreeSet<Role>,
        generation: u32,
    ) -> Result<Tokens, Failure> {
        let now = self.ports.env.clock.now();
        let expires_at = now.plus_ms(ACCESS_MS);
        let access = self
            .key
            .sign(Named { user, session }, now, expires_at)
            .ok_or_else(Failure::internal)?;
        let refresh = write_refresh(self.ports.keychain.index(), (session, user), generation);
        Ok(Tokens {
            access,
            refresh,
            expires_at,
            principal: Principal::of_session(user, session, roles),
        })
    }

    pub(super) fn attempt(&self, info: &RequestInfo, what: What) -> Result<Attempt<'_>, Failure> {
        self.attempts.begin(info.peer, what, self.ports.env.clock.uptime())
    }

    /// The user that a name stands for, and the attempt at their password, or at nobody's. A
    /// refusal takes as long for nobody as for somebody.
    async fn attempt_at(
        &self,
        info: &RequestInfo,
        name: &str,
        looked_up_by: Instant,
    ) -> Result<(Option<UserId>, Attempt<'_>), Failure> {
        self.attempts.admit(info.peer, self.ports.env.clock.uptime())?;
        if name.len() > MAX_NAME {
            return Ok((None, self.attempt(info, What::Password(None))?));
        }
        let (user, hash) = self.reads().find_named(name).await?;
        let subject = match user {
            Some(user) => {
                let account = self.reads().aggregates.account(user).await?;
                (Subject::Taken(hash), account.password_version)
            }
            None => (Subject::Free(hash), 0),
        };
        let attempt = self.attempt(info, What::Password(Some(subject)));
        if attempt.is_err() {
            tokio::time::sleep_until(looked_up_by).await;
        }
        Ok((user, attempt?))
    }

    /// The version of the user's password, if this is it. Takes as long for an unknown or
    /// deactivated user. The decision that follows must name the version: the password may be
    /// changed by then.
    pub(super) async fn verified(
        &self,
        user: Option<UserId>,
        password: &SecretText,
        looked_up_by: Instant,
    ) -> Result<Option<u32>, Failure> {
        let (version, phc) = match user {
            Some(user) => self.password_hash(user).await?,
            None => (0, None),
        };
        tokio::time::sleep_until(looked_up_by).await;
        Ok(self.passwords.verify(password, phc).await?.then_some(version))
    }

    /// The password hash of an active user, with the version that it belongs to.
    async fn password_hash(&self, user: UserId) -> Result<(u32, Option<SecretText>), Failure> {
        let account = self.reads().aggregates.account(user).await?;
        let version = account.password_version;
        if !account.is_active || !account.has_password {
            return Ok((version, None));
        }
        let phc = match self.ports.keychain.user(user).await? {
            Some(keys) => self.ports.keychain.credential(&keys, version).await?,
            None => None,
        };
        Ok((version, phc))
    }

    pub(super) async fn sign_in(
        &self,
        info: RequestInfo,
        name: String,
        password: SecretText,
    ) -> Result<Tokens, Failure> {
        let by = look_up_end();
        let (user, attempt) = self.attempt_at(&info, &name, by).await?;
        let started = match self.start_session(&info, user, &password, by).await {
            // The password was changed since it was verified: verified again, it is the new one or
            // a wrong one.
            Err(failure) if failure.code == ErrorCode::Conflict => {
                self.start_session(&info, user, &password, look_up_end()).await
            }
            done => done,
        };
        match &started {
            Ok(_) => attempt.succeeded(self.ports.env.clock.uptime()),
            Err(failure) if failure.code == ErrorCode::Unauthenticated => attempt.failed(),
            Err(_) => {}
        }
        started
    }

    /// Verifies the password, and starts a session on the version that was verified.
    async fn start_session(
        &self,
        info: &RequestInfo,
        user: Option<UserId>,
        password: &SecretText,
        looked_up_by: Instant,
    ) -> Result<Tokens, Failure> {
        let version = self.verified(user, password, looked_up_by).await?;
        let (user, version) = user.zip(version).ok_or_else(wrong_password)?;
        let session = self.new_session();
        let verified = Verified::Password(version);
        let command = SignIn { session, verified, user_agent: info.user_agent.clone() }.into();
        self.bus().run_account_command(call(user, info, None, command, None)).await.map_err(
            |failure| {
                // Deactivated between the check and the commit.
                if failure.code == ErrorCode::Unauthenticated { wrong_password() } else { failure }
            },
        )?;
        self.first_tokens(user, session).await
    }

    /// The first tokens of a session that has just begun, with the roles that the log gives.
    pub(super) async fn first_tokens(
        &self,
        user: UserId,
        session: SessionId,
    ) -> Result<Tokens, Failure> {
        let member = self.reads().aggregates.member(user).await?.ok_or_else(Failure::internal)?;
        self.tokens(user, session, member.facts.roles, 1)
    }

    pub(super) async fn refresh_tokens(
        &self,
        info: RequestInfo,
        token: SecretText,
    ) -> Result<Tokens, Failure> {
        let keychain = &self.ports.keychain;
        let RefreshToken { session: id, owner, generation } =
            read_refresh(keychain.index(), &token).ok_or_else(bad_refresh)?;
        keychain.look_for_signatures().await.map_err(|error| {
            tracing::error!(%error, "cannot read the store's own keys");
            Failure::internal()
        })?;
        // Twice: another request may rotate between the read and the compare-and-set.
        for _ in 0..2 {
            let row = self.session_row(id).await?.ok_or_else(bad_refresh)?;
            // A token of the first format names no owner: the account must know the session.
            let owner = owner.unwrap_or(row.owner);
            let open = self.opened(row, owner).await?.ok_or_else(bad_refresh)?;
            let session = &open.row;
            let now = self.ports.env.clock.now();
            if session.expires_at <= now || generation > session.generation {
                return Err(bad_refresh());
            }
            if generation < session.generation {
                let in_grace = generation + 1 == session.generation
                    // Either way, or a clock that is set back would make the time longer.
                    && now.0.abs_diff(session.rotated_at.0) <= GRACE_MS;
                if !in_grace {
                    return Err(self.reused(&info, session).await);
                }
                return self.refreshed(&open, session.generation);
            }
            let until = now.plus_ms(SESSION_MS);
            let mac = keychain.evidence().session_mac((id, owner), generation + 1, until);
            let rotated = self.ports.store.rotate_session(id, generation, now, until, mac).await;
            if rotated.map_err(|error| store_failure(&error))? {
                return self.refreshed(&open, generation + 1);
            }
        }
        Err(bad_refresh())
    }

    fn refreshed(&self, open: &OpenSession, generation: u32) -> Result<Tokens, Failure> {
        let OpenSession { row, member } = open;
        if !member.facts.is_active {
            return Err(bad_refresh());
        }
        self.tokens(row.owner, row.id, member.facts.roles.clone(), generation)
    }

    /// A spent refresh token was used again: it may be stolen, so the session ends.
    async fn reused(&self, info: &RequestInfo, session: &SessionRow) -> Failure {
        tracing::warn!(session = %session.id, "a spent refresh token was reused: its session ends");
        let command = ReportRefreshReuse { session: session.id }.into();
        match self
            .bus()
            .run_account_command(call(session.owner, info, Some(session.id), command, None))
            .await
        {
            Ok(_) => bad_refresh(),
            Err(failure) => failure,
        }
    }
}

/// When a look-up that begins now ends, whatever is found.
pub(super) fn look_up_end() -> Instant {
    Instant::now() + LOOK_UP
}

/// A command that a user runs on their own account.
pub(super) fn call(
    user: UserId,
    info: &RequestInfo,
    session: Option<SessionId>,
    command: AccountCommand,
    phc: Option<SecretText>,
) -> AccountRequest {
    let credential = session.map(ActingCredential::Session);
    let actor = Actor { user: Some(user), role: Some(Role::User), via: info.via, credential };
    AccountRequest { owner: user, actor, correlation: info.correlation, command, phc }
}

pub(super) fn bad_token() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "the access token is invalid or has expired, or its session has ended: refresh it \
         (refreshSession) or sign in again",
    )
}

fn wrong_password() -> Failure {
    Failure::new(ErrorCode::Unauthenticated, "wrong username, e-mail address or password")
        .with(FailureDetail::Credentials)
}

fn bad_refresh() -> Failure {
    Failure::new(ErrorCode::Unauthenticated, "the refresh token is no longer valid: sign in again")
        .at(&["refreshToken"])
        .with(FailureDetail::Credentials)
}
