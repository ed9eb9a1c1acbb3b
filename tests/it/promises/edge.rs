//! Lengths, costs and sizes of answers at the edge of the schema.

use crate::harness::client::{Answer, Client, MODERN};
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::id::write_hex;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes of the task that the review used.
const TASK: usize = 250_000;

const INPUTS: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Orchestration { input } } }";

async fn world() -> (World, Process, Client) {
    let world = World::open(StoreKind::Sqlite).await;
    let server = world.serve().await;
    let ada = Client::register(&format!("http://{}", server.address()), "ada").await;
    (world, server, ada)
}

/// A run with a large task; its id.
async fn large_run(ada: &Client) -> String {
    ada.add("work", &key(Scenario::Good, 1)).await;
    let key = ada.ask("{ viewer { keys { nodes { id } } } }", json!({})).await;
    let key = key["viewer"]["keys"]["nodes"][0]["id"].clone();
    let agents = json!([{ "name": "Ann", "systemPrompt": "You are Ann." }]);
    let pattern = json!({ "sequential": { "task": "x".repeat(TASK), "agents": agents } });
    let payload = ada.done("startOrchestration", json!({ "pattern": pattern, "keyId": key })).await;
    payload["orchestration"]["id"].as_str().unwrap().to_owned()
}

fn ids(id: &str, count: usize) -> Value {
    json!({ "ids": vec![id; count] })
}

fn refused(answer: &Answer, code: &str, words: &str) {
    let summary = answer.text.get(..300).unwrap_or(&answer.text);
    assert_eq!((answer.status, answer.code().as_str()), (400, code), "{summary}");
    assert!(answer.json().get("data").is_none(), "{summary}");
    assert!(answer.message().contains(words), "{summary}");
}

