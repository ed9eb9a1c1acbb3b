//! What begins while Anthropic accepts connections and answers nothing.

use crate::harness::client::Client;
use crate::harness::socket::soon;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::secret::SecretText;
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn start(ada: &Client, model: Option<&str>) -> Value {
    let agents = json!([{ "name": "Ann", "systemPrompt": "You are Ann." }]);
    let pattern = json!({ "sequential": { "task": "Tea?", "agents": agents } });
    ada.done("startOrchestration", json!({ "pattern": pattern, "model": model })).await
}

#[tokio::test]
async fn runs_on_the_operators_key_begin_although_the_list_of_models_never_comes() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.drain_ms = 200;
    world.config.anthropic_api_key = Some(SecretText::new(key(Scenario::Hang, 1)));
    let server = world.serve().await;
    let ada = Client::register(&format!("http://{}", server.address()), "ada").await;
    let began = Instant::now();
    let models = async {
        let listed = ada.ask("{ models { id } }", json!({})).await;
        assert!(!listed["models"].as_array().unwrap().is_empty(), "the built-in list");
    };
    let runs = join_all((0..60).map(|_| start(&ada, Some("claude-of-tomorrow"))));
    let (runs, ()) = soon(async { tokio::join!(runs, models) }).await;
    assert_eq!(runs.len(), 60);
    // One request, on which all wait for two seconds; before, each made its own, of thirty.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let asked = || world.simulator().counts().of(&key(Scenario::Hang, 1), Endpoint::Models);
    assert_eq!(asked(), 1);
    // What begins next waits for nothing.
    start(&ada, None).await;
    assert_eq!(asked(), 1);
    server.stop().await;
    world.close().await;
}
