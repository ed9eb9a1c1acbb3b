//! Where clients put their token when they open a socket.

use crate::harness::socket::Socket;
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use serde_json::{Value, json};

async fn acknowledged(stage: &Stage, headers: &[(&str, &str)], message: &Value) -> bool {
    let mut socket = Socket::open_with(stage.address(), headers).await;
    socket.say(message).await;
    let said = socket.hear().await;
    said["type"] == "connection_ack"
}

#[tokio::test]
async fn a_token_is_found_where_clients_put_it() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let (token, bearer) = (ada.token(), format!("Bearer {}", ada.token()));
    let case = include_str!("../cases/B29-connection-init.json").replace("TOKEN", token);
    assert!(acknowledged(&stage, &[], &serde_json::from_str(&case).unwrap()).await);
    for payload in [
        json!({ "token": token }),
        json!({ "token": bearer }),
        json!({ "Authorization": bearer }),
        json!({ "authorization": bearer }),
        json!({ "AUTHORIZATION": format!("bearer  {token}") }),
        json!({ "authorization": token }),
        json!({ "headers": { "Authorization": bearer } }),
        json!({ "headers": { "authorization": bearer, "x-other": "1" } }),
        json!({ "Headers": { "AUTHORIZATION": bearer } }),
        json!({ "authToken": token }),
        json!({ "accessToken": token }),
        json!({ "access_token": token }),
        json!({ "jwt": token }),
        json!({ "auth": { "token": token } }),
        json!({ "context": { "headers": { "Authorization": bearer } } }),
        json!({ "token": null, "Authorization": bearer }),
        json!({ "token": "", "Authorization": bearer }),
        json!({ "token": token, "Authorization": "Basic YTpi", "clientName": "web", "n": 7 }),
    ] {
        let message = json!({ "type": "connection_init", "payload": payload });
        assert!(
            acknowledged(&stage, &[], &message).await,
            "{}",
            payload.to_string().replace(token, "TOKEN")
        );
    }
    for message in [
        json!({ "type": "connection_init" }),
        json!({ "type": "connection_init", "payload": null }),
        json!({ "type": "connection_init", "payload": { "clientName": "web" } }),
    ] {
        for header in [bearer.clone(), format!("bearer {token}")] {
            assert!(
                acknowledged(&stage, &[("authorization", &header)], &message).await,
                "{message}"
            );
        }
    }
    // What the client itself says comes before what stands around it.
    let message = json!({ "type": "connection_init", "payload": { "token": token } });
    assert!(acknowledged(&stage, &[("authorization", "Bearer of-a-proxy")], &message).await);
    assert!(acknowledged(&stage, &[("authorization", "Basic YTpi")], &message).await);
    stage.close().await;
}

#[tokio::test]
async fn a_client_whose_token_is_nowhere_learns_where_it_is_looked_for() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    for payload in [
        json!(null),
        json!({}),
        json!({ "Authorization": "" }),
        json!({ "Authorization": "Bearer " }),
        json!({ "Authorization": "Basic YTpi" }),
        json!({ "Authorization": 7 }),
        json!({ "headers": [] }),
        json!({ "password": ada.token() }),
        json!({ "a": { "b": { "c": { "token": ada.token() } } } }),
    ] {
        let mut socket =
            Socket::open_with(stage.address(), &[("authorization", "Basic YTpi")]).await;
        socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
        let (code, reason) = socket.closed_with().await;
        assert_eq!(code, 4401, "{payload}");
        assert!(reason.contains("no token found"), "{reason}");
        assert!(reason.contains("token, Authorization or headers.Authorization"), "{reason}");
    }
    // A wrong one is called wrong.
    let mut socket = Socket::open(stage.address()).await;
    let payload = json!({ "Authorization": "Bearer nonsense" });
    socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
    let (code, reason) = socket.closed_with().await;
    assert!(code == 4401 && reason.contains("not valid"), "{code} {reason}");
    stage.close().await;
}

/// The header of the handshake is for the handshake: the operations are those of the socket's user.
#[tokio::test]
async fn the_header_of_the_handshake_speaks_for_no_operation() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let bearer = format!("Bearer {}", bob.token());
    let mut socket = Socket::open_with(stage.address(), &[("authorization", &bearer)]).await;
    let payload = json!({ "Authorization": format!("Bearer {}", ada.token()) });
    socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.hear().await["type"], "connection_ack");
    let data = socket.ask("1", "{ viewer { username } }", json!({})).await;
    assert_eq!(data, json!({ "viewer": { "username": "ada" } }));
    stage.close().await;
}
