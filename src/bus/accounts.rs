//! Commands on accounts.

use super::keys::append_failure;
use super::{Bus, MAX_TRIES, contended};
use crate::keychain::UserKeys;
use crate::keychain::seal_events;
use crate::system::failure::store_failure;
use crate::views::{AccountRows, open_account};
use claviger_domain::account::{Account, AccountCommand, AccountError, AccountEvent, Identity};
use claviger_domain::actor::Actor;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, CorrelationId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_projections::accounts::AccountView;
use claviger_projections::ports::{
    ACCOUNTS, Append, AppendError, Appended, ClaimChange, ClaimKind, Expected, InlineViews,
    RowChange,
};
use claviger_vault::ContentKey;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// A command on an account, with the request it belongs to.
#[expect(missing_debug_implementations, reason = "holds a password's hash")]
#[derive(Clone)]
pub struct AccountCall {
    pub user: UserId,
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
    /// Position of the last event; of the head if there is none.
    pub position: u64,
    pub events: Vec<AccountEvent>,
    /// The account after the events.
    pub view: AccountView,
}

/// The form in which usernames are unique: NFKC, full case fold, NFKC.
fn folded(username: &str) -> String {
    let compatible: String = username.nfkc().collect();
    caseless::default_case_fold_str(&compatible).nfkc().collect()
}

impl Bus {
    /// Runs a command on an account, in a task of its own.
    ///
    /// # Errors
    /// The refusal or fault.
    pub async fn run_account_command(
        self: &Arc<Self>,
        call: AccountCall,
    ) -> Result<AccountDone, Failure> {
        let bus = Arc::clone(self);
        self.detached(async move { bus.account_command(call).await }).await
    }

