//! The subscription of an orchestration.

use super::fakes::{World, follow};
use super::story::{OWNER, RUN, STARTED_MS, Story, step};
use claviger_application::cursor::of_run_feed;
use claviger_application::ids::{IdKind, encode};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::Next;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::FeedCursor;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const ALL: &str = "__typename
    ... on Snapshot { cursor orchestration { state cursor title steps { agent input } partial { text } } partial { stepId attempt text } }
    ... on EventMessage { cursor event { id type stream version facts content } step { id agent state attempt input output } }
    ... on TextDelta { cursor stepId attempt agent offset text }
    ... on AttemptSuperseded { cursor stepId attempt keepBytes reason }
    ... on GapMarker { cursor steps { stepId attempt text } }
    ... on Terminal { cursor end: state orchestration { state output cursor partial { text } durationMs } }";

fn at(v: u64, d: u64, i: u32) -> String {
    of_run_feed(RUN, FeedCursor { v, d, i })
}

fn query(arguments: &str) -> String {
    let id = encode(IdKind::Orchestration, RUN.0);
    format!("subscription {{ orchestration(id: \"{id}\"{arguments}) {{ {ALL} }} }}")
}

/// The messages that a subscriber receives, all without errors, and the cursors passed.
fn told(world: &Arc<World>, arguments: &str) -> (Vec<Value>, Vec<String>) {
    let (items, passed) = follow(OWNER, world, &query(arguments), None);
    let message = |item: Value| {
        assert!(item.get("errors").is_none(), "{item:#}");
        item["data"]["orchestration"].clone()
    };
    (items.into_iter().map(message).collect(), passed)
}

fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["__typename"].as_str().unwrap()).collect()
}

/// A key that was refused once, a reply in two pieces, a lost row, and a reply without text.
fn story() -> Story {
    let story = Story::sequential().claimed().planned().started(0, 1).text(0, 1, 0, "Wr");
    let story = story.failed(0, 1, Next::Retry { at: Timestamp(1) }).started(0, 2);
    let story = story.text(0, 2, 0, "Zwö").text(0, 2, 4, "lf.").completed(0, 2, "Zwölf.");
    story.started(1, 1).lost_row().completed(1, 1, "").done()
}

#[test]
fn every_kind_of_message_arrives_in_order_after_its_cursor_was_passed() {
    let world = Arc::new(World::of(story()));
    let (messages, passed) = told(&world, &format!(", after: \"{}\"", at(0, 0, 0)));
    let expected = [
        "EventMessage",
        "EventMessage",
        "EventMessage",
        "EventMessage",
        "TextDelta",
        "EventMessage",
        "EventMessage",
        "AttemptSuperseded",
        "TextDelta",
        "TextDelta",
        "EventMessage",
        "EventMessage",
        "GapMarker",
        "EventMessage",
        "EventMessage",
        "Terminal",
    ];
    assert_eq!(kinds(&messages), expected);
    let cursors: Vec<_> =
        messages.iter().map(|message| message["cursor"].as_str().unwrap().to_owned()).collect();
    assert_eq!(passed.len(), cursors.len() + 1);
    assert_eq!((&passed[0], &passed[1..]), (&at(0, 0, 0), &cursors[..]));

    let (first, second) = (encode(IdKind::Step, step(0).0), encode(IdKind::Step, step(1).0));
    let delta = |cursor, offset, text: &str| json!({ "__typename": "TextDelta", "cursor": cursor, "stepId": first, "attempt": 2, "agent": "Ada", "offset": offset, "text": text });
    assert_eq!(messages[8..10], [delta(at(6, 1, 1), 0, "Zwö"), delta(at(6, 2, 1), 4, "lf.")]);
    let superseded = json!({
        "__typename": "AttemptSuperseded", "cursor": at(6, 0, 2), "stepId": first, "attempt": 1, "keepBytes": 0, "reason": "authentication",
    });
    assert_eq!(messages[7], superseded);
    let gap = json!({ "stepId": first, "attempt": 2, "text": "Zwölf." });
    assert_eq!(messages[12]["steps"], json!([gap]));
    let empty = json!({
        "id": second, "agent": "Bob", "state": "COMPLETED", "attempt": 1, "output": "No response",
        "input": "# Task\nCount.\n\n# Reply of Ada, who worked on it before you\nZwölf.",
    });
    assert_eq!(messages[13]["step"], empty);
    assert_eq!(messages[13]["event"]["content"], json!({ "text": "" }), "the event keeps it empty");
    // The cursor of the final state lies before the end, so that a client that subscribes after it
    // receives the end.
    let end = json!({ "state": "COMPLETED", "output": "No response", "cursor": at(10, 0, 1), "partial": [], "durationMs": 8000 });
    assert_eq!((&messages[15]["end"], &messages[15]["orchestration"]), (&json!("COMPLETED"), &end));
    assert_eq!(messages[15]["cursor"], at(10, 0, 2));
    assert_eq!(world.times(""), 1, "showing messages reads nothing: {:?}", world.asked);
}

