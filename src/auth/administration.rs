//! [`Administration`]: who may change which account, resets of passwords, and reads.

use super::accounts::{Auth, call};
use super::attempts::What;
use super::port::AccountsPort;
use super::resets::{self, RESET_MS};
use crate::bus::{AccountDone, AdministrationRequest};
use crate::limits::{CommandLimit, CommandLimits};
use claviger_application::{
    AccountChange, AccountChanged, AccountDetail, AccountFilter, AccountPage, Administration,
    Answer, CommandContext, EventView, Holdings, NewAccount, RequestInfo, ResetToken, Tokens,
    lacks_role,
};
use claviger_domain::account::{
    AccountCommand, AccountError, CreatePasswordReset, DeactivateAccount, EndSession, GrantRole,
    ReactivateAccount, RegisterAccount, RenameAccount, ResetPassword, RevokeRole, RevokeSessions,
};
use claviger_domain::actor::{ActingCredential, Role};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Email, FullName, Password, Username};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use serde_json::json;
use zeroize::Zeroizing;

/// The limits of one administrator, so that a stolen sign-in of one can't reset everybody's
/// password before another administrator sees it.
pub(super) fn limits() -> CommandLimits {
    CommandLimits::new([
        CommandLimit {
            covers: |kind| matches!(kind.name, "create_password_reset" | "register_account"),
            per_minute: 30,
            refusal: "too many password resets and new accounts",
        },
        // A name that is taken is told, to anybody who has an account.
        CommandLimit {
            covers: |kind| kind.name == "rename_account",
            per_minute: 10,
            refusal: "too many changes of names",
        },
        CommandLimit { covers: |_| true, per_minute: 120, refusal: "too many changes of accounts" },
    ])
}

/// A token that is handed out if the command commits it.
struct Handed {
    token: SecretText,
    expires_at: Timestamp,
}

impl Administration for AccountsPort {
    fn create(&self, context: CommandContext, new: NewAccount) -> Answer<'_, AccountChanged> {
        Box::pin(self.0.create_account(context, new))
    }

    fn change(
        &self,
        context: CommandContext,
        change: AccountChange,
        expected: Option<u64>,
    ) -> Answer<'_, AccountChanged> {
        Box::pin(self.0.change_account(context, change, expected))
    }

    fn reset_password(
        &self,
        info: RequestInfo,
        token: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens> {
        Box::pin(self.0.reset_password(info, token, new))
    }

    fn account(&self, user: UserId) -> Answer<'_, Option<AccountDetail>> {
        Box::pin(self.0.reads().account_detail(user))
    }

    fn accounts(&self, filter: AccountFilter, page: Page) -> Answer<'_, AccountPage> {
        Box::pin(self.0.reads().accounts_page(filter, page))
    }

    fn holdings(&self, user: UserId) -> Answer<'_, Holdings> {
        Box::pin(self.0.reads().holdings(user))
    }

    fn last_events(
        &self,
        user: UserId,
        with_content: bool,
    ) -> Answer<'_, Vec<(SessionId, EventView)>> {
        Box::pin(self.0.reads().last_events_of(user, with_content))
    }
}

impl Auth {
    /// Creates an account for somebody else.
    async fn create_account(
        &self,
        context: CommandContext,
        new: NewAccount,
    ) -> Result<AccountChanged, Failure> {
        require_administrator(&context)?;
        let NewAccount { username, email, full_name, roles, password } = new;
        let owner = self.new_user();
        let handed = password.is_none().then(|| self.new_reset(owner));
        let phc = match (&password, &handed) {
            (Some(password), _) => Some(self.passwords.hash(password.expose()).await?),
            (None, handed) => handed.as_ref().map(|handed| resets::hash(&handed.token)),
        };
        let input = canonical(
            &json!({
                "username": username.as_str(),
                "email": email.as_str(),
                "fullName": full_name.as_ref().map(FullName::as_str),
                "roles": roles,
            }),
            password.as_ref().map(Password::expose),
        );
        let reset_until = handed.as_ref().map(|handed| handed.expires_at);
        let session = None;
        let command =
            RegisterAccount { username, email, full_name, roles, reset_until, session }.into();
        let request = AdministrationRequest {
            context: CommandContext { owner, ..context },
            needs_role: true,
            needs_sign_in: true,
            command,
            phc,
            expected: None,
            input: ("createAccount", input),
        };
        let done = self.bus().run_administration(request, &self.administration).await?;
        Ok(changed(done, handed))
    }

