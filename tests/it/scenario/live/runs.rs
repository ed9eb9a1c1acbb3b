//! Orchestrations over GraphQL: started, followed over a socket, stopped, listed, added up.

use crate::harness::client::Client;
use crate::harness::socket::Socket;
use crate::scenario::stage::{Stage, on_every_store};
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Ending, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every message that a subscriber of a run may receive.
pub(in crate::scenario) const FEED: &str = "subscription($id: ID!, $after: Cursor) { orchestration(id: $id, after: $after) { __typename \
    ... on Snapshot { cursor orchestration { state } partial { stepId attempt text } } \
    ... on EventMessage { cursor event { type } step { id state } } \
    ... on TextDelta { cursor stepId attempt agent offset text } \
    ... on AttemptSuperseded { cursor stepId attempt keepBytes reason } \
    ... on GapMarker { cursor steps { stepId attempt text } } \
    ... on Terminal { cursor state orchestration { output } } } }";

/// Every field of a run.
const WHOLE: &str = "query($id: ID!, $from: DateTime!, $to: DateTime!) { orchestration(id: $id, minPosition: \"1\") { id pattern state title \
    pauseReason waiting { since until reason message } input output result createdAt startedAt finishedAt durationMs costNanoUsd cursor partial { text } \
    error { code message stepId upstreamStatus upstreamRequestId } resolution { chosen { source key { id } } } \
    usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } \
    steps { id agent role purpose round state attempt waiting { reason } fallback input output model stopReason usage { outputTokens } costNanoUsd firstTokenMs \
    durationMs error { code } } history(last: 1) { nodes { type } } } \
    viewer { orchestrations(first: 1, state: [COMPLETED], pattern: [SEQUENTIAL]) { totalCount pageInfo { hasNextPage } nodes { id } \
    edges { cursor node { title } } } \
    usage(from: $from, to: $to, groupBy: [KEY, MODEL, DAY, PATTERN]) { keyId model day pattern runs calls usage { inputTokens } costNanoUsd } \
    keys { nodes { id lastUsedAt usage(from: $from, to: $to) { calls } } } } }";

fn agents(task: &str) -> Value {
    json!({ "sequential": { "task": task, "agents": [
        { "name": "Ann", "systemPrompt": "You are Ann." }, { "name": "Ben", "systemPrompt": "You are Ben.", "role": "SPECIALIST" },
    ] } })
}

async fn start(client: &Client, task: &str) -> String {
    let input = json!({ "pattern": agents(task), "title": "Counting", "clientMutationId": "c" });
    let payload = client.done("startOrchestration", input).await;
    assert_eq!(payload["clientMutationId"], "c");
    payload["orchestration"]["id"].as_str().unwrap().to_owned()
}

/// Follows a run to its end; the text of each step, and the state it ended in.
async fn heard(
    stage: &Stage,
    client: &Client,
    id: &str,
) -> (BTreeMap<String, String>, Value, Value) {
    let mut socket = Socket::of(stage.address(), client).await;
    socket.subscribe("run", FEED, json!({ "id": id })).await;
    let mut texts = BTreeMap::<String, String>::new();
    loop {
        let message = socket.next_of("run").await["orchestration"].clone();
        let of_step = |message: &Value| message["stepId"].as_str().unwrap().to_owned();
        match message["__typename"].as_str().unwrap() {
            "Snapshot" => {
                let partial = message["partial"].as_array().unwrap().iter();
                texts.extend(
                    partial.map(|one| (of_step(one), one["text"].as_str().unwrap().to_owned())),
                );
            }
            "TextDelta" => texts
                .entry(of_step(&message))
                .or_default()
                .push_str(message["text"].as_str().unwrap()),
            "EventMessage" => {}
            "Terminal" => {
                assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "run" }));
                return (texts, message["state"].clone(), message["cursor"].clone());
            }
            other => panic!("nothing was cut, and yet there is {other}"),
        }
    }
}

