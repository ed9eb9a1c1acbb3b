//! Requests as other people's clients send them, byte for byte (`cases/`): what they mean is done.

use super::stage::Stage;
use crate::harness::client::Client;
use crate::harness::program::{Home, Ran};
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A case, with the words that stand for something put in. The length is counted again.
fn filled(case: &str, words: &[(&str, &str)]) -> Vec<u8> {
    let text = words.iter().fold(case.to_owned(), |text, (word, value)| text.replace(word, value));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut request = String::new();
    for line in head.lines().filter(|line| !line.starts_with("content-length")) {
        request.push_str(line);
        request.push_str("\r\n");
    }
    let length = body.len();
    format!("{request}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

/// The answer's head and the rest of what came, to the end or to the first of some words.
pub(super) async fn raw(address: SocketAddr, request: &[u8], until: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let (mut came, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        came.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&came);
        if read == 0 || (!until.is_empty() && text.contains(until)) {
            let (head, rest) = text.split_once("\r\n\r\n").unwrap();
            return (head.to_owned(), rest.to_owned());
        }
    }
}

async fn asked(stage: &Stage, case: &str, words: &[(&str, &str)]) -> Value {
    let (head, body) = raw(stage.address(), &filled(case, words), "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn a_subscription_whose_root_field_stands_in_a_fragment_is_accepted() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let case = include_str!("cases/B27-root-fragment.http");
    let request = filled(case, &[("TOKEN", ada.token())]);
    let reading = raw(stage.address(), &request, "event: next");
    let writing = async {
        // The stream begins with the next event; one is made until it came.
        for n in 0.. {
            ada.add(&format!("key {n}"), &key(Scenario::Good, n)).await;
        }
    };
    let (head, body) = tokio::select! { read = reading => read, () = writing => unreachable!() };
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    assert!(body.contains("{\"data\":{\"viewerEvents\":{\"cursor\":"), "{body}");
    stage.close().await;
}

#[tokio::test]
async fn names_may_join_letters_and_pictures() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let id = ada.add("work", &key(Scenario::Good, 1)).await;
    let case = include_str!("cases/B33-rename-with-joiner.http");
    let renamed = asked(&stage, case, &[("TOKEN", ada.token()), ("KEY", &id)]).await;
    assert_eq!(renamed, json!({ "data": { "renameKey": { "userErrors": [] } } }));
    assert_eq!(ada.key(&id).await["name"], "👨\u{200d}💻");
    for name in ["می\u{200c}خواهم", "ශ්\u{200d}රී", "🏳\u{fe0f}\u{200d}🌈", "క్\u{200c}ష"]
    {
        ada.done("renameKey", json!({ "id": id, "name": name })).await;
        assert_eq!(ada.key(&id).await["name"], name);
    }
    for name in ["a\u{200d}b", "\u{200c}", "می\u{200c}", "👨\u{200d}", "ab\u{202e}", "a\u{200e}b"]
    {
        stage.refused(&ada, "renameKey", json!({ "id": id, "name": name })).await;
    }
    stage.close().await;
}

/// Joiners are hardly seen, so they make no other user.
#[tokio::test]
async fn a_username_with_joiners_is_one_with_the_name_without() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let input = |name: &str, email: &str| json!({ "username": name, "email": email, "password": "long enough" });
    let nobody = stage.nobody();
    let name = "می\u{200c}خواهم";
    let made = nobody.done("register", input(name, "a@example.org")).await;
    assert_eq!(made["viewer"]["username"], name);
    let twin = nobody.run("register", input("میخواهم", "b@example.org")).await;
    assert_eq!(twin["userErrors"][0]["code"], "DUPLICATE", "{twin}");
    for typed in [name, "میخواهم"] {
        let input = json!({ "usernameOrEmail": typed, "password": "long enough" });
        assert_eq!(nobody.done("login", input).await["viewer"]["username"], name);
    }
    stage.close().await;
}

#[tokio::test]
async fn a_password_is_the_same_however_a_keyboard_composes_it() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let nobody = stage.nobody();
    let spellings = [include_str!("cases/B32-nfc.txt"), include_str!("cases/B32-nfd.txt")];
    for (n, made) in spellings.iter().enumerate() {
        let name = format!("user{n}");
        let email = format!("{name}@example.org");
        let input = json!({ "username": name, "email": email, "password": made });
        let token = nobody.done("register", input).await["accessToken"].clone();
        for typed in spellings {
            let input = json!({ "usernameOrEmail": name, "password": typed });
            nobody.done("login", input).await;
        }
        let other = json!({ "usernameOrEmail": name, "password": "cafe-long-word" });
        assert_eq!(nobody.run("login", other).await["userErrors"][0]["code"], "UNAUTHENTICATED");
        // As the current password too.
        let change = json!({ "currentPassword": spellings[1 - n], "newPassword": "long enough 2" });
        nobody.with_token(token.as_str().unwrap()).done("changePassword", change).await;
    }
    stage.close().await;
}

