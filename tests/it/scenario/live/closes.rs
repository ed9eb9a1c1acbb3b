//! Each reason for which a socket is closed, by its code.

use crate::harness::socket::{Socket, until};
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::id::UserId;
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

async fn with(change: impl FnOnce(&mut claviger::live::LiveSettings)) -> Stage {
    Stage::with(StoreKind::Sqlite, |config| change(&mut config.live)).await
}

#[tokio::test]
async fn what_is_no_message_of_the_protocol_closes_with_4400() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let bad = [
        Message::text("{"),
        Message::text("[]"),
        Message::text("{}"),
        Message::text(r#"{"type":7}"#),
        Message::text(r#"{"type":"connection_ack"}"#),
        Message::text(r#"{"type":"start","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","payload":{"query":"{ __typename }"}}"#),
        Message::text(r#"{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{"query":7}}"#),
        Message::text(r#"{"type":"complete"}"#),
        Message::text(r#"{"type":"ping","payload":[]}"#),
        Message::text(r#"{"type":"ping","payload":{"token":7}}"#),
        Message::binary(b"{}".to_vec()),
        Message::text(format!("{{\"type\":\"ping\",\"a\":\"{}\"}}", "a".repeat(1024 * 1024))),
    ];
    for message in bad {
        let mut socket = Socket::of(stage.address(), &ada).await;
        let shown: String = message.to_string().chars().take(80).collect();
        socket.send(message).await;
        assert_eq!(socket.closed().await, 4400, "{shown}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_client_that_sends_no_init_is_closed_with_4408() {
    let stage = with(|live| live.init_timeout = Duration::from_millis(20)).await;
    assert_eq!(Socket::open(stage.address()).await.closed().await, 4408);
    stage.close().await;
}

#[tokio::test]
async fn a_client_without_a_valid_token_is_closed_with_4401_and_one_that_loses_it_with_4403() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let init = |token: serde_json::Value| json!({ "type": "connection_init", "payload": { "token": token } });
    let messages = [
        json!({ "type": "connection_init" }),
        init(json!(null)),
        init(json!("nonsense")),
        init(json!(format!("{}x", ada.token()))),
        json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ __typename }" } }),
        json!({ "type": "ping", "payload": { "token": ada.token() } }),
    ];
    for message in messages {
        let mut socket = Socket::open(stage.address()).await;
        socket.say(&message).await;
        assert_eq!(socket.closed().await, 4401, "{message}");
    }
    stage.advance_ms(15 * 60_000);
    let mut socket = Socket::open(stage.address()).await;
    socket.say(&init(json!(ada.token()))).await;
    assert_eq!(socket.closed().await, 4403);
    stage.close().await;
}

#[tokio::test]
async fn a_second_init_and_a_socket_too_many_close_with_4429() {
    let stage = with(|live| live.max_per_user = 2).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let mut first = Socket::of(stage.address(), &ada).await;
    first.say(&json!({ "type": "connection_init", "payload": { "token": ada.token() } })).await;
    assert_eq!(first.closed().await, 4429);
    let _two = (Socket::of(stage.address(), &bob).await, Socket::of(stage.address(), &bob).await);
    let mut third = Socket::open(stage.address()).await;
    third.say(&json!({ "type": "connection_init", "payload": { "token": bob.token() } })).await;
    assert_eq!(third.closed().await, 4429);
    // Others have places of their own.
    Socket::of(stage.address(), &ada).await;
    stage.close().await;
}

#[tokio::test]
async fn an_id_that_is_taken_closes_with_4409_and_is_free_again_after_complete() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.follow("1", None).await;
    socket.say(&json!({ "type": "complete", "id": "1" })).await;
    socket.follow("1", None).await;
    assert!(socket.ask("2", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    socket.follow("1", None).await;
    assert_eq!(socket.closed().await, 4409);
    stage.close().await;
}

#[tokio::test]
async fn operations_of_one_socket_are_bounded_and_the_socket_lives_on() {
    let stage = with(|live| live.max_operations = 2).await;
    let ada = stage.user("ada").await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    for id in ["1", "2", "3"] {
        socket.follow(id, None).await;
    }
    let refused = socket.hear().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("3")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{refused}");
    socket.say(&json!({ "type": "complete", "id": "1" })).await;
    assert!(socket.ask("3", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    stage.close().await;
}

#[tokio::test]
async fn a_server_that_goes_down_closes_with_1012_and_leaves_nothing_hanging() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.follow("1", None).await;
    let silent = Socket::open(stage.address()).await;
    stage.begin_to_stop();
    assert_eq!((socket.closed().await, silent.closed().await), (1012, 1012));
    stage.close().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_with_1013_and_costs_nothing_more() {
    let stage = with(|live| {
        live.stall = Duration::from_millis(200);
        live.closing = crate::harness::socket::PATIENCE;
    })
    .await;
    let ada = stage.user("ada").await;
    let id =
        ada.ask("{ viewer { id } }", json!({})).await["viewer"]["id"].as_str().unwrap().to_owned();
    let user = UserId(decode_as(IdKind::User, &id).unwrap());
    let mut socket = Socket::of(stage.address(), &ada).await;
    // Far more than the system's own buffers hold.
    let large = "{ __schema { types { name description fields { name description args { name description } } } } }";
    for n in 0..1_500 {
        socket.subscribe(&n.to_string(), large, json!({})).await;
    }
    until(|| !stage.is_listened_to(user)).await;
    assert_eq!(socket.closed().await, 1013);
    stage.close().await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed_with_1001() {
    let stage = with(|live| {
        live.ping = Duration::from_millis(5);
        live.silence = Duration::from_millis(50);
    })
    .await;
    let ada = stage.user("ada").await;
    assert_eq!(Socket::of(stage.address(), &ada).await.closed().await, 1001);
    stage.close().await;
}

#[tokio::test]
async fn garbage_frames_close_with_1002() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.send_raw(&[0xFF; 512]).await;
    assert_eq!(socket.closed().await, 1002);
    stage.close().await;
}

#[tokio::test]
async fn an_expired_token_closes_with_4403_unless_another_came_in_time() {
    let stage = with(|live| live.ping = Duration::from_millis(5)).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let login =
        json!({ "usernameOrEmail": "ada", "password": crate::harness::person::password("ada") });
    let (mut renewed, mut plain) =
        (Socket::of(stage.address(), &ada).await, Socket::of(stage.address(), &ada).await);
    let mut of_bob = Socket::of(stage.address(), &bob).await;
    renewed.follow("1", None).await;
    plain.follow("1", None).await;
    stage.advance_ms(10 * 60_000);
    let fresh = stage.nobody().done("login", login).await;
    let ping = json!({ "type": "ping", "payload": { "token": fresh["accessToken"] } });
    for socket in [&mut renewed, &mut plain] {
        assert_eq!(socket.event_of("1").await.1, "SignedIn");
    }
    renewed.say(&ping).await;
    let answered = renewed.hear().await;
    assert_eq!(answered, json!({ "type": "pong", "payload": { "expiresAt": fresh["expiresAt"] } }));
    // Another user's token is not valid here.
    of_bob.say(&ping).await;
    assert_eq!(of_bob.closed().await, 4403);
    stage.advance_ms(6 * 60_000);
    assert_eq!(plain.closed().await, 4403);
    assert!(renewed.ask("2", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    renewed.say(&json!({ "type": "ping", "payload": { "token": ada.token() } })).await;
    assert_eq!(renewed.closed().await, 4403, "the old token is no new one");
    stage.close().await;
}
