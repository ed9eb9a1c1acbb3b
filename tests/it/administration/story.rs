//! A stolen sign-in, from the theft to the owner's return, over two processes.

use super::stage::{Stage, account_of, refusal, signed_in, user_of};
use crate::harness::client::Client;
use crate::harness::dice::number;
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::actor::Role;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{PauseReason, Phase};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

/// What is promised. On a machine that does other work too, the test only takes the time:
/// `CLAVIGER_TEST_TIMES=1 cargo test --test it administration::story` insists.
const PROMISED: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(1);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes too long")
}

/// A socket that follows the viewer's events.
async fn socket(client: &Client) -> WebSocketStream<TcpStream> {
    let address = client.url().strip_prefix("http://").unwrap().to_owned();
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let init = json!({ "type": "connection_init", "payload": { "token": client.token() } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    let ack = soon(socket.next()).await.unwrap().unwrap();
    assert!(ack.to_text().unwrap().contains("connection_ack"), "{ack}");
    let query = json!({ "query": "subscription { viewerEvents { cursor } }" });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": query });
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    socket
}

/// The code that the server closes with.
async fn closed(mut socket: WebSocketStream<TcpStream>) -> u16 {
    loop {
        match soon(socket.next()).await {
            Some(Ok(Message::Close(frame))) => return frame.expect("a code").code.into(),
            Some(Ok(_)) => {}
            other => panic!("no close frame but {other:?}"),
        }
    }
}

/// An event stream of the viewer's events.
async fn stream(client: &Client) -> reqwest::Response {
    let request = client.to_graphql().header("accept", "text/event-stream");
    let query = json!({ "query": "subscription { viewerEvents { cursor } }" });
    let response = request.json(&query).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Starts a run whose call hangs, and waits until it is under way.
async fn hanging_run(stage: &Stage, server: usize, thief: &Client, user: UserId) -> RunId {
    let pattern = json!({ "sequential": { "task": "Wait.", "agents": [
        { "name": "Ann", "systemPrompt": "You are Ann." }] } });
    let payload = thief.done("startOrchestration", json!({ "pattern": pattern })).await;
    let id = payload["orchestration"]["id"].as_str().unwrap();
    let run = RunId(decode_as(IdKind::Orchestration, id).unwrap());
    until(stage, server, user, run, |phase, calls| phase == Phase::Running && calls > 0).await;
    run
}

/// Waits until a run is so: its phase, and how many calls it made.
async fn until(
    stage: &Stage,
    server: usize,
    user: UserId,
    run: RunId,
    is_so: impl Fn(Phase, usize) -> bool,
) {
    let process = &stage.servers[server];
    soon(async {
        let mut commits = process.store.watch();
        loop {
            commits.borrow_and_update();
            let detail = process.ports.run_reads.run(user, run).await.unwrap().unwrap();
            let calls = detail.view.run.steps.iter().filter(|step| step.attempts > 0).count();
            if is_so(detail.view.run.phase, calls) {
                return;
            }
            commits.changed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_sign_in_ends_on_both_processes_and_its_owner_comes_back() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let admin = stage.with_role("root", Role::Admin).await;
        let ada = stage.user("ada").await;
        let (id, user) = (account_of(&ada).await, user_of(&ada).await);
        ada.done("addKey", json!({ "name": "work", "secret": key(Scenario::Hang, 1) })).await;

        // The thief knows the password, and is at work on both processes.
        let stolen = stage.login("ada").await;
        let here = signed_in(&stage.nobody(), &stolen);
        let there = stage.elsewhere(&here);
        let sockets = [socket(&here).await, socket(&there).await];
        let streams = [stream(&here).await, stream(&there).await];
        let runs =
            [hanging_run(&stage, 0, &here, user).await, hanging_run(&stage, 1, &there, user).await];

        let began_at = Instant::now();
        admin.done("deactivateAccount", json!({ "id": id })).await;
        for socket in sockets {
            assert_eq!(closed(socket).await, 4401);
        }
        for stream in streams {
            soon(stream.bytes()).await.unwrap();
        }
        let paused = Phase::Paused(PauseReason::KeyUnavailable);
        for (server, run) in runs.into_iter().enumerate() {
            until(&stage, server, user, run, |phase, _| phase == paused).await;
        }
        let took = began_at.elapsed();
        println!("everything had ended after {} ms", took.as_millis());
        let insists = number("CLAVIGER_TEST_TIMES").is_some();
        assert!(!insists || took <= PROMISED, "it took {took:?}");

        // Nothing of the theft works any more, anywhere.
        for thief in [&here, &there] {
            assert_eq!(thief.send("{ viewer { id } }", json!({})).await.code(), "UNAUTHENTICATED");
            let refresh = json!({ "refreshToken": stolen["refreshToken"] });
            assert_eq!(refusal(&thief.run("refreshSession", refresh).await), "UNAUTHENTICATED");
        }
        assert_eq!(refusal(&stage.login("ada").await), "UNAUTHENTICATED");

        // The password is void before the account is active again.
        let reset = admin.done("createPasswordReset", json!({ "id": id })).await;
        admin.done("reactivateAccount", json!({ "id": id })).await;
        assert_eq!(refusal(&stage.login("ada").await), "UNAUTHENTICATED");
        let input = json!({ "token": reset["resetToken"], "newPassword": "a new long password" });
        let back = stage.elsewhere(&stage.nobody()).done("resetPassword", input).await;
        let back = stage.nobody().with_token(back["accessToken"].as_str().unwrap());

        // The owner finds the keys, and in the history what was done and by whom.
        let query = "{ viewer { keys { nodes { name } } history(first: 50) { nodes { type actor { role } } } } }";
        let found = back.ask(query, json!({})).await;
        assert_eq!(found["viewer"]["keys"]["nodes"], json!([{ "name": "work" }]));
        let events = found["viewer"]["history"]["nodes"].as_array().unwrap();
        let by_admin = |kind: &str| {
            events.iter().any(|event| event["type"] == kind && event["actor"]["role"] == "ADMIN")
        };
        for kind in ["AccountDeactivated", "PasswordResetCreated", "AccountReactivated"] {
            assert!(by_admin(kind), "{kind} in {events:?}");
        }
        assert!(events.iter().any(|event: &Value| event["type"] == "PasswordReset"));
        stage.close().await;
    }
}
