//! People who give commands through the ports that every face uses.

use super::environment::fresh;
use super::events::user_actor;
use super::process::Process;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::{CommandContext, KeyCommand, KeyDone, PeerKey, Principal, RequestInfo};
use claviger_domain::actor::{Role, Via};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Context, Email, IdempotencyKey, KeyName, Password, Username};
use std::collections::BTreeSet;

/// The password of every user with this name.
pub(crate) fn password(name: &str) -> String {
    format!("the password of {name}")
}

pub(crate) fn context() -> Context {
    Context::parse("default").unwrap()
}

/// The secret of a key, read as a command takes it.
pub(crate) fn api_key(secret: &str) -> ApiKeySecret {
    ApiKeySecret::parse(&SecretText::new(secret.to_owned())).unwrap()
}

/// The command that adds a key, which becomes the default if there is none.
pub(crate) fn add(name: &str, secret: &str) -> KeyCommand {
    KeyCommand::Add {
        name: KeyName::parse(name).unwrap(),
        secret: api_key(secret),
        make_default: None,
        context: context(),
        expires_at: None,
    }
}

/// A command of a user on what is theirs.
pub(crate) fn call(owner: UserId, idempotency: Option<&str>) -> CommandContext {
    CommandContext {
        owner,
        actor: user_actor(owner),
        roles: BTreeSet::from([Role::User]),
        foreign: None,
        correlation: CorrelationId(fresh()),
        idempotency_key: idempotency.map(|key| IdempotencyKey::parse(key).unwrap()),
    }
}

/// A user who is signed in.
pub(crate) struct User {
    pub(crate) principal: Principal,
    /// For requests over HTTP.
    pub(crate) token: String,
}

impl User {
    pub(crate) fn id(&self) -> UserId {
        self.principal.user
    }

    pub(crate) fn call(&self, idempotency: Option<&str>) -> CommandContext {
        call(self.id(), idempotency)
    }

    pub(crate) async fn add_key(&self, process: &Process, name: &str, secret: &str) -> KeyId {
        process.key(self, add(name, secret)).await.unwrap().key.unwrap()
    }
}

impl Process {
    /// A new user whose default key is of this scenario.
    pub(crate) async fn user(&self, name: &str, scenario: Scenario) -> User {
        let user = self.newcomer(name).await;
        user.add_key(self, "work", &key(scenario, 1)).await;
        user
    }

    /// A new user without a key.
    pub(crate) async fn newcomer(&self, name: &str) -> User {
        let info = RequestInfo {
            correlation: CorrelationId(fresh()),
            user_agent: None,
            peer: PeerKey { network: 0, is_local: true },
            via: Via::Graphql,
        };
        let username = Username::parse(name).unwrap();
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let password = Password::parse(SecretText::new(password(name))).unwrap();
        let tokens =
            self.ports.accounts.register(info, username, email, password, None).await.unwrap();
        User { principal: tokens.principal, token: tokens.access.expose().to_owned() }
    }

    /// A command on keys.
    pub(crate) async fn key(&self, user: &User, command: KeyCommand) -> Result<KeyDone, Failure> {
        self.ports.keys.run(user.call(None), command).await
    }
}
