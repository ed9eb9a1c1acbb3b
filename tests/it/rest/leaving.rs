//! Streams that end early: their client goes, the server goes, the session goes, the run goes.

use super::caller::{Caller, Stage, requests};
use super::streams::{events, texts};
use crate::harness::client::Answer;
use crate::harness::stores::StoreKind;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const TEXT: &str = "What nobody hears twice, and what everybody hears once.";

/// The first agent's reply stops after some pieces until the gate opens.
fn held(stage: &Stage) -> Gate {
    let gate = Gate::default();
    let reply = Reply { chunk_chars: 5, gate: Some((3, gate.clone())), ..Reply::text(TEXT) };
    stage.world.simulator().script().on_prompt("You are a.", Act::Reply(reply));
    gate
}

/// A stream that was begun.
struct Begun {
    response: Response,
    text: String,
}

impl Begun {
    async fn of(caller: &Caller) -> Self {
        let path = "/api/orchestration/sequential/stream";
        let request = caller.request(Method::POST, path).json(&requests().remove(0).1);
        Self { response: request.send().await.unwrap(), text: String::new() }
    }

    /// Reads on until a client has seen this much of the first agent's text.
    async fn until(&mut self, chars: usize) -> Vec<(String, Value)> {
        loop {
            let whole = self.text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
            let told = events(whole);
            if texts(&told).get("a").is_some_and(|text| text.len() >= chars) {
                return told;
            }
            let more = self.response.chunk().await.unwrap().expect("more of the stream");
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// What comes until the server ends it.
    async fn rest(mut self) -> Vec<(String, Value)> {
        while let Ok(Some(more)) = self.response.chunk().await {
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
        events(&self.text)
    }
}

fn id_of(told: &[(String, Value)]) -> String {
    told[0].1["execution_id"].as_str().unwrap().to_owned()
}

async fn after(caller: &Caller, told: &[(String, Value)]) -> Vec<(String, Value)> {
    let path = format!("/api/orchestration/executions/{}/stream", id_of(told));
    let last = &told.last().unwrap().0;
    let request = caller.request(Method::GET, &path).header("last-event-id", last);
    events(&Answer::of(request).await.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_cancels_nothing_and_gets_the_rest_afterwards() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let (ada, gate) = (stage.user("ada").await, held(&stage));
        let mut begun = Begun::of(&ada).await;
        let mut told = begun.until(15).await;
        drop(begun);
        gate.open();
        told.extend(after(&ada, &told).await);
        assert_eq!(told.last().unwrap().1["type"], "complete");
        assert_eq!(texts(&told)["a"], TEXT);
        assert_eq!(told.last().unwrap().1["result"]["agent_results"]["a"], TEXT);
        assert_eq!(stage.world.simulator().counts().of_key(&key(Scenario::Good, 1)), 2);
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_ends_the_call_and_the_stream() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, _gate) = (stage.user("ada").await, held(&stage));
    let mut begun = Begun::of(&ada).await;
    let told = begun.until(15).await;
    let path = format!("/api/orchestration/executions/{}", id_of(&told));
    let answer = ada.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!((answer.status, &answer.json()["success"]), (200, &json!(true)));
    let told = begun.rest().await;
    let last = &told.last().unwrap().1;
    assert_eq!(
        (&last["type"], &last["error"]),
        (&json!("error"), &json!("the orchestration was cancelled"))
    );
    // The gate is closed: the call ends only because it is cut.
    stage.world.simulator().counts().wait(|counts| counts.open() == 0).await;
    assert_eq!(ada.get(&path).await.json()["status"], "cancelled");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_cuts_its_streams_and_not_its_runs() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, gate) = (stage.user("ada").await, held(&stage));
    let mut begun = Begun::of(&ada).await;
    begun.until(15).await;
    assert_eq!(ada.post("/api/auth/logout", &json!({})).await.status, 200);
    let told = begun.rest().await;
    assert_eq!(told.last().unwrap().1["type"], "chunk", "cut without a last event");
    let path = format!("/api/orchestration/executions/{}/stream", id_of(&told));
    assert_eq!(ada.get(&path).await.status, 401);
    gate.open();
    let login = json!({ "username_or_email": "ada", "password": "a long password" });
    let answer = stage.guest().post("/api/auth/login", &login).await;
    let again = ada.with(answer.json()["access_token"].as_str().unwrap());
    let mut whole = told.clone();
    whole.extend(after(&again, &told).await);
    assert_eq!(texts(&whole)["a"], TEXT);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_in_mid_stream_leaves_a_run_whose_text_comes_once() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, _gate) = (stage.user("ada").await, held(&stage));
    // The same words again, whole, for the call after the crash.
    let again = Act::Reply(Reply { chunk_chars: 5, ..Reply::text(TEXT) });
    stage.world.simulator().script().on_prompt("You are a.", again);
    let mut begun = Begun::of(&ada).await;
    let told = begun.until(15).await;
    let Stage { world, server } = stage;
    server.vanish().await;
    drop(begun);
    let server = world.serve().await;
    let ada = ada.at(&server);
    let rest = after(&ada, &told).await;
    let retried = rest.iter().position(|(_, event)| event["data"] == "retrying");
    let retried = retried.expect("the attempt that the crash ended is superseded");
    assert_eq!(texts(&rest[retried..])["a"], TEXT);
    let last = &rest.last().unwrap().1;
    assert_eq!(
        (&last["type"], &last["result"]["agent_results"]["a"]),
        (&json!("complete"), &json!(TEXT))
    );
    server.stop().await;
    world.close().await;
}