    async fn change_account(
        &self,
        context: CommandContext,
        change: AccountChange,
        expected: Option<u64>,
    ) -> Result<AccountChanged, Failure> {
        let is_own = context.actor.user == Some(context.owner) && change.is_for_oneself();
        if !is_own {
            require_administrator(&context)?;
        }
        let (mutation, user) = (change.mutation(), context.owner);
        if matches!(change, AccountChange::CreateReset) && context.actor.user == Some(user) {
            return Err(own_reset());
        }
        let input =
            canonical(&json!({ "id": user, "expected": expected, "is": described(&change) }), None);
        let handed = matches!(change, AccountChange::CreateReset).then(|| self.new_reset(user));
        let request = AdministrationRequest {
            context,
            needs_role: !is_own,
            needs_sign_in: needs_sign_in(&change),
            command: command_of(change, handed.as_ref()),
            phc: handed.as_ref().map(|handed| resets::hash(&handed.token)),
            expected,
            input: (mutation, input),
        };
        let done = self.bus().run_administration(request, &self.administration).await?;
        Ok(changed(done, handed))
    }

    fn new_reset(&self, user: UserId) -> Handed {
        let env = &self.ports().env;
        let token = resets::new_token(user, &*env.entropy);
        Handed { token, expires_at: env.clock.now().plus_ms(RESET_MS) }
    }

    /// Sets a new password with a reset's token. Every token that can't be used is refused alike.
    async fn reset_password(
        &self,
        info: RequestInfo,
        token: SecretText,
        new: Password,
    ) -> Result<Tokens, Failure> {
        let user = resets::user_of(&token).ok_or_else(invalid)?;
        // By address only. Nobody guesses a token, and anybody can write one that names a user: it
        // must neither use up that user's attempts nor push others' out of memory.
        let attempt = self.attempt(&info, What::Password(None))?;
        let Some(password_version) = self.reset_version(user, &token).await? else {
            attempt.failed();
            return Err(invalid());
        };
        attempt.succeeded(self.ports().env.clock.uptime());
        let phc = self.passwords.hash(new.expose()).await?;
        let (session, now) = (self.new_session(), self.ports().env.clock.now());
        let user_agent = info.user_agent.clone();
        let command = ResetPassword { password_version, now, session, user_agent }.into();
        let done =
            self.bus().run_account_command(call(user, &info, None, command, Some(phc))).await;
        done.map_err(|failure| {
            // Used, replaced or deactivated between the check and the commit.
            if failure.code == ErrorCode::Unauthenticated { invalid() } else { failure }
        })?;
        self.first_tokens(user, session).await
    }

    /// The version of the row of credentials that the token fits, if it can be used.
    async fn reset_version(
        &self,
        user: UserId,
        token: &SecretText,
    ) -> Result<Option<u32>, Failure> {
        let account = self.reads().aggregates.account(user).await?;
        let now = self.ports().env.clock.now();
        if !account.is_active || account.reset_until.is_none_or(|until| now >= until) {
            return Ok(None);
        }
        let keychain = &self.ports().keychain;
        let Some(keys) = keychain.user(user).await? else { return Ok(None) };
        let stored = keychain.credential(&keys, account.password_version).await?;
        let fits = stored.is_some_and(|stored| resets::fits(token, &stored));
        Ok(fits.then_some(account.password_version))
    }
}