#[tokio::test]
async fn the_mark_before_a_body_is_passed_over_on_every_face() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let case = include_str!("cases/B34-body-with-bom.http");
    assert!(case.contains('\u{feff}'));
    assert_eq!(asked(&stage, case, &[]).await, json!({ "data": { "__typename": "Query" } }));
    let ada = stage.user("ada").await;
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let body = "\u{feff}{\"query\":\"{ viewer { username } }\"}";
        let request = ada.to_graphql().header("accept", accept);
        let request = request.header("content-type", "application/json").body(body);
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(r#"{"data":{"viewer":{"username":"ada"}}}"#), "{text}");
    }
    stage.close().await;
}

#[test]
fn the_mark_before_what_is_piped_is_no_part_of_it() {
    let home = Home::new();
    let piped = include_bytes!("cases/B34-password-bom.txt");
    let add = ["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"];
    Ran::of(home.command(&add), piped).assert_code(0);
    let secret = format!("\u{feff}{}\r\n", key(Scenario::Good, 1));
    let add = ["key", "add", "--user", "ada", "--name", "work"];
    home.run_with(&add, &secret).assert_code(0);
    std::fs::write(home.work().join("claviger.toml"), "\u{feff}max_keys = 7\n").unwrap();
    home.run(&["key", "list", "--user", "ada"]).assert_code(0);
    let master = home.data().join("master.key");
    let kept = std::fs::read_to_string(&master).unwrap();
    std::fs::write(&master, format!("\u{feff}{kept}")).unwrap();
    home.verified();
}

#[tokio::test]
async fn the_password_that_was_piped_is_the_one_that_is_typed() {
    let home = Home::new();
    let piped = include_bytes!("cases/B34-password-bom.txt");
    let add = ["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"];
    Ran::of(home.command(&add), piped).assert_code(0);
    let server = home.serve(crate::harness::upstream::NO_UPSTREAM);
    let nobody = Client::new(server.url());
    let input = json!({ "usernameOrEmail": "ada", "password": "long-enough-word" });
    nobody.done("login", input).await;
    server.stop().await;
}

#[tokio::test]
async fn a_choice_of_one_says_which_fields_were_given() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let case = include_str!("cases/B50-oneof-null.http");
    let refused = asked(&stage, case, &[("TOKEN", ada.token())]).await;
    let error = &refused["errors"][0];
    let message = error["message"].as_str().unwrap();
    assert_eq!(error["extensions"]["code"], "BAD_REQUEST", "{refused}");
    assert!(message.starts_with("input.pattern has debate (null), sequential: "), "{message}");
    assert!(message.contains("leave the others out"), "{message}");

    let start = "mutation($i: StartOrchestrationInput!) { startOrchestration(input: $i) { userErrors { code } } }";
    let line = json!({ "task": "t", "agents": [{ "name": "a", "systemPrompt": "s" }] });
    for (pattern, words) in [
        (json!({}), "input.pattern is empty: give exactly one of debate, "),
        (json!({ "sequential": null }), "input.pattern has sequential (null): "),
        (
            json!({ "sequential": line, "routing": null, "design": null }),
            "design (null), routing (null), sequential: ",
        ),
        (json!({ "sequential": line, "swordfish": 1 }), "a field that does not exist"),
    ] {
        let answer = ada.send(start, json!({ "i": { "pattern": pattern } })).await;
        assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1, "{}", answer.text);
        assert!(answer.message().contains(words), "{}", answer.message());
        assert!(!answer.text.contains("swordfish") && answer.code() == "BAD_REQUEST");
    }
    let written = "mutation($l: SequentialInput, $d: DebateInput) { startOrchestration(input: { pattern: { sequential: $l, debate: $d } }) { userErrors { code } } }";
    let message = ada.send(written, json!({ "l": line })).await.message();
    assert!(message.contains("sequential, debate (null)"), "{message}");
    stage.close().await;
}

/// A client that sends its token with every request must be able to get the next one, whatever its
/// documents look like.
#[tokio::test]
async fn a_refresh_in_a_fragment_needs_no_valid_token() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let expired = ada.with_token("expired");
    let login = "mutation($i: LoginInput!) { ...F } fragment F on Mutation { login(input: $i) { accessToken } }";
    let input =
        json!({ "usernameOrEmail": "ada", "password": crate::harness::person::password("ada") });
    let data = expired.ask(login, json!({ "i": input })).await;
    assert!(data["login"]["accessToken"].is_string());
    let more = "mutation($i: LoginInput!) { ...F createStreamTicket { ticket } } fragment F on Mutation { login(input: $i) { accessToken } }";
    assert_eq!(expired.send(more, json!({ "i": input })).await.status, 401);
    stage.close().await;
}
