//! Users of an external issuer: what ends their tokens, and what their roles allow.

use crate::harness::client::Client;
use crate::harness::environment::{TestClock, by, fresh};
use crate::harness::issuer::{Issuer, Signing, claims};
use crate::harness::process::Process;
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::app::config::Config;
use claviger::auth::{Jwks, JwksError, JwksSettings, Registration};
use claviger::credentials::Sharing;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::ids::{IdKind, decode_as};
use claviger_application::{AccountChange, CommandContext};
use claviger_domain::actor::Actor;
use claviger_domain::id::{CorrelationId, UserId};
use claviger_domain::secret::SecretText;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

struct Stage {
    world: World,
    server: Process,
    clock: Arc<TestClock>,
    key: Signing,
    _issuer: Issuer,
}

impl Stage {
    async fn open(kind: StoreKind, roles: Option<&str>, change: impl FnOnce(&mut Config)) -> Self {
        let (clock, key) = (TestClock::held(), Signing::ed25519("k1"));
        let issuer = Issuer::start(&[&key]).await;
        let place = TempPlace::new(kind).await;
        let mut world = World::at(place, by(&clock), |simulator| simulator).await;
        world.config.issuer = Some(issuer.config(Duration::from_hours(1), roles));
        world.config.registration = Registration::Closed;
        change(&mut world.config);
        let server = world.serve().await;
        Self { world, server, clock, key, _issuer: issuer }
    }

    fn signed_in(&self, more: &Value) -> Client {
        let mut said = claims(&self.clock, "00u1ada");
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let nobody = Client::new(&format!("http://{}", self.server.address()));
        nobody.with_token(&self.key.token(&said))
    }

    fn ada(&self) -> Client {
        self.signed_in(&json!({}))
    }

    async fn close(self) {
        self.server.stop().await;
        self.world.close().await;
    }
}

/// The operator, on this account.
fn operator(owner: UserId) -> CommandContext {
    CommandContext {
        owner,
        actor: Actor::OPERATOR,
        roles: BTreeSet::new(),
        foreign: None,
        correlation: CorrelationId(fresh()),
        idempotency_key: None,
    }
}

async fn status(client: &Client) -> u16 {
    client.send("{ viewer { id } }", json!({})).await.status
}

/// An event stream of the user's, opened.
async fn stream(client: &Client) -> reqwest::Response {
    let body = json!({ "query": "subscription { viewerEvents { cursor } }" });
    let request = client.to_graphql().header("accept", "text/event-stream").json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

#[tokio::test]
async fn ending_other_sessions_ends_every_token_but_the_callers_and_what_hangs_on_them() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, None, |_| ()).await;
        let earlier = stage.ada();
        assert_eq!(status(&earlier).await, 200);
        stage.clock.advance_ms(60_000);
        let own = stage.ada();
        stage.clock.advance_ms(60_000);
        let later = stage.ada();
        let mut streams = [stream(&earlier).await, stream(&later).await];
        let mut kept = stream(&own).await;
        stage.clock.advance_ms(500);
        own.done("revokeSessions", json!({})).await;
        for other in [&earlier, &later] {
            assert_eq!(status(other).await, 401);
        }
        assert_eq!(status(&own).await, 200);
        for stream in &mut streams {
            // Read to its end.
            while stream.chunk().await.unwrap().is_some() {}
        }
        let mut text = String::new();
        while !text.contains("event: next") {
            let chunk = kept.chunk().await.unwrap().expect("it goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert_eq!(own.last_events(1).await, ["SessionsRevoked"]);
        stage.clock.advance_ms(500);
        let next = stage.ada();
        assert_eq!((status(&next).await, status(&own).await), (200, 200));
        // Again, by the next one: what was kept before is an other session now.
        next.done("revokeSessions", json!({})).await;
        assert_eq!((status(&next).await, status(&own).await), (200, 401));
        drop(kept);
        stage.close().await;
    }
}

#[tokio::test]
async fn signing_in_again_within_the_second_of_a_sign_out_is_let_in() {
    let stage = Stage::open(StoreKind::Sqlite, None, |_| ()).await;
    let old = stage.ada();
    assert_eq!(status(&old).await, 200);
    stage.clock.advance_ms(60_300);
    let other = stage.ada();
    stage.clock.advance_ms(1_000);
    old.done("logout", json!({})).await;
    assert_eq!((status(&old).await, status(&other).await), (401, 401), "made before");
    // The issuer dates it 300 ms before the sign-out.
    let again = stage.ada();
    assert_eq!(status(&again).await, 200);
    // A token that is signed out within its own second is ended too.
    again.done("logout", json!({})).await;
    assert_eq!(status(&again).await, 401);
    stage.clock.advance_ms(1_000);
    assert_eq!(status(&stage.ada()).await, 200);
    assert_eq!((status(&again).await, status(&old).await), (401, 401));
    stage.close().await;
}

#[tokio::test]
async fn a_name_is_changed_by_a_young_token_of_the_issuer_only() {
    let stage = Stage::open(StoreKind::Sqlite, None, |_| ()).await;
    let old = stage.ada();
    assert_eq!(status(&old).await, 200);
    stage.clock.advance_ms(5 * 60_000 + 1);
    let rename = json!({ "username": "countess" });
    let refused = old.run("renameAccount", rename.clone()).await;
    assert_eq!(refused["userErrors"][0]["code"], "UNAUTHENTICATED", "{refused}");
    let renamed = stage.ada().done("renameAccount", rename).await;
    assert_eq!(renamed["account"]["username"], "countess");
    stage.close().await;
}

