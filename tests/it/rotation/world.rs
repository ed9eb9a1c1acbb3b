//! A store with its vault and its commands, and users whose passwords aren't hashed, so that many
//! are quickly made.

use crate::harness::dice::Dice;
use crate::harness::environment::{fresh, system};
use crate::harness::events::actor;
use crate::harness::person::{add, api_key, call};
use crate::harness::stores::{Opened, Place};
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::{TEST_KEY, config};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger::app::config::Config;
use claviger::app::wiring::Core;
use claviger::bus::AccountRequest;
use claviger::keychain::{Keychain, Rotation, UserKeys};
use claviger_application::{Commit, KeyCommand, KeyDone, Ports};
use claviger_domain::account::{AccountCommand, ChangePassword, RegisterAccount};
use claviger_domain::actor::{Role, Via};
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{Email, KeyName, Username};
use claviger_projections::ports::Store;
use claviger_vault::{Kek, KekSet};
use futures::stream::{self, StreamExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Master keys, distinguished by number.
pub(super) fn kek(n: u8) -> Kek {
    Kek::from_bytes([n; 32])
}

/// A set of them.
pub(super) fn keks(numbers: &[u8]) -> KekSet {
    KekSet::new(numbers.iter().copied().map(kek).collect()).unwrap()
}

/// The same as the environment or a file has them.
pub(super) fn listed(numbers: &[u8]) -> String {
    numbers.iter().map(|n| STANDARD.encode([*n; 32])).collect::<Vec<_>>().join(",")
}

/// A process that is given these master keys.
pub(super) fn with_keys(numbers: &[u8]) -> Config {
    let mut config = config(Path::new("nothing is kept here"), NO_UPSTREAM);
    config.master_keys = Some(SecretText::new(listed(numbers)));
    config.token_key = Some(SecretText::new(TEST_KEY.to_owned()));
    config
}

/// A rotation to the first of these keys.
pub(super) fn rotation(store: Arc<dyn Store>, numbers: &[u8]) -> Arc<Rotation> {
    Arc::new(Rotation { store, keks: keks(numbers), env: system() })
}

/// A user with one key, as its owner knows it.
#[derive(Clone)]
pub(super) struct User {
    pub(super) id: UserId,
    pub(super) key: KeyId,
    pub(super) secret_version: u32,
    pub(super) secret: String,
    pub(super) password_version: u32,
}

/// A process without faces on a store.
pub(super) struct Vaulted {
    pub(super) opened: Opened,
    pub(super) keychain: Arc<Keychain>,
    core: Core,
    ports: Ports,
    names: AtomicU64,
}

impl Vaulted {
    pub(super) async fn open(place: &Place, numbers: &[u8]) -> Self {
        Self::configured(place, with_keys(numbers)).await
    }

    pub(super) async fn configured(place: &Place, config: Config) -> Self {
        let opened = place.open().await;
        let store = opened.store();
        Self::over(opened, store, config).await
    }

    /// The same over a store of the test's own.
    pub(super) async fn over(opened: Opened, store: Arc<dyn Store>, mut config: Config) -> Self {
        // A test's users do more than any person would.
        (config.max_keys, config.key_commands_per_minute) = (100, 0);
        let core = Core::open_over(&config, system(), store).await.unwrap();
        let (keychain, ports) = (Arc::clone(&core.keychain), core.ports());
        Self { opened, keychain, core, ports, names: AtomicU64::new(0) }
    }

    pub(super) async fn close(self) {
        self.core.close().await;
        self.opened.close().await;
    }

    async fn account(&self, user: UserId, command: AccountCommand) -> Result<(), Failure> {
        let (actor, correlation) = (actor(Via::Graphql), CorrelationId(fresh()));
        let phc = Some(SecretText::new(format!("$argon2id$only-a-test${user}")));
        let call = AccountRequest { owner: user, actor, correlation, command, phc };
        self.core.bus.run_account_command(call).await.map(drop)
    }

    async fn done(&self, user: UserId, command: KeyCommand) -> Result<KeyDone, Failure> {
        self.ports.keys.run(call(user, None), command).await
    }

    async fn command(&self, user: UserId, command: KeyCommand) -> Result<KeyId, Failure> {
        Ok(self.done(user, command).await?.key.unwrap())
    }

    /// Gives the key another name.
    pub(super) async fn rename(
        &self,
        user: &User,
        name: &str,
        expected: Option<u64>,
    ) -> Result<Commit, Failure> {
        let command =
            KeyCommand::Rename { key: user.key, name: KeyName::parse(name).unwrap(), expected };
        Ok(self.done(user.id, command).await?.commit)
    }

    /// A new user with one key.
    pub(super) async fn register(&self, dice: &mut Dice) -> Result<User, Failure> {
        let (id, n) = (UserId(fresh()), self.names.fetch_add(1, Ordering::Relaxed));
        let username = Username::parse(&format!("user{n}")).unwrap();
        let email = Email::parse(&format!("user{n}@example.org")).unwrap();
        let command = RegisterAccount {
            username,
            email,
            full_name: None,
            roles: [Role::User].into(),
            reset_until: None,
            session: None,
        };
        self.account(id, command.into()).await?;
        let mut user = User {
            id,
            key: KeyId(id.0),
            secret_version: 0,
            secret: String::new(),
            password_version: 1,
        };
        self.add(&mut user, dice).await?;
        Ok(user)
    }

    /// Another key in the place of the one that is known.
    pub(super) async fn add(&self, user: &mut User, dice: &mut Dice) -> Result<(), Failure> {
        let secret = secret(dice);
        user.key = self.command(user.id, add(&format!("key {}", dice.next()), &secret)).await?;
        (user.secret, user.secret_version) = (secret, 1);
        Ok(())
    }

    pub(super) async fn replace(&self, user: &mut User, dice: &mut Dice) -> Result<(), Failure> {
        let secret = secret(dice);
        self.command(
            user.id,
            KeyCommand::ReplaceSecret { key: user.key, secret: api_key(&secret), expected: None },
        )
        .await?;
        (user.secret, user.secret_version) = (secret, user.secret_version + 1);
        Ok(())
    }

    pub(super) async fn delete(&self, user: &User) -> Result<(), Failure> {
        self.command(user.id, KeyCommand::Delete { key: user.key, expected: None }).await.map(drop)
    }

    pub(super) async fn change_password(&self, user: &mut User) -> Result<(), Failure> {
        self.account(
            user.id,
            ChangePassword { from_version: user.password_version, session: None }.into(),
        )
        .await?;
        user.password_version += 1;
        Ok(())
    }

    /// Opens everything of a user as its owner knows it.
    pub(super) async fn open_all(&self, user: &User) -> Result<(), Failure> {
        let keys = self.keychain.user(user.id).await?.expect("user keys");
        self.open_all_with(user, &keys).await
    }

    /// The same with keys that were read before.
    pub(super) async fn open_all_with(&self, user: &User, keys: &UserKeys) -> Result<(), Failure> {
        let secret = self
            .keychain
            .open_secret(keys, user.key, user.secret_version)
            .await?
            .expect("a secret");
        assert!(secret.expose() == user.secret, "another secret");
        let phc = self
            .keychain
            .credential(keys, user.password_version)
            .await?
            .expect("a password's hash");
        assert!(phc.expose().ends_with(&user.id.to_string()), "another password's hash");
        for stream in [StreamName::Account(user.id), StreamName::KeyRing(user.id)] {
            assert!(
                self.keychain.content_key(keys, stream).await?.is_some(),
                "no content key of {stream}"
            );
        }
        Ok(())
    }

    /// Many users.
    pub(super) async fn populate(&self, users: u64, dice: &mut Dice) -> Vec<User> {
        let made = stream::iter((0..users).map(|_| Dice::new(dice.next())))
            .map(|mut dice| async move { self.register(&mut dice).await.unwrap() });
        made.buffer_unordered(64).collect().await
    }
}

fn secret(dice: &mut Dice) -> String {
    format!("sk-ant-api03-{:016x}{:016x}", dice.next(), dice.next())
}
