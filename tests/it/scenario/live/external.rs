//! Sockets and event streams of an external issuer's users: as long as the token that was shown,
//! and no longer than the account.

use super::streams::{FOLLOW, Stream, get, post};
use crate::harness::client::Client;
use crate::harness::issuer::{Issuer, Signing, claims};
use crate::harness::socket::Socket;
use crate::harness::stores::StoreKind;
use crate::scenario::external::run;
use crate::scenario::stage::Stage;
use claviger::simulator::keys::{Scenario, key as secret_key};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::account::{DeactivateAccount, GrantRole};
use claviger_domain::actor::Role;
use claviger_domain::id::UserId;
use serde_json::{Value, json};
use std::time::Duration;

const AUDIT: &str = "subscription($after: Cursor) { auditEvents(after: $after) { node { type } } }";

/// The clock stands still, so the tasks that wait for it check it often.
async fn stage(issuer: &Issuer, role_claim: Option<&str>) -> Stage {
    Stage::with(StoreKind::Sqlite, |config| {
        config.issuer = Some(issuer.config(Duration::from_hours(1), role_claim));
        config.live.ping = Duration::from_millis(5);
        config.live.heartbeat = Duration::from_millis(5);
    })
    .await
}

fn sign_in(stage: &Stage, key: &Signing, more: &Value) -> Client {
    let mut said = claims(&stage.clock, "00u1ada");
    said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stage.nobody().with_token(&key.token(&said))
}

fn init(client: &Client) -> Value {
    json!({ "type": "connection_init", "payload": { "token": client.token() } })
}

fn ping(client: &Client) -> Value {
    json!({ "type": "ping", "payload": { "token": client.token() } })
}