#[tokio::test]
async fn seven_kilobytes_do_not_get_twenty_five_megabytes() {
    let (world, server, ada) = world().await;
    let id = large_run(&ada).await;
    let literal =
        format!("{{ nodes(ids: {:?}) {{ ... on Orchestration {{ input }} }} }}", vec![&id; 100]);
    assert!(literal.len() < 8_000);
    for (query, variables) in [(literal.as_str(), json!({})), (INPUTS, ids(&id, 100))] {
        refused(&ada.send(query, variables).await, "LIMIT_EXCEEDED", "complexity points");
    }
    // Within the points, the bytes are what ends it: the answer is refused while it is made.
    let answer = ada.send(INPUTS, ids(&id, 90)).await;
    refused(&answer, "LIMIT_EXCEEDED", "larger than the limit of 8388608 bytes");
    let fits = ada.send(INPUTS, ids(&id, 30)).await;
    assert_eq!((fits.status, fits.code().as_str()), (200, ""));
    assert!(fits.text.len() > 30 * TASK && fits.text.len() < 8 * 1024 * 1024);
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn the_requests_of_a_batch_share_the_bytes_of_one_answer_and_its_points() {
    let (world, server, ada) = world().await;
    let id = large_run(&ada).await;
    let send = async |batch: Vec<Value>| {
        let answer = ada.post(Value::from(batch).to_string(), "application/json").await;
        assert!(answer.text.len() < 8 * 1024 * 1024, "{} bytes", answer.text.len());
        let codes = answer.json().as_array().unwrap().clone().into_iter();
        let code =
            |item: Value| item["errors"][0]["extensions"]["code"].as_str().map(str::to_owned);
        codes.map(code).collect::<Vec<_>>()
    };
    let many = |count: usize| json!({ "query": INPUTS, "variables": ids(&id, count) });
    let limit = Some("LIMIT_EXCEEDED".to_owned());
    let codes = send(vec![many(20), many(20), json!({ "query": "{ viewer { id } }" })]).await;
    assert_eq!(codes, [None, limit.clone(), limit.clone()], "bytes");
    let codes = send(vec![many(0), json!({ "query": "{ viewer { id } }" }), many(2)]).await;
    assert_eq!(codes, [None, None, None]);
    let page = "{ viewer { history(first: 100) { nodes { id type at } } } }";
    let codes = send(vec![json!({ "query": page }); 10]).await;
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 10, "points");
    let pages = "{ viewer { history(first: 100) { nodes { id type at position version schema commandId } } } }";
    let codes = send(vec![json!({ "query": pages }); 10]).await;
    assert_eq!((codes[0].clone(), codes[9].clone()), (None, limit.clone()), "points");
    // Introspection has no points of the schema's fields, and its own are shared too.
    let schema = "{ __schema { types { fields { name type { ...T } args { name type { ...T } } } } } } \
                  fragment T on __Type { name ofType { name ofType { name ofType { name ofType { name } } } } }";
    let codes = send(vec![json!({ "query": schema }); 10]).await;
    assert_eq!((codes[0].clone(), codes[9].clone()), (None, limit.clone()), "introspection");
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn no_text_or_list_comes_in_without_a_bound() {
    let (world, server, ada) = world().await;
    let nobody = Client::new(ada.url());
    let long = "n".repeat(900_000);
    let login = json!({ "usernameOrEmail": long, "password": "p" });
    let register =
        json!({ "username": "bob", "email": "b@example.org", "password": "p", "fullName": long });
    for (mutation, input, words) in [
        ("login", login, "input.usernameOrEmail has 900000 bytes: at most 1024 are allowed"),
        ("register", register, "input.fullName has 900000 bytes"),
        ("logout", json!({ "clientMutationId": long }), "input.clientMutationId has 900000"),
        ("login", json!({ "usernameOrEmail": "ada", "password": long }), "input.password has"),
        ("refreshSession", json!({ "refreshToken": long }), "input.refreshToken has 900000"),
    ] {
        let answer = nobody.send_mutation(mutation, input).await;
        refused(&answer, "VALIDATION", words);
        assert!(!answer.text.contains("nnn"), "the answer repeats the text");
    }
    let add = |field: &str| {
        let mut input = json!({ "name": "n", "secret": key(Scenario::Good, 2) });
        input[field] = Value::from(long.clone());
        input
    };
    for field in ["name", "secret", "context", "expiresAt", "idempotencyKey"] {
        let answer = ada.send_mutation("addKey", add(field)).await;
        refused(&answer, "VALIDATION", &format!("input.{field} has 900000 bytes"));
    }
    let history = "query($t: [String!]) { viewer { history(types: $t) { nodes { id } } } }";
    let kinds = |kind: &str, count: usize| json!({ "t": vec![kind; count] });
    refused(
        &ada.send(history, kinds("01234567890123456789", 36_000)).await,
        "VALIDATION",
        "types has 36000 items",
    );
    let answer = ada.send(history, kinds("NoSuchEvent", 1)).await;
    assert_eq!((answer.code().as_str(), answer.status), ("VALIDATION", 200));
    assert_eq!(ada.send(history, kinds("AccountRegistered", 64)).await.code(), "");
    // A variable that no argument takes is not kept.
    let unused = json!({ "id": "x", "more": long });
    assert_eq!(ada.send("query($id: ID!) { node(id: $id) { id } }", unused).await.code(), "");
    let alias = format!("{{ viewer {{ {}: id }} }}", "a".repeat(1_000));
    refused(&ada.send(&alias, json!({})).await, "LIMIT_EXCEEDED", "bytes of a name reach 1000");
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn what_a_subscription_keeps_of_its_request_is_bounded() {
    let (world, server, ada) = world().await;
    let stream = async |query: &str, variables: Value| {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = ada.to_graphql().header("accept", "text/event-stream");
        let request = request.header("content-type", "application/json").body(body);
        request.send().await.unwrap()
    };
    let events = "subscription($t: [String!]) { viewerEvents(types: $t) { cursor } }";
    let flood = json!({ "t": vec!["01234567890123456789"; 36_000] });
    let filler = format!("{events} # {}", "x".repeat(16 * 1024));
    for (query, variables, words) in [
        (events, flood, "types has 36000 items: at most 64 are allowed"),
        (events, json!({ "t": ["NoSuchEvent"] }), "not an event type"),
        (filler.as_str(), json!({}), "bytes of a subscription reach"),
    ] {
        let answer = stream(query, variables).await;
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 400, "{text}");
        assert!(text.contains(words), "{text}");
    }
    let begun = stream(events, json!({ "t": ["KeyAdded"] })).await;
    assert_eq!(begun.status().as_u16(), 200);
    drop(begun);
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn a_persisted_text_with_a_literal_runs_and_is_not_kept() {
    let (world, server, ada) = world().await;
    let hash = |text: &str| {
        let mut hex = String::new();
        write_hex(&mut hex, &Sha256::digest(text)).unwrap();
        hex
    };
    let send = async |query: Option<&str>, of: &str| {
        let persisted = json!({ "version": 1, "sha256Hash": hash(of) });
        let body = json!({ "query": query, "extensions": { "persistedQuery": persisted } });
        ada.post(body.to_string(), "application/json").await
    };
    let plain = "{ viewer { id } }";
    assert_eq!(send(Some(plain), plain).await.code(), "");
    assert_eq!(send(None, plain).await.code(), "", "kept");
    for words in [
        "{ viewer { resolution(context: \"my divorce\") { candidates { reason } } } }",
        "{ viewer { id } } # my divorce",
    ] {
        assert_eq!(send(Some(words), words).await.code(), "", "{words}");
        assert_eq!(send(None, words).await.code(), "PERSISTED_QUERY_NOT_FOUND", "{words}");
    }
    server.stop().await;
    world.close().await;
}

/// Requests of a user that are worked on at once, and that may wait for it.
const AT_ONCE: usize = 16;
const WAITING: usize = 64;

#[tokio::test]
async fn a_user_with_many_requests_at_work_is_refused_and_others_are_not() {
    let (mut world, server, ada) = world().await;
    let bob = Client::register(ada.url(), "bob").await;
    let secret = key(Scenario::Hang, 1);
    let id = ada.add("slow", &secret).await;
    let mut tests: FuturesUnordered<_> =
        (0..AT_ONCE).map(|_| ada.send_mutation("testKey", json!({ "id": id }))).collect();
    let counts = world.simulator().counts().clone();
    tokio::select! {
        () = counts.wait(|counts| counts.of_key(&secret) == AT_ONCE as u64) => {}
        answer = tests.next() => panic!("a hanging test was answered: {answer:?}"),
    }
    let who = || ada.send("{ viewer { id } }", json!({}));
    let mut waiting: FuturesUnordered<_> = (0..=WAITING).map(|_| who()).collect();
    let first = tokio::select! {
        answer = waiting.next() => answer.unwrap(),
        answer = tests.next() => panic!("a hanging test was answered: {answer:?}"),
    };
    assert_eq!((first.status, first.code().as_str()), (429, "RATE_LIMITED"), "{}", first.text);
    assert_eq!(first.header("retry-after"), "1");
    assert_eq!(bob.send("{ viewer { id } }", json!({})).await.status, 200, "another user");
    world.stop_simulator().await;
    let (tests, waiting) = tokio::join!(tests.collect::<Vec<_>>(), waiting.collect::<Vec<_>>());
    assert!(
        tests.iter().chain(&waiting).all(|answer| answer.status == 200),
        "the rest had its turn"
    );
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn secrets_among_the_variables_arrive_as_they_were_sent() {
    let (world, server, ada) = world().await;
    // Alone, in an input object, and as a variable inside a literal object.
    let secret = key(Scenario::Good, 7);
    for (n, query) in [
        "mutation($i: AddKeyInput!) { addKey(input: $i) { key { preview } userErrors { message } } }",
        "mutation($n: String!, $s: Secret!) { addKey(input: { name: $n, secret: $s }) { key { preview } userErrors { message } } }",
    ]
    .iter()
    .enumerate()
    {
        let secret = key(Scenario::Good, 10 + u64::try_from(n).unwrap());
        let (name, input) = (format!("k{n}"), json!({ "name": format!("k{n}"), "secret": secret }));
        let data = ada.ask(query, json!({ "i": input, "n": name, "s": secret })).await;
        assert_eq!(data["addKey"]["userErrors"], json!([]));
    }
    let body = json!({ "query": "mutation($s: Secret!) { refreshSession(input: { refreshToken: $s }) { userErrors { code } } }",
                       "variables": { "s": secret } });
    let answer = Answer::of(ada.to_graphql().header("accept", MODERN).json(&body)).await;
    assert_eq!(answer.data()["refreshSession"]["userErrors"][0]["code"], "UNAUTHENTICATED");
    server.stop().await;
    world.close().await;
}