/// Whoever acts must be the operator or have the role. The bus checks the role again when it
/// decides.
fn require_administrator(context: &CommandContext) -> Result<(), Failure> {
    let is_operator = context.actor.credential == Some(ActingCredential::Operator);
    if is_operator || context.roles.contains(&Role::Admin) { Ok(()) } else { Err(lacks_role()) }
}

/// A token is shown to whoever committed it, and to no repeat.
fn changed(done: AccountDone, handed: Option<Handed>) -> AccountChanged {
    let is_new = !done.commit.replayed && !done.commit.event_ids.is_empty();
    let reset = handed.filter(|_| is_new);
    let reset = reset.map(|Handed { token, expires_at }| ResetToken { token, expires_at });
    AccountChanged { commit: done.commit, user: done.owner, reset }
}

fn command_of(change: AccountChange, handed: Option<&Handed>) -> AccountCommand {
    match change {
        AccountChange::Rename { username, email, full_name } => {
            RenameAccount { username, email, full_name }.into()
        }
        AccountChange::Deactivate => DeactivateAccount.into(),
        AccountChange::Reactivate => ReactivateAccount.into(),
        AccountChange::Grant(role) => GrantRole { role }.into(),
        AccountChange::Revoke(role) => RevokeRole { role }.into(),
        AccountChange::EndSession(session) => EndSession { session }.into(),
        AccountChange::EndSessions => RevokeSessions { except: None, tokens_kept: None }.into(),
        AccountChange::CreateReset => {
            let expires_at = handed.map_or_else(Timestamp::default, |handed| handed.expires_at);
            CreatePasswordReset { expires_at }.into()
        }
    }
}

/// What a change consists of besides its name, for the request hash.
fn described(change: &AccountChange) -> serde_json::Value {
    match change {
        AccountChange::Rename { username, email, full_name } => json!({
            "username": username.as_ref().map(Username::as_str),
            "email": email.as_ref().map(Email::as_str),
            "fullName": full_name.as_ref().map(|name| name.as_ref().map(FullName::as_str)),
            "keepsFullName": full_name.is_none(),
        }),
        AccountChange::Grant(role) | AccountChange::Revoke(role) => json!(role),
        AccountChange::EndSession(session) => json!(session),
        AccountChange::Deactivate
        | AccountChange::Reactivate
        | AccountChange::EndSessions
        | AccountChange::CreateReset => serde_json::Value::Null,
    }
}

/// The input of a request hash: JSON with sorted keys, then the password.
fn canonical(input: &serde_json::Value, password: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(serde_json::to_vec(input).unwrap_or_default());
    if let Some(password) = password {
        // Room at once: a vector that grows leaves a copy behind.
        bytes.reserve_exact(password.len() + 1);
        bytes.push(0);
        bytes.extend_from_slice(password.as_bytes());
    }
    bytes
}

/// What a stolen access token must not do. It may change a displayed name, and end sessions: that is
/// what somebody does in a hurry who fears a thief.
const fn needs_sign_in(change: &AccountChange) -> bool {
    match change {
        AccountChange::Rename { username, email, .. } => username.is_some() || email.is_some(),
        AccountChange::Deactivate
        | AccountChange::Reactivate
        | AccountChange::Grant(_)
        | AccountChange::Revoke(_)
        | AccountChange::CreateReset => true,
        AccountChange::EndSession(_) | AccountChange::EndSessions => false,
    }
}

/// A reset hands out a token that sets a password. Whoever has theirs needs none.
fn own_reset() -> Failure {
    let message = "this is your own account: change its password with changePassword, which takes \
                   the current one, or ask another administrator for a reset";
    Failure::new(ErrorCode::Validation, message).at(&["id"])
}

fn invalid() -> Failure {
    let error = AccountError::ResetInvalid;
    Failure::new(error.code(), error.to_string()).at(&["token"]).with(FailureDetail::Credentials)
}