/// A run to its end, and one that is stopped in its middle.
pub(in crate::scenario) async fn runs(stage: &Stage, client: &Client) {
    let default = client.add("for runs", &key(Scenario::Good, 77)).await;
    client.done("setDefaultKey", json!({ "id": default })).await;
    let id = start(client, "Count to three.").await;
    let (texts, ended, end) = heard(stage, client, &id).await;
    assert_eq!(ended, "COMPLETED");
    let mut socket = Socket::of(stage.address(), client).await;
    socket.subscribe("end", FEED, json!({ "id": id, "after": end })).await;
    assert_eq!(
        socket.hear().await,
        json!({ "type": "complete", "id": "end" }),
        "nothing follows the end"
    );
    whole(stage, client, &id, &default, &texts).await;

    let hanging = Reply { ending: Ending::HangAfter(1), ..Reply::default() };
    stage.simulator().script().on_prompt("Hang on.", Act::Reply(hanging));
    let id = start(client, "Hang on.").await;
    socket.subscribe("run", FEED, json!({ "id": id })).await;
    // The snapshot may have the text already.
    while !socket.next_of("run").await.to_string().contains("\"text\":\"") {}
    for mutation in ["pauseOrchestration", "resumeOrchestration", "cancelOrchestration"] {
        let payload = client.done(mutation, json!({ "id": id })).await;
        assert!(
            payload["commit"]["stream"].as_str().unwrap().starts_with("run-control/"),
            "{mutation}"
        );
    }
    let (_, ended, _) = heard(stage, client, &id).await;
    assert_eq!(ended, "CANCELLED");
    let refused = client.run("resumeOrchestration", json!({ "id": id })).await;
    assert_eq!(refused["userErrors"][0]["code"], "CONFLICT");
}

/// The run that is shown has the texts that were received.
async fn whole(
    stage: &Stage,
    client: &Client,
    id: &str,
    default: &str,
    texts: &BTreeMap<String, String>,
) {
    let (from, to) = (stage.in_ms(0), stage.in_ms(1));
    let data = client.ask(WHOLE, json!({ "id": id, "from": from, "to": to })).await;
    let run = &data["orchestration"];
    assert_eq!(
        (&run["state"], &run["title"], &run["error"]),
        (&json!("COMPLETED"), &json!("Counting"), &Value::Null)
    );
    assert_eq!(run["input"]["sequential"]["task"], "Count to three.");
    assert_eq!(
        run["resolution"]["chosen"],
        json!({ "source": "DEFAULT_KEY", "key": { "id": default } })
    );
    for step in run["steps"].as_array().unwrap() {
        assert_eq!(
            step["output"].as_str(),
            texts.get(step["id"].as_str().unwrap()).map(String::as_str)
        );
    }
    assert_eq!(run["output"], run["steps"][1]["output"]);
    assert_eq!(run["result"]["final_result"], run["output"]);
    assert_eq!(
        run["history"]["nodes"],
        json!([{ "type": "RunRequested" }]),
        "the last of a list that is newest first"
    );
    let viewer = &data["viewer"];
    assert_eq!(viewer["orchestrations"]["nodes"], json!([{ "id": id }]));
}

#[tokio::test]
async fn a_run_is_asked_for_followed_stopped_and_listed() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        runs(stage, &ada).await;
        let bob = stage.user("bob").await;
        let id = start(&ada, "Count to four.").await;
        heard(stage, &ada, &id).await;
        let query = "query($id: ID!) { orchestration(id: $id) { id } node(id: $id) { id } }";
        assert_eq!(
            bob.ask(query, json!({ "id": id })).await,
            json!({ "orchestration": null, "node": null })
        );
        for mutation in ["cancelOrchestration", "pauseOrchestration", "resumeOrchestration"] {
            let refused = bob.run(mutation, json!({ "id": id })).await;
            assert_eq!(refused["userErrors"][0]["code"], "NOT_FOUND", "{mutation}");
        }
        let mut socket = Socket::of(stage.address(), &bob).await;
        socket.subscribe("run", FEED, json!({ "id": id })).await;
        let refused = socket.hear().await;
        assert_eq!(refused["payload"][0]["extensions"]["code"], "NOT_FOUND", "{refused}");
    })
    .await;
}