#[test]
fn an_event_shows_its_facts_with_global_ids_and_its_content() {
    let world = Arc::new(World::of(story()));
    let (messages, _) = told(&world, &format!(", after: \"{}\"", at(3, 0, 1)));
    let event = &messages[2]["event"];
    assert_eq!(
        (&event["type"], &event["stream"], &event["version"]),
        (&json!("StepAttemptFailed"), &json!(format!("run/{RUN}")), &json!("5"))
    );
    assert_eq!(event["id"], encode(IdKind::Event, Uuid::from_u128(1005)));
    assert_eq!(event["facts"]["run"], encode(IdKind::Orchestration, RUN.0));
    assert_eq!(event["facts"]["step"], encode(IdKind::Step, step(0).0));
    assert_eq!(event["facts"]["credential"]["key"], encode(IdKind::ApiKey, super::story::KEY.0));
    assert_eq!(
        event["content"],
        json!({ "message": "the key was refused", "upstream_request_id": "req_1" })
    );
    assert_eq!(messages[2]["step"]["state"], "WAITING");
}

#[test]
fn without_a_cursor_a_snapshot_comes_first_and_matches_its_cursor() {
    let world = Arc::new(World::of(
        Story::sequential().claimed().planned().started(0, 1).text(0, 1, 0, "Zw"),
    ));
    let (messages, passed) = told(&world, "");
    let partial =
        json!([{ "stepId": encode(IdKind::Step, step(0).0), "attempt": 1, "text": "Zw" }]);
    let steps = json!([{ "agent": "Ada", "input": "Count.\n\n[picture: image/png]" }, { "agent": "Bob", "input": null }]);
    let orchestration = json!({
        "state": "RUNNING", "cursor": at(4, 1, 1), "title": "A title", "steps": steps, "partial": [{ "text": "Zw" }],
    });
    let snapshot = json!({ "__typename": "Snapshot", "cursor": at(4, 1, 1), "orchestration": orchestration, "partial": partial });
    assert_eq!(messages, [snapshot]);
    // A client that is disconnected before the snapshot receives everything from the first event
    // on.
    assert_eq!(passed, [at(0, 0, 0), at(4, 1, 1)]);
    assert_eq!(world.times(""), 1, "{:?}", world.asked);
    assert_eq!(Timestamp(STARTED_MS).to_string(), "2025-10-09T08:53:20.000Z");
}

#[test]
fn an_ended_orchestration_sends_snapshot_and_terminal_and_nothing_after() {
    let world = Arc::new(World::of(story()));
    let (messages, _) = told(&world, "");
    assert_eq!(kinds(&messages), ["Snapshot", "Terminal"]);
    let after = messages[0]["cursor"].as_str().unwrap().to_owned();
    assert_eq!(kinds(&told(&world, &format!(", after: \"{after}\"")).0), ["Terminal"]);
    let end = messages[1]["cursor"].as_str().unwrap().to_owned();
    let (nothing, passed) = told(&world, &format!(", after: \"{end}\""));
    assert_eq!((nothing.len(), passed), (0, vec![end]));
}

#[test]
fn without_deltas_only_the_deltas_are_left_out() {
    let world = Arc::new(World::of(story()));
    let from = format!(", after: \"{}\"", at(0, 0, 0));
    let (all, _) = told(&world, &format!("{from}, deltas: null"));
    let (some, passed) = told(&world, &format!("{from}, deltas: false"));
    let rest: Vec<_> =
        all.iter().filter(|message| message["__typename"] != "TextDelta").cloned().collect();
    assert_eq!(some, rest);
    assert!(some.len() < all.len());
    assert_eq!(passed.len(), some.len() + 1);
}

#[test]
fn the_resume_cursor_of_the_face_overrides_the_argument() {
    let world = Arc::new(World::of(story()));
    let resume = Some(at(9, 0, 1));
    let (items, passed) =
        follow(OWNER, &world, &query(&format!(", after: \"{}\"", at(0, 0, 0))), resume);
    assert_eq!(items.len(), 2);
    assert_eq!(passed, [at(9, 0, 1), at(10, 0, 1), at(10, 0, 2)]);
}

#[test]
fn foreign_and_unknown_orchestrations_are_not_found_and_foreign_cursors_are_refused() {
    let world = Arc::new(World::of(story()));
    let other = UserId(Uuid::from_u128(77));
    let stranger = RunId(Uuid::from_u128(78));
    let of = |id: String, rest: &str| {
        format!("subscription {{ orchestration(id: \"{id}\"{rest}) {{ __typename }} }}")
    };
    let another = of_run_feed(stranger, FeedCursor::default());
    let cases = [
        (other, query(""), "NOT_FOUND"),
        (OWNER, of(encode(IdKind::Orchestration, stranger.0), ""), "NOT_FOUND"),
        (OWNER, of(encode(IdKind::Step, RUN.0), ""), "NOT_FOUND"),
        (OWNER, of("x".to_owned(), ""), "NOT_FOUND"),
        (OWNER, query(&format!(", after: \"{another}\"")), "CURSOR_INVALID"),
        (OWNER, query(", after: \"AQAAAAAAAAAB\""), "CURSOR_INVALID"),
    ];
    for (user, query, code) in cases {
        let (items, passed) = follow(user, &world, &query, None);
        assert_eq!(items.len(), 1, "{query}");
        assert_eq!(items[0]["errors"][0]["extensions"]["code"], code, "{query}");
        assert_eq!(passed, Vec::<String>::new());
    }
}