async fn id_of(client: &Client) -> UserId {
    let id = client.ask("{ viewer { id } }", json!({})).await["viewer"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    UserId(decode_as(IdKind::User, &id).unwrap())
}

async fn ticket(client: &Client) -> String {
    let made = client.ask("mutation { createStreamTicket { ticket } }", json!({})).await;
    made["createStreamTicket"]["ticket"].as_str().unwrap().to_owned()
}

async fn by_ticket(
    stage: &Stage,
    ticket: &str,
    query: &str,
    last_event_id: Option<&str>,
) -> reqwest::Response {
    let headers: Vec<_> = last_event_id.map(|id| ("last-event-id", id)).into_iter().collect();
    get(stage, &[("query", query), ("ticket", ticket)], &headers).await
}

/// Reads a stream to its end, which must not be `complete`: the client comes back.
async fn ends(mut stream: Stream) {
    while let Some(event) = stream.event().await {
        assert_ne!(event.kind, "complete", "{event:?}");
    }
}

/// Ten minutes, as the claims of the tests have it.
fn expiry(stage: &Stage) -> String {
    stage.in_ms(600_000)
}

#[tokio::test]
async fn a_socket_lasts_as_long_as_the_issuers_token_and_goes_on_under_the_next() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    let stage = stage(&issuer, None).await;
    let ada = sign_in(&stage, &key, &json!({}));
    // Her first event: the account is made.
    let (mut renewed, mut plain) =
        (Socket::open(stage.address()).await, Socket::of(stage.address(), &ada).await);
    renewed.say(&init(&ada)).await;
    let ack = renewed.hear().await;
    assert_eq!(
        ack,
        json!({ "type": "connection_ack", "payload": { "expiresAt": expiry(&stage) } })
    );
    renewed.follow("1", None).await;
    plain.follow("1", None).await;
    assert_eq!(
        renewed.ask("2", "{ viewer { username } }", json!({})).await,
        plain.ask("2", "{ viewer { username } }", json!({})).await
    );
    ada.add("work", &secret_key(Scenario::Good, 1)).await;
    assert_eq!(
        (renewed.event_of("1").await.1, plain.event_of("1").await.1),
        ("KeyAdded".into(), "KeyAdded".into())
    );

    stage.advance_ms(300_000);
    let next = sign_in(&stage, &key, &json!({}));
    renewed.say(&ping(&next)).await;
    assert_eq!(heard(&mut renewed, "pong").await["payload"]["expiresAt"], json!(expiry(&stage)));
    stage.advance_ms(300_000);
    // To the second: the leeway of requests does not apply.
    assert_eq!(plain.closed().await, 4403);
    assert!(
        ada.ask("{ viewer { id } }", json!({})).await["viewer"].is_object(),
        "clocks may differ by so much"
    );
    assert!(renewed.ask("3", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    let mut late = Socket::open(stage.address()).await;
    late.say(&init(&ada)).await;
    assert_eq!(late.closed().await, 4403, "it was good once");
    renewed.say(&ping(&ada)).await;
    assert_eq!(renewed.closed().await, 4403, "the old token is no new one");
    stage.close().await;
}

/// The next message of this type; others are passed over.
async fn heard(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let message = socket.hear().await;
        if message["type"] == kind {
            return message;
        }
    }
}

#[tokio::test]
async fn tokens_of_others_and_tokens_that_cannot_be_judged_close_a_socket_each_with_its_code() {
    let (key, stranger) = (Signing::ed25519("k1"), Signing::ed25519("k1"));
    let issuer = Issuer::start(&[&key]).await;
    let stage = stage(&issuer, None).await;
    let ada = sign_in(&stage, &key, &json!({}));
    for (client, code) in [
        (sign_in(&stage, &stranger, &json!({})), 4401),
        (sign_in(&stage, &key, &json!({ "aud": "else" })), 4401),
    ] {
        let mut socket = Socket::open(stage.address()).await;
        socket.say(&init(&client)).await;
        assert_eq!(socket.closed().await, code);
    }
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.say(&ping(&sign_in(&stage, &key, &json!({ "sub": "00u2bob" })))).await;
    assert_eq!(socket.closed().await, 4403, "another user's token is none");
    // Nobody knows whether it is valid: the client tries again.
    let unknown = sign_in(&stage, &Signing::ed25519("k2"), &json!({}));
    issuer.answer(500, Vec::new());
    let (mut fresh, mut held) =
        (Socket::open(stage.address()).await, Socket::of(stage.address(), &ada).await);
    fresh.say(&init(&unknown)).await;
    held.say(&ping(&unknown)).await;
    assert_eq!((fresh.closed().await, held.closed().await), (1013, 1013));
    assert_eq!(post(&stage, &unknown, json!({ "query": FOLLOW }), &[]).await.status(), 502);
    assert_eq!(
        post(&stage, &sign_in(&stage, &stranger, &json!({})), json!({ "query": FOLLOW }), &[])
            .await
            .status(),
        401
    );
    stage.close().await;
}

#[tokio::test]
async fn a_user_who_is_signed_out_or_deactivated_is_cut_off_though_a_newer_token_lets_them_in_again()
 {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    let stage = stage(&issuer, None).await;
    let ada = sign_in(&stage, &key, &json!({}));
    let user = id_of(&ada).await;
    let socket = Socket::of(stage.address(), &ada).await;
    let streams = [
        Stream::of(post(&stage, &ada, json!({ "query": FOLLOW }), &[]).await),
        Stream::of(by_ticket(&stage, &ticket(&ada).await, FOLLOW, None).await),
    ];
    let unused = ticket(&ada).await;
    ada.done("logout", json!({})).await;
    stage.advance_ms(1_000);
    let again = sign_in(&stage, &key, &json!({}));
    // Their one session is open again before anybody has looked: the old token stays out all the
    // same.
    let mut newer = Socket::of(stage.address(), &again).await;
    assert_eq!(socket.closed().await, 4401);
    for stream in streams {
        ends(stream).await;
    }
    assert_eq!(by_ticket(&stage, &unused, FOLLOW, None).await.status(), 401);
    newer.follow("1", None).await;
    again.add("work", &secret_key(Scenario::Good, 1)).await;
    assert_eq!(newer.event_of("1").await.1, "KeyAdded");

    let stream = Stream::of(by_ticket(&stage, &ticket(&again).await, FOLLOW, None).await);
    run(&stage, user, DeactivateAccount.into()).await;
    assert_eq!(newer.closed().await, 4401);
    ends(stream).await;
    stage.advance_ms(1_000);
    let mut refused = Socket::open(stage.address()).await;
    refused.say(&init(&sign_in(&stage, &key, &json!({})))).await;
    assert_eq!(refused.closed().await, 4401);
    stage.close().await;
}

#[tokio::test]
async fn a_streams_ticket_lasts_no_longer_than_the_token_it_was_made_with() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    let mut stage = stage(&issuer, None).await;
    let ada = sign_in(&stage, &key, &json!({}));
    let by_header = Stream::of(post(&stage, &ada, json!({ "query": FOLLOW }), &[]).await);
    let ticket = ticket(&ada).await;
    let mut stream = Stream::of(by_ticket(&stage, &ticket, FOLLOW, None).await);
    let id = stream.event().await.unwrap().id;
    ada.add("missed", &secret_key(Scenario::Good, 1)).await;
    stage.advance_ms(599_000);
    stage.crash().await;
    let mut stream = Stream::of(by_ticket(&stage, &ticket, FOLLOW, Some(&id)).await);
    assert_eq!(stream.event().await.unwrap().kind, "open");
    assert_eq!(stream.item().await.1, "KeyAdded");
    stage.advance_ms(1_000);
    ends(stream).await;
    drop(by_header);
    assert_eq!(by_ticket(&stage, &ticket, FOLLOW, Some(&id)).await.status(), 401);
    let late = Stream::of(
        post(&stage, &sign_in(&stage, &key, &json!({})), json!({ "query": FOLLOW }), &[]).await,
    );
    stage.advance_ms(600_000);
    ends(late).await;
    stage.close().await;
}