    /// The user with this username or e-mail address.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn find_user(&self, username_or_email: &str) -> Result<Option<UserId>, Failure> {
        let name = username_or_email.trim();
        let (kind, hash) = if name.contains('@') {
            (ClaimKind::Email, self.email_claim(&name.to_lowercase()))
        } else {
            (ClaimKind::Username, self.username_claim(name))
        };
        let holder = self.store.claim(kind, hash).await.map_err(|error| store_failure(&error))?;
        Ok(holder.map(|(user, _)| user))
    }

    /// The user with this identity at an external issuer.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn find_identity(&self, identity: &Identity) -> Result<Option<UserId>, Failure> {
        let holder = self.store.claim(ClaimKind::Identity, self.identity_claim(identity)).await;
        Ok(holder.map_err(|error| store_failure(&error))?.map(|(user, _)| user))
    }

    /// The current account, folded from its stream.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn account(&self, user: UserId) -> Result<Account, Failure> {
        self.accounts
            .load(&*self.store, StreamName::Account(user))
            .await
            .map(|(_, account)| account)
    }

    fn identity_claim(&self, identity: &Identity) -> [u8; 32] {
        self.keychain.index().claim_identity(&identity.issuer, &identity.subject)
    }

    fn username_claim(&self, username: &str) -> [u8; 32] {
        self.keychain.index().claim_username(&folded(username))
    }

    fn email_claim(&self, lowered: &str) -> [u8; 32] {
        self.keychain.index().claim_email(&lowered.nfc().collect::<String>())
    }

    async fn account_command(&self, call: AccountCall) -> Result<AccountDone, Failure> {
        let stream = StreamName::Account(call.user);
        let _turn = self.locks.lock(stream).await;
        for _ in 0..MAX_TRIES {
            let (version, account) = self.accounts.load(&*self.store, stream).await?;
            let events = call.command.clone().decide(&account).map_err(|error| refusal(&error))?;
            let (keys, mut rows) = self.keys_for(&call, version).await?;
            let key = self.content_key_for(&keys, stream, version, &mut rows).await?;
            let before = self.account_view(call.user, Some(&key)).await?.unwrap_or_default();
            if events.is_empty() {
                let head = self.store.head().await.map_err(|error| store_failure(&error))?;
                return Ok(AccountDone { position: head.position, events, view: before });
            }
            if let Some(phc) = &call.phc {
                let password_version = account.password_version + 1;
                rows.push(self.keychain.seal_credential(&keys, phc, password_version)?);
            }
            match self.append_account(&call, (version, key), (before.clone(), &events), rows).await
            {
                Ok(appended) => {
                    return Ok(self.account_done(stream, account, before, events, &appended));
                }
                Err(AppendError::Conflict { .. } | AppendError::UserKeyMoved { .. }) => {}
                // A rotation has begun: the next try wraps the new user's key under the new master
                // key.
                Err(AppendError::MasterKeyMoved { current }) => {
                    self.keychain.master_keys().seal_under(current)
                }
                Err(error) => return Err(append_failure(&error)),
            }
        }
        Err(contended())
    }

    fn account_done(
        &self,
        stream: StreamName,
        mut account: Account,
        mut view: AccountView,
        events: Vec<AccountEvent>,
        appended: &Appended,
    ) -> AccountDone {
        for (event, placed) in events.iter().zip(&appended.placed) {
            cqrs_es::Aggregate::apply(&mut account, event.clone());
            view.apply(event, placed);
        }
        self.accounts.keep(stream, appended.version, account);
        AccountDone { position: appended.position, events, view }
    }

    /// The user's keys; new ones for the first event of an account.
    async fn keys_for(
        &self,
        call: &AccountCall,
        version: u64,
    ) -> Result<(UserKeys, Vec<RowChange>), Failure> {
        if version == 0 {
            return self.keychain.new_user(call.user);
        }
        let keys = self.keychain.user(call.user).await?;
        keys.map(|keys| (keys, Vec::new())).ok_or_else(|| Failure::not_found("account"))
    }

    async fn content_key_for(
        &self,
        keys: &UserKeys,
        stream: StreamName,
        version: u64,
        rows: &mut Vec<RowChange>,
    ) -> Result<ContentKey, Failure> {
        if version == 0 {
            let (key, row) = self.keychain.new_content_key(keys, stream)?;
            rows.push(row);
            return Ok(key);
        }
        self.keychain.content_key(keys, stream).await?.ok_or_else(|| Failure::not_found("account"))
    }

    /// A user's account, opened; `None` for an unknown user.
    ///
    /// # Errors
    /// When the store is unavailable or the row doesn't open.
    pub async fn account_view(
        &self,
        user: UserId,
        key: Option<&ContentKey>,
    ) -> Result<Option<AccountView>, Failure> {
        let row =
            self.store.row(ACCOUNTS, user, user.0).await.map_err(|error| store_failure(&error))?;
        row.map(|row| open_account(&row, key)).transpose()
    }

    async fn append_account(
        &self,
        call: &AccountCall,
        (version, key): (u64, ContentKey),
        (before, events): (AccountView, &[AccountEvent]),
        rows: Vec<RowChange>,
    ) -> Result<Appended, AppendError> {
        let stream = StreamName::Account(call.user);
        let sealed = seal_events(events, &key, (call.user, stream, version), &self.env)
            .map_err(|_| AppendError::Malformed("cannot seal the events"))?;
        let claims = self.account_claims(call.user, &before, events);
        let inline: Arc<dyn InlineViews> = Arc::new(AccountRows {
            before,
            events: events.to_vec(),
            owner: call.user,
            key: Arc::new(key),
            env: self.env.clone(),
        });
        self.append(Append {
            stream,
            owner: Some(call.user),
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            events: sealed,
            at: self.env.clock.now(),
            actor: call.actor,
            command_id: CommandId(self.env.ids.next().into_bytes()),
            correlation_id: call.correlation,
            causation_id: None,
            rows,
            claims,
            inline: Some(inline),
            record: None,
        })
        .await
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
                let unique = self.unique(&person.username, &person.email, linked);
                claims.extend(unique.map(|(kind, hash)| ClaimChange::Take {
                    kind,
                    hash,
                    holder: user,
                    subject: user.0,
                }));
            }
            if let (AccountEvent::AccountErased(_), Some(person)) = (event, &before.content) {
                let unique = self.unique(&person.username, &person.email, person.identity.as_ref());
                claims.extend(unique.map(|(kind, hash)| ClaimChange::Release { kind, hash }));
            }
        }
        claims
    }

    /// What must be unique. An e-mail address that only an issuer vouches for isn't part of it: it
    /// would keep the address's owner from registering.
    fn unique(
        &self,
        username: &str,
        email: &str,
        identity: Option<&Identity>,
    ) -> [(ClaimKind, [u8; 32]); 2] {
        let second = match identity {
            Some(identity) => (ClaimKind::Identity, self.identity_claim(identity)),
            None => (ClaimKind::Email, self.email_claim(email)),
        };
        [(ClaimKind::Username, self.username_claim(username)), second]
    }
}

fn refusal(error: &AccountError) -> Failure {
    Failure::new(error.code(), error.to_string())
}
