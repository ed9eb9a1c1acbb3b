//! The bytes of an answer, and how often objects are read for it.

use super::fakes::{World, answer, follow};
use super::story::{OWNER, RUN, Story};
use async_graphql::Value as Shown;
use claviger_application::ids::{self, IdKind};
use claviger_domain::orchestration::{Agent, AgentRole, Block, Definition, Work};
use claviger_graphql::answer::AnswerBudget;
use serde_json::{Value, json};
use std::sync::Arc;

/// A run whose task has this text.
fn with_task(text: String) -> Arc<World> {
    let agent = Agent {
        name: "Ada".to_owned(),
        system_prompt: String::new(),
        role: AgentRole::Worker,
        model: None,
        max_tokens: None,
    };
    let work = Work::Sequential { task: vec![Block::Text { text }], sequence: vec![0] };
    let story = Story::of(RUN, Definition { agents: vec![agent], work });
    Arc::new(World::of(story.claimed().planned()))
}

const INPUTS: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Orchestration { input } } }";

fn ids(count: usize) -> Value {
    json!({ "ids": vec![ids::encode(IdKind::Orchestration, RUN.0); count] })
}

#[test]
fn a_run_that_is_named_a_hundred_times_is_read_once() {
    let world = with_task("Count.".to_owned());
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Orchestration { input title } } \
                 other: nodes(ids: $ids) { id } }";
    let (answered, _) = answer(&world, query, ids(100), &AnswerBudget::default());
    assert!(answered.errors.is_empty(), "{:?}", answered.errors);
    assert_eq!(world.times("run "), 1);
}

#[test]
fn a_position_to_wait_for_is_not_answered_from_an_earlier_read() {
    let world = with_task("Count.".to_owned());
    let query = "query($id: ID!) { a: orchestration(id: $id) { id } \
                 b: orchestration(id: $id, minPosition: \"7\") { id } c: orchestration(id: $id) { id } }";
    let id = json!({ "id": ids::encode(IdKind::Orchestration, RUN.0) });
    answer(&world, query, id, &AnswerBudget::default());
    assert_eq!((world.times("reach 7"), world.times("run ")), (1, 2));
}

#[test]
fn an_answer_that_grows_too_large_is_refused_as_a_whole_and_soon() {
    let world = with_task("\u{1}".repeat(10_000));
    // As JSON, each of these characters has six bytes.
    let size = 60_000;
    let (fits, _) = answer(&world, INPUTS, ids(4), &AnswerBudget::new(4 * size + 4_000));
    assert!(fits.errors.is_empty());
    assert!(serde_json::to_vec(&fits.data).unwrap().len() > 4 * size);
    let (refused, _) = answer(&world, INPUTS, ids(90), &AnswerBudget::new(4 * size + 4_000));
    assert_eq!(refused.data, Shown::Null);
    let [error] = refused.errors.as_slice() else { panic!("one error: {:?}", refused.errors) };
    assert!(error.message.contains("the answer is larger than the limit of 244000 bytes"));
    assert_eq!(
        error.extensions.as_ref().and_then(|extensions| extensions.get("code")),
        Some(&Shown::from("LIMIT_EXCEEDED"))
    );
    assert!(error.path.is_empty(), "nothing of it was executed for the client");
}

#[test]
fn the_items_of_a_list_count_even_without_texts() {
    let world = with_task("Count.".to_owned());
    let query = "query($id: ID!) { orchestration(id: $id) { steps { id state attempt } } }";
    let id = json!({ "id": ids::encode(IdKind::Orchestration, RUN.0) });
    let (fits, _) = answer(&world, query, id.clone(), &AnswerBudget::new(1_000));
    assert!(fits.errors.is_empty(), "{:?}", fits.errors);
    let (refused, _) = answer(&world, query, id, &AnswerBudget::new(100));
    assert_eq!((refused.data, refused.errors.len()), (Shown::Null, 1));
}

#[test]
fn a_large_answer_is_made_in_parts_between_which_the_thread_is_free() {
    let world = with_task("x".repeat(250_000));
    let (answered, polls) = answer(&world, INPUTS, ids(30), &AnswerBudget::default());
    assert!(answered.errors.is_empty());
    assert!(polls * 1024 * 1024 > 30 * 250_000, "{polls} polls: at most a megabyte in each");
}

#[test]
fn each_message_of_a_subscription_has_a_budget_of_its_own() {
    // Together, the snapshot and the end are larger than one budget.
    let world = with_task("x".repeat(5_000_000));
    let id = ids::encode(IdKind::Orchestration, RUN.0);
    let query = format!(
        "subscription {{ orchestration(id: \"{id}\") {{ \
         ... on Snapshot {{ orchestration {{ input }} }} ... on EventMessage {{ event {{ content }} }} }} }}"
    );
    let (items, _) = follow(OWNER, &world, &query, None);
    assert!(!items.is_empty());
    assert!(items.iter().all(|item| item.get("errors").is_none()), "no message is refused");
}
