//! Two processes on one store, and people of every role.

use crate::harness::client::Client;
use crate::harness::environment::{TestClock, by, fresh};
use crate::harness::person::password;
use crate::harness::process::{Duty, Process};
use crate::harness::stores::{Opened, StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::audit::verify::verify;
use claviger_application::ids::{IdKind, decode_as, encode};
use claviger_application::{AccountChange, CommandContext};
use claviger_domain::actor::{Actor, Role};
use claviger_domain::id::{CorrelationId, UserId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) struct Stage {
    world: World,
    ground: Opened,
    /// Two servers, which know of each other only what the store tells them.
    pub(super) servers: [Process; 2],
    pub(super) clock: Arc<TestClock>,
}

/// The operator, on this account.
pub(super) fn operator(owner: UserId) -> CommandContext {
    CommandContext {
        owner,
        actor: Actor::OPERATOR,
        roles: BTreeSet::new(),
        foreign: None,
        correlation: CorrelationId(fresh()),
        idempotency_key: None,
    }
}

/// The user of a signed-in client.
pub(super) async fn user_of(client: &Client) -> UserId {
    let data = client.ask("{ viewer { id } }", json!({})).await;
    let id = data["viewer"]["id"].as_str().unwrap();
    UserId(decode_as(IdKind::User, id).unwrap())
}

/// The id of a signed-in client's account.
pub(super) async fn account_of(client: &Client) -> String {
    encode(IdKind::Account, user_of(client).await.0)
}

/// The client with the tokens of a payload.
pub(super) fn signed_in(client: &Client, payload: &Value) -> Client {
    client.with_token(payload["accessToken"].as_str().unwrap())
}

impl Stage {
    pub(super) async fn open(kind: StoreKind) -> Self {
        println!("on {kind:?}");
        let clock = TestClock::running();
        let place = TempPlace::new(kind).await;
        let world = World::at(place, by(&clock), |simulator| simulator).await;
        let ground = world.open_store().await;
        let servers = [
            world.process_over(ground.store(), Duty::Http).await,
            world.process_over(ground.store(), Duty::Http).await,
        ];
        Self { world, ground, servers, clock }
    }

    /// Ends the servers. What they did, `verify` must find as it should be.
    pub(super) async fn close(self) {
        let keychain = Arc::clone(&self.servers[0].parts.keychain);
        for server in self.servers {
            server.stop().await;
        }
        let report = verify(self.ground.store(), keychain).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        self.ground.close().await;
        self.world.close().await;
    }

    pub(super) fn url(&self, server: usize) -> String {
        format!("http://{}", self.servers[server].address())
    }

    /// A client at the first server that isn't signed in.
    pub(super) fn nobody(&self) -> Client {
        Client::new(&self.url(0))
    }

    /// The same user at the other server.
    pub(super) fn elsewhere(&self, client: &Client) -> Client {
        client.at(&self.url(1))
    }

    /// A new user, signed in at the first server.
    pub(super) async fn user(&self, name: &str) -> Client {
        self.nobody().registered(name).await
    }

    pub(super) async fn with_role(&self, name: &str, role: Role) -> Client {
        let client = self.user(name).await;
        self.by_operator(user_of(&client).await, AccountChange::Grant(role)).await;
        client
    }

    pub(super) async fn by_operator(&self, user: UserId, change: AccountChange) {
        let administration = &self.servers[0].ports.administration;
        drop(administration.change(operator(user), change, None).await.unwrap());
    }

    /// Signs in; the payload.
    pub(super) async fn login(&self, name: &str) -> Value {
        let input = json!({ "usernameOrEmail": name, "password": password(name) });
        self.nobody().run("login", input).await
    }
}

/// Code of a payload's one user error.
pub(super) fn refusal(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or_default()
}
