//! Commands on accounts.

use super::Bus;
use super::administration::Required;
use super::executor::{Appended, Changes, PreparedCommand, Recipe};
use super::preconditions::Caller;
use super::records::Repeat;
use crate::aggregates::Folds;
use crate::keychain::UserKeys;
use crate::keychain::seal_events;
use crate::limits::CommandLimits;
use crate::system::failure::store_failure;
use crate::views::{AccountRows, open_account};
use claviger_application::{CommandContext, CommandGroup, CommandKind, Commit, Principal};
use claviger_domain::account::{Account, AccountCommand, AccountError, AccountEvent, SignInNames};
use claviger_domain::actor::{Actor, Role};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{CorrelationId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_projections::accounts::{AccountContent, AccountView};
use claviger_projections::ports::{ACCOUNTS, ClaimChange, ClaimKind, RowChange};
use claviger_vault::ContentKey;
use cqrs_es::Aggregate as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// A command on an account, with the request it belongs to.
#[expect(missing_debug_implementations, reason = "holds a password's hash")]
#[derive(Clone)]
pub struct AccountRequest {
    /// The user whose account it is.
    pub owner: UserId,
    /// The acting user and face.
    pub actor: Actor,
    /// Links the events to the request.
    pub correlation: CorrelationId,
    pub command: AccountCommand,
    /// The new password's hash, where the command sets one.
    pub phc: Option<SecretText>,
}

/// The result of a command; without events if it changed nothing.
#[derive(Clone, Debug)]
pub struct AccountDone {
    pub commit: Commit,
    /// The user whose account it is.
    pub owner: UserId,
    pub events: Vec<AccountEvent>,
    /// The account after the events; the default for a repeat, which reads nothing.
    pub view: AccountView,
}

impl Bus {
    /// Runs a command on an account, in a task of its own. For commands that nobody gives in a
    /// session: those of the operator, and sign-ins, which bring what was verified.
    ///
    /// # Errors
    /// The refusal or fault.
    pub async fn run_account_command(
        self: &Arc<Self>,
        request: AccountRequest,
    ) -> Result<AccountDone, Failure> {
        self.run_account_command_of(None, request).await
    }

    /// The same for a user, who must still be signed in when the command is decided, and an
    /// administrator if the account is not their own.
    ///
    /// # Errors
    /// The refusal or fault.
    pub async fn run_account_command_by(
        self: &Arc<Self>,
        principal: &Principal,
        request: AccountRequest,
    ) -> Result<AccountDone, Failure> {
        self.run_account_command_of(Some(principal.clone()), request).await
    }

    async fn run_account_command_of(
        self: &Arc<Self>,
        caller: Option<Principal>,
        request: AccountRequest,
    ) -> Result<AccountDone, Failure> {
        let (bus, kind, owner) = (Arc::clone(self), kind_of(&request.command), request.owner);
        let work = async move { bus.account_command(caller, request).await };
        self.enter((kind, owner), &CommandLimits::default(), work).await
    }

    async fn account_command(
        &self,
        caller: Option<Principal>,
        request: AccountRequest,
    ) -> Result<AccountDone, Failure> {
        let AccountRequest { owner, actor, correlation, command, phc } = request;
        let context = CommandContext {
            owner,
            actor,
            roles: BTreeSet::new(),
            foreign: None,
            correlation,
            idempotency_key: None,
        };
        let prepared = PreparedCommand::of(context, self.new_command_id())
            .requiring(caller.map(Caller::principal));
        self.execute(&prepared, &mut AccountRecipe::new(owner, command, phc)).await
    }

    /// The user's keys; new ones for the first event of an account.
    async fn account_keys(
        &self,
        owner: UserId,
        version: u64,
    ) -> Result<(UserKeys, Vec<RowChange>), Failure> {
        if version == 0 {
            return self.keychain.new_user(owner);
        }
        let keys = self.keychain.user(owner).await?;
        keys.map(|keys| (keys, Vec::new())).ok_or_else(|| Failure::not_found("account"))
    }

    async fn account_content_key(
        &self,
        keys: &UserKeys,
        version: u64,
        rows: &mut Vec<RowChange>,
    ) -> Result<ContentKey, Failure> {
        let stream = StreamName::Account(keys.owner);
        if version == 0 {
            let (key, row) = self.keychain.new_content_key(keys, stream)?;
            rows.push(row);
            return Ok(key);
        }
        self.keychain.content_key(keys, stream).await?.ok_or_else(|| Failure::not_found("account"))
    }

    /// The account as its row shows it; the default for a new one.
    async fn account_before(
        &self,
        owner: UserId,
        key: &ContentKey,
    ) -> Result<AccountView, Failure> {
        let row = self.store.row(ACCOUNTS, owner, owner.0).await;
        let row = row.map_err(|error| store_failure(&error))?;
        row.map_or_else(|| Ok(AccountView::default()), |row| open_account(&row, Some(key)))
    }

    /// The claims on username and e-mail address, or external identity, taken and released with the
    /// events.
    fn account_claims(
        &self,
        user: UserId,
        before: &AccountView,
        events: &[AccountEvent],
    ) -> Vec<ClaimChange> {
        let linked = events.iter().find_map(|event| {
            if let AccountEvent::IdentityLinked(_, identity) = event {
                identity.as_ref()
            } else {
                None
            }
        });
        let mut claims = Vec::new();
        for event in events {
            if let AccountEvent::AccountRegistered(_, Some(person)) = event {
                let unique = self.keychain.claims_of(&person.username, &person.email, linked);
                claims.extend(unique.map(|(kind, hash)| ClaimChange::Take {
                    kind,
                    hash,
                    holder: user,
                    subject: user.0,
                }));
            }
            if let (AccountEvent::SignInNamesChanged(_, Some(names)), Some(person)) =
                (event, &before.content)
            {
                claims.extend(self.renamed_claims(user, person, names));
            }
            if let (AccountEvent::AccountErased(_), Some(person)) = (event, &before.content) {
                let unique = self.keychain.claims_of(
                    &person.username,
                    &person.email,
                    person.identity.as_ref(),
                );
                claims.extend(unique.map(|(kind, hash)| ClaimChange::Release { kind, hash }));
            }
        }
        claims
    }

    /// The claims on new names, and the release of those before. A name that is only spelled
    /// differently has the same claim.
    fn renamed_claims(
        &self,
        user: UserId,
        before: &AccountContent,
        names: &SignInNames,
    ) -> Vec<ClaimChange> {
        let keychain = &self.keychain;
        let username = names.username.as_ref().map(|name| {
            let (old, new) = (&before.username, name);
            let hashes = (keychain.username_claim(old), keychain.username_claim(new));
            (ClaimKind::Username, hashes)
        });
        let email = names.email.as_ref().map(|email| {
            let hashes = (keychain.email_claim(&before.email), keychain.email_claim(email));
            (ClaimKind::Email, hashes)
        });
        let moved = username.into_iter().chain(email).filter(|(_, (old, new))| old != new);
        moved
            .flat_map(|(kind, (old, hash))| {
                [
                    ClaimChange::Release { kind, hash: old },
                    ClaimChange::Take { kind, hash, holder: user, subject: user.0 },
                ]
            })
            .collect()
    }
}

pub(super) struct AccountRecipe {
    pub(super) owner: UserId,
    command: AccountCommand,
    phc: Option<SecretText>,
    /// The account before the events of the latest try.
    before: AccountView,
    /// What an administrator's command requires besides.
    pub(super) required: Required,
}

impl AccountRecipe {
    pub(super) fn new(owner: UserId, command: AccountCommand, phc: Option<SecretText>) -> Self {
        Self { owner, command, phc, before: AccountView::default(), required: Required::default() }
    }
}

impl Recipe for AccountRecipe {
    type State = Account;
    type Output = AccountDone;

    fn stream(&self) -> StreamName {
        StreamName::Account(self.owner)
    }

    fn folds(bus: &Bus) -> Option<&Folds<Account>> {
        Some(&bus.aggregates.accounts)
    }

    fn caller_has(&mut self, roles: &BTreeSet<Role>) {
        self.required.roles.clone_from(roles);
    }

    fn relied_on(&self) -> Vec<(StreamName, u64)> {
        self.required.relied_on.clone()
    }

    async fn decide(&mut self, bus: &Bus, account: &Account) -> Result<Vec<AccountEvent>, Failure> {
        self.required.check(account)?;
        let events = self.command.clone().decide(account).map_err(refusal)?;
        self.required.leave_an_administrator(bus, (self.owner, account), &events).await?;
        Ok(events)
    }

    async fn changes(
        &mut self,
        bus: &Bus,
        (version, account): (u64, &Account),
        events: &[AccountEvent],
    ) -> Result<Changes, Failure> {
        bus.keychain.look_for_signatures().await.map_err(|error| {
            tracing::error!(%error, "cannot read the store's own keys");
            Failure::internal()
        })?;
        let (keys, mut rows) = bus.account_keys(self.owner, version).await?;
        let key = bus.account_content_key(&keys, version, &mut rows).await?;
        self.before = bus.account_before(self.owner, &key).await?;
        if let Some(phc) = &self.phc {
            let version = folded(account, events).password_version;
            rows.push(bus.keychain.seal_credential(&keys, phc, version)?);
        }
        Ok(Changes {
            events: seal_events(events, &key, (self.owner, self.stream(), version), &bus.env)?,
            rows,
            claims: bus.account_claims(self.owner, &self.before, events),
            inline: Some(Arc::new(AccountRows {
                before: self.before.clone(),
                events: events.to_vec(),
                owner: self.owner,
                key: Arc::new(key),
                env: bus.env.clone(),
                evidence: Arc::clone(bus.keychain.evidence()),
            })),
        })
    }

    fn subject(&self, _: &[AccountEvent]) -> Option<Uuid> {
        Some(self.owner.0)
    }

    /// The keys are read for each try.
    async fn keys_moved(&mut self, _: &Bus) -> Result<(), Failure> {
        Ok(())
    }

    fn claim_taken(&self, kind: ClaimKind, _: Uuid) -> Failure {
        let duplicate = |message: &str| Failure::new(ErrorCode::Duplicate, message);
        match kind {
            ClaimKind::Username => {
                duplicate("this username is taken: choose another").at(&["username"])
            }
            ClaimKind::Email => {
                duplicate("this e-mail address has an account: sign in, or use another address")
                    .at(&["email"])
            }
            ClaimKind::Identity => duplicate("this identity has an account already"),
            ClaimKind::Secret => Failure::internal(),
        }
    }

    fn appended(&mut self, _: &Bus, commit: Commit, done: Appended<AccountEvent>) -> AccountDone {
        let mut view = std::mem::take(&mut self.before);
        for (event, placed) in done.events.iter().zip(&done.placed) {
            view.apply(event, placed);
        }
        AccountDone { commit, owner: self.owner, events: done.events, view }
    }

    async fn unchanged(&mut self, bus: &Bus, commit: Commit) -> Result<AccountDone, Failure> {
        let mut rows = Vec::new();
        let (keys, _) = bus.account_keys(self.owner, commit.version).await?;
        let key = bus.account_content_key(&keys, commit.version, &mut rows).await?;
        let view = bus.account_before(self.owner, &key).await?;
        Ok(AccountDone { commit, owner: self.owner, events: Vec::new(), view })
    }

    fn replayed(&self, repeat: Repeat) -> Result<AccountDone, Failure> {
        replayed(repeat)
    }
}

/// The result of the first request, whose record names the user.
pub(super) fn replayed(repeat: Repeat) -> Result<AccountDone, Failure> {
    let owner = UserId(repeat.subject.ok_or_else(Failure::internal)?);
    let (events, view) = (Vec::new(), AccountView::default());
    Ok(AccountDone { commit: repeat.commit, owner, events, view })
}

/// The account after the events.
pub(super) fn folded(account: &Account, events: &[AccountEvent]) -> Account {
    let mut after = account.clone();
    events.iter().cloned().for_each(|event| after.apply(event));
    after
}

/// The aggregate's refusal, as every face shows it.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn refusal(error: AccountError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    match error {
        AccountError::VersionMismatch { expected, actual } => {
            let detail = FailureDetail::Versions { expected: Some(expected), actual: Some(actual) };
            failure.at(&["expectedVersion"]).with(detail)
        }
        AccountError::ForeignEmail => failure.at(&["email"]),
        AccountError::FixedRole(_) => failure.at(&["role"]),
        AccountError::ResetInvalid => failure.at(&["token"]).with(FailureDetail::Credentials),
        AccountError::NotFound
        | AccountError::Exists
        | AccountError::Deactivated
        | AccountError::NoLongerVerified
        | AccountError::NoPassword
        | AccountError::NoSession
        | AccountError::LastAdministrator => failure,
    }
}

pub(super) const fn kind_of(command: &AccountCommand) -> CommandKind {
    let name = match command {
        AccountCommand::RegisterAccount(_) => "register_account",
        AccountCommand::RegisterExternal(_) => "register_external",
        AccountCommand::RenameAccount(_) => "rename_account",
        AccountCommand::ChangePassword(_) => "change_password",
        AccountCommand::GrantRole(_) => "grant_role",
        AccountCommand::RevokeRole(_) => "revoke_role",
        AccountCommand::DeactivateAccount(_) => "deactivate_account",
        AccountCommand::ReactivateAccount(_) => "reactivate_account",
        AccountCommand::SignIn(_) => "sign_in",
        AccountCommand::SignOut(_) => "sign_out",
        AccountCommand::RevokeSessions(_) => "revoke_sessions",
        AccountCommand::ReportRefreshReuse(_) => "report_refresh_reuse",
        AccountCommand::EraseAccount(_) => "erase_account",
        AccountCommand::EndSession(_) => "end_session",
        AccountCommand::CreatePasswordReset(_) => "create_password_reset",
        AccountCommand::ResetPassword(_) => "reset_password",
    };
    CommandKind { group: CommandGroup::Account, name }
}