/// An issuer's tokens are not known here before they are used.
#[tokio::test]
async fn a_token_that_was_not_used_yet_ends_with_the_sessions_and_with_a_deactivation() {
    let stage = Stage::open(StoreKind::Sqlite, None, |_| ()).await;
    let used = stage.ada();
    let id = used.ask("{ viewer { id } }", json!({})).await["viewer"]["id"].take();
    let owner = UserId(decode_as(IdKind::User, id.as_str().unwrap()).unwrap());
    let rounds = [
        vec![AccountChange::EndSessions],
        vec![AccountChange::Deactivate, AccountChange::Reactivate],
    ];
    for changes in rounds {
        stage.clock.advance_ms(2_000);
        stage.ada().done("logout", json!({})).await;
        stage.clock.advance_ms(2_000);
        let unused = stage.ada();
        stage.clock.advance_ms(2_000);
        for change in changes {
            let context = operator(owner);
            let done = stage.server.ports.administration.change(context, change, None).await;
            drop(done.unwrap());
        }
        assert_eq!(status(&unused).await, 401);
        stage.clock.advance_ms(2_000);
        assert_eq!(status(&stage.ada()).await, 200, "the next sign-in at the issuer");
    }
    stage.close().await;
}

/// The account of a user whose role comes with the token is no administrator's once the issuer is
/// gone, and the one who has a password stays one.
#[tokio::test]
async fn an_administrator_of_the_issuer_does_not_lock_out_the_last_one_with_a_password() {
    let stage = Stage::open(StoreKind::Sqlite, Some("roles"), |config| {
        config.registration = Registration::Open;
    })
    .await;
    let nobody = Client::new(&format!("http://{}", stage.server.address()));
    let root = nobody.registered("root").await;
    let query = "{ viewer { id } }";
    let admin = stage.signed_in(&json!({ "roles": ["admin"] }));
    let of = async |client: &Client| client.ask(query, json!({})).await["viewer"]["id"].take();
    let (id, own) = (of(&root).await, of(&admin).await);
    admin.done("grantRole", json!({ "id": id, "role": "ADMIN" })).await;
    // A role in the account counts for nothing where the claim decides.
    admin.done("grantRole", json!({ "id": own, "role": "ADMIN" })).await;
    for (mutation, input) in [
        ("createPasswordReset", json!({ "id": id })),
        ("deactivateAccount", json!({ "id": id })),
        ("revokeRole", json!({ "id": id, "role": "ADMIN" })),
    ] {
        let refused = admin.run(mutation, input).await;
        assert_eq!(refused["userErrors"][0]["code"], "CONFLICT", "{mutation}: {refused}");
    }
    stage.close().await;
}

/// The state of a run once it is paused.
async fn paused(client: &Client, id: &str) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on Orchestration { state } } }";
    loop {
        let run = client.ask(query, json!({ "id": id })).await["node"].take();
        if run["state"] == "PAUSED" {
            return run;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_of_an_external_administrator_is_resumed_on_the_operators_key() {
    let secret = key(Scenario::SpendLimit400, 90);
    let stage = Stage::open(StoreKind::Sqlite, Some("roles"), |config| {
        config.anthropic_api_key = Some(SecretText::new(secret.clone()));
        config.env_keys_for = Sharing::Admins;
    })
    .await;
    let admin = stage.signed_in(&json!({ "roles": ["admin"] }));
    let agents = json!([{ "name": "Ann", "systemPrompt": "You are Ann." }]);
    let pattern = json!({ "sequential": { "task": "Say hello.", "agents": agents } });
    let input = json!({ "pattern": pattern });
    let plain = stage.ada();
    let refused = plain.run("startOrchestration", input.clone()).await;
    assert_eq!(refused["userErrors"][0]["code"], "NO_CREDENTIAL", "{refused}");
    let started = admin.done("startOrchestration", input).await;
    let id = started["orchestration"]["id"].as_str().unwrap().to_owned();
    paused(&admin, &id).await;
    let counts = stage.world.simulator().counts().clone();
    let before = counts.of_key(&secret);
    let refused = plain.run("resumeOrchestration", json!({ "id": id })).await;
    assert_eq!(refused["userErrors"][0]["code"], "NO_CREDENTIAL", "{refused}");
    admin.done("resumeOrchestration", json!({ "id": id })).await;
    let called = counts.wait(|counts| counts.of_key(&secret) > before);
    tokio::time::timeout(Duration::from_secs(30), called).await.expect("a call with the key");
    paused(&admin, &id).await;
    stage.close().await;
}

/// Requests that may wait for a fetch of the issuer's keys.
const WAITING: usize = 500;

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_for_the_crowd_is_unavailable_and_not_unknown() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    let held = issuer.hold();
    let url = issuer.config(Duration::from_hours(1), None).url;
    let jwks = Jwks::new(&url, JwksSettings::default(), TaskTracker::new()).unwrap();
    let mut waiting: FuturesUnordered<_> = (0..WAITING).map(|_| jwks.find("k1")).collect();
    assert!(futures::poll!(waiting.next()).is_pending());
    let one_more = jwks.find("k1").await;
    assert!(matches!(one_more, Err(JwksError::Unavailable)), "its token is not known to be bad");
    issuer.go_on(&held);
    while let Some(found) = waiting.next().await {
        assert_eq!(found.unwrap().map(|keys| keys.len()), Some(1));
    }
}
