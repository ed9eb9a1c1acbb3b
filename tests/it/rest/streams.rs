//! Streams: the order of their events, and every character once, whoever leaves and comes back.

use super::caller::{Caller, Stage, requests};
use super::shapes::{lacks, recorded};
use crate::harness::client::Answer;
use crate::harness::stores::StoreKind;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;

/// The events of a stream with their ids, as a client reads them that splits it by newlines.
pub(super) fn events(text: &str) -> Vec<(String, Value)> {
    let (mut found, mut id) = (Vec::new(), String::new());
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("id: ") {
            text.clone_into(&mut id);
        } else if let Some(data) = line.strip_prefix("data: ") {
            found.push((id.clone(), serde_json::from_str(data).unwrap()));
        }
    }
    found
}

/// An event as the recorded order writes it.
fn word(event: &Value) -> Option<String> {
    let of = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    match of("type").as_str() {
        "chunk" => None,
        "status" => {
            let timed = if event.get("duration_ms").is_some() { "+ms" } else { "" };
            Some(format!("status:{}:{}{timed}", of("agent"), of("data")))
        }
        other => Some(other.to_owned()),
    }
}

/// The words of each agent, in their order: who works side by side has no order among them.
fn by_agent(words: &[String]) -> BTreeMap<&str, Vec<&str>> {
    let mut agents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for word in words {
        let agent = word.split(':').nth(1).unwrap_or_default();
        agents.entry(agent).or_default().push(word);
    }
    agents
}

async fn stream(caller: &Caller, pattern: &str, request: &Value) -> Vec<(String, Value)> {
    let path = format!("/api/orchestration/{pattern}/stream");
    let answer = Answer::of(caller.request(Method::POST, &path).json(request)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("x-accel-buffering"), "no");
    events(&answer.text)
}

/// The text of the chunks, by agent.
pub(super) fn texts(events: &[(String, Value)]) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (_, event) in events.iter().filter(|(_, event)| event["type"] == "chunk") {
        let agent = event["agent"].as_str().unwrap_or_default().to_owned();
        texts.entry(agent).or_default().push_str(event["data"].as_str().unwrap());
    }
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_pattern_streams_as_recorded_and_resumes_after_any_event() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let ada = stage.user("ada").await;
        for (pattern, request) in requests() {
            let told = stream(&ada, pattern, &request).await;
            let expected = &recorded()[format!("{pattern}/stream")];
            let words: Vec<String> = told.iter().filter_map(|(_, event)| word(event)).collect();
            let order: Vec<String> = serde_json::from_value(expected["order"].clone()).unwrap();
            assert_eq!(by_agent(&words), by_agent(&order), "{pattern}: {words:#?}");
            assert_eq!((words.first(), words.last()), (order.first(), order.last()));
            for (_, event) in &told {
                let mut shape = expected["shapes"][event["type"].as_str().unwrap()].clone();
                // Only some have it, which the order says.
                if let Some(shape) = shape.as_object_mut().filter(|_| event["type"] == "status") {
                    shape.remove("duration_ms");
                }
                assert_eq!(lacks(event, &shape, pattern), Vec::<String>::new(), "{event:#}");
            }
            adds_up(pattern, &told);
            resumes(&ada, &told).await;
        }
        stage.close().await;
    }
}

/// Every character of the chunks is in the result, and the other way round.
fn adds_up(pattern: &str, told: &[(String, Value)]) {
    let result = &told.last().unwrap().1["result"];
    let texts = texts(told);
    let last = |of: &str| texts[of].clone();
    match pattern {
        "sequential" => {
            assert_eq!(result["agent_results"]["a"], last("a"));
            assert_eq!(result["final_result"], last("b"));
        }
        "debate" => {
            let said = |agent: &str| -> String {
                let history = result["debate_history"].as_array().unwrap();
                let own = history.iter().filter(|one| one["agent"] == agent);
                own.map(|one| one["statement"].as_str().unwrap()).collect()
            };
            assert_eq!((said("x"), said("y")), (last("x"), last("y")));
        }
        "hierarchical" => assert_eq!(result["worker_results"]["w1"], last("w1")),
        "parallel" => assert_eq!(result["aggregated_result"], last("g")),
        "routing" => assert_eq!(result["results"]["s2"], last("s2")),
        other => panic!("{other}"),
    }
}

/// Whoever comes back after an event gets exactly the rest. Text may come in other pieces.
async fn resumes(ada: &Caller, told: &[(String, Value)]) {
    let id = told[0].1["execution_id"].as_str().unwrap();
    let path = format!("/api/orchestration/executions/{id}/stream");
    let whole = events(&ada.get(&path).await.text);
    assert_eq!(joined(&whole), joined(told));
    for cut in 0..told.len() - 1 {
        let request = ada.request(Method::GET, &path).header("last-event-id", &told[cut].0);
        let rest = events(&Answer::of(request).await.text);
        assert_eq!(joined(&rest), joined(&told[cut + 1..]), "after {}", told[cut].0);
    }
    let wrong = ada.request(Method::GET, &path).header("last-event-id", "nonsense");
    assert_eq!(Answer::of(wrong).await.status, 400);
}

/// The events, and the text of the chunks between two of them as one.
fn joined(events: &[(String, Value)]) -> Vec<(BTreeMap<String, String>, Value)> {
    let mut parts = Vec::new();
    let mut chunks = Vec::new();
    for (id, event) in events {
        if event["type"] == "chunk" {
            chunks.push((id.clone(), event.clone()));
        } else {
            parts.push((texts(&chunks), event.clone()));
            chunks.clear();
        }
    }
    parts
}