#[tokio::test]
async fn the_issuers_roles_alone_decide_on_sockets_and_by_tickets() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    let stage = stage(&issuer, Some("roles")).await;
    let (auditor, plain) = (json!({ "roles": ["auditor"] }), json!({ "roles": [] }));
    let start = json!({ "after": "AQAAAAAAAAAA" });
    let ada = sign_in(&stage, &key, &auditor);
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.subscribe("1", AUDIT, start.clone()).await;
    assert_eq!(socket.next_of("1").await["auditEvents"]["node"]["type"], "AccountRegistered");
    // What happens to the account changes nothing about the claim.
    run(&stage, id_of(&ada).await, GrantRole { role: Role::Admin }.into()).await;
    socket.say(&ping(&sign_in(&stage, &key, &auditor))).await;
    heard(&mut socket, "pong").await;
    let mut stream = Stream::of(by_ticket(&stage, &ticket(&ada).await, AUDIT, None).await);
    assert_eq!(stream.event().await.unwrap().kind, "open");

    // Our own grant doesn't count, neither by token nor by ticket.
    let less = sign_in(&stage, &key, &plain);
    assert_eq!(post(&stage, &less, json!({ "query": AUDIT }), &[]).await.status(), 403);
    assert_eq!(by_ticket(&stage, &ticket(&less).await, AUDIT, None).await.status(), 403);
    let mut other = Socket::of(stage.address(), &less).await;
    other.subscribe("1", AUDIT, start).await;
    assert_eq!(heard(&mut other, "error").await["payload"][0]["extensions"]["code"], "FORBIDDEN");
    // A subscription that was begun with more must not go on under less.
    socket.say(&ping(&less)).await;
    assert_eq!(socket.closed().await, 4403);
    stage.close().await;
}
