//! Queries of orchestrations and their usage.

use super::fakes::{World, ask, ask_as};
use super::story::{GONE_KEY, KEY, OWNER, RUN, STARTED_MS, Story, agent, step};
use async_graphql::Variables;
use claviger_application::UsageCell;
use claviger_application::cursor::of_run_feed;
use claviger_application::ids::{IdKind, encode};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::*;
use claviger_domain::timestamp::Timestamp;
use claviger_graphql::limits::{Limits, SchemaTypes};
use claviger_projections::activity::KeyActivity;
use claviger_projections::run_feed::FeedCursor;
use claviger_projections::runs::RunSummary;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

fn id(run: RunId) -> String {
    encode(IdKind::Orchestration, run.0)
}

/// One orchestration with these fields.
fn show(story: Story, fields: &str) -> Value {
    let world = Arc::new(World::of(story));
    let query = format!("query($id: ID!) {{ orchestration(id: $id) {{ {fields} }} }}");
    let data = ask(&world, &query, json!({ "id": id(RUN) }));
    assert_eq!(world.times("run "), 1, "read once, however many fields");
    data["orchestration"].clone()
}

#[test]
fn an_orchestration_shows_its_state_its_steps_and_its_feed_cursor() {
    let story = Story::sequential()
        .claimed()
        .planned()
        .started(0, 1)
        .completed(0, 1, "Two.")
        .started(1, 1)
        .text(1, 1, 0, "Thr");
    let fields =
        "id pattern state pauseReason title startedAt finishedAt durationMs output result costNanoUsd cursor error { code }
        usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } partial { stepId attempt text }
        steps { id agent role purpose round state attempt input output model stopReason costNanoUsd firstTokenMs durationMs }";
    let shown = show(story, fields);
    assert_eq!(shown["id"], id(RUN));
    assert_eq!(
        (&shown["pattern"], &shown["state"], &shown["title"]),
        (&json!("SEQUENTIAL"), &json!("RUNNING"), &json!("A title"))
    );
    assert_eq!(shown["startedAt"], Timestamp(STARTED_MS + 2000).to_string());
    for empty in ["pauseReason", "finishedAt", "durationMs", "output", "result", "error"] {
        assert_eq!(shown[empty], Value::Null, "{empty}");
    }
    let usage = json!({ "inputTokens": "10", "outputTokens": "20", "cacheCreationInputTokens": "3", "cacheReadInputTokens": "4" });
    assert_eq!((&shown["usage"], &shown["costNanoUsd"]), (&usage, &json!("7")));
    let second = encode(IdKind::Step, step(1).0);
    assert_eq!(shown["partial"], json!([{ "stepId": second, "attempt": 1, "text": "Thr" }]));
    assert_eq!(shown["cursor"], of_run_feed(RUN, FeedCursor { v: 6, d: 1, i: 1 }));
    let told = "# Task\nCount.\n\n# Reply of Ada, who worked on it before you\nTwo.";
    let first = json!({
        "id": encode(IdKind::Step, step(0).0), "agent": "Ada", "role": "SPECIALIST", "purpose": "turn", "round": null,
        "state": "COMPLETED", "attempt": 1, "input": "Count.\n\n[picture: image/png]", "output": "Two.", "model": "m",
        "stopReason": "end_turn", "costNanoUsd": "7", "firstTokenMs": 30, "durationMs": 40,
    });
    let second = json!({
        "id": second, "agent": "Bob", "role": "WORKER", "purpose": "turn", "round": null, "state": "RUNNING", "attempt": 1,
        "input": told, "output": null, "model": "m", "stopReason": null, "costNanoUsd": "0", "firstTokenMs": null, "durationMs": null,
    });
    assert_eq!(shown["steps"], json!([first, second]));
}

#[test]
fn a_reply_without_text_is_shown_as_no_response_and_an_unstarted_step_has_none() {
    let shown = show(
        Story::sequential().claimed().planned().started(0, 1).completed(0, 1, " "),
        "steps { state input output }",
    );
    assert_eq!(shown["steps"][0]["output"], "No response");
    assert_eq!(shown["steps"][1], json!({ "state": "PLANNED", "input": null, "output": null }));
}

#[test]
fn a_completed_orchestration_has_output_result_and_duration() {
    let story = Story::sequential().claimed().planned().started(0, 1).completed(0, 1, "Two.");
    let story = story.started(1, 1).completed(1, 1, "Three.").done();
    let shown = show(story, "state output result finishedAt durationMs cursor");
    assert_eq!((&shown["state"], &shown["output"]), (&json!("COMPLETED"), &json!("Three.")));
    assert_eq!(shown["result"]["final_result"], "Three.");
    assert_eq!(shown["durationMs"], 6000);
    // A client that subscribes after it receives the end.
    assert_eq!(shown["cursor"], of_run_feed(RUN, FeedCursor { v: 8, d: 0, i: 1 }));
}

#[test]
fn a_failure_has_code_step_and_upstream_details() {
    let story = Story::sequential()
        .claimed()
        .planned()
        .started(0, 1)
        .failed(0, 1, Next::GiveUp)
        .came_to_nothing(0);
    let error = "error { code message stepId upstreamStatus upstreamRequestId }";
    let shown = show(story.clone(), &format!("state {error} steps {{ state {error} }}"));
    let expected = |message| {
        let step = encode(IdKind::Step, step(0).0);
        json!({ "code": "KEY_UNAVAILABLE", "message": message, "stepId": step, "upstreamStatus": 401, "upstreamRequestId": "req_1" })
    };
    assert_eq!(shown["error"], expected("the agent failed"));
    assert_eq!(shown["steps"][0]["error"], expected("the key was refused"));
    assert_eq!(shown["steps"][1]["error"], Value::Null);
    let erased = show(
        story.erased(),
        &format!("title input output result {error} steps {{ agent input output }}"),
    );
    assert_eq!(erased["error"]["message"], "the error message was deleted with the content");
    assert_eq!((&erased["input"], &erased["title"]), (&Value::Null, &Value::Null));
    assert_eq!(erased["steps"][0], json!({ "agent": null, "input": null, "output": null }));
}

#[test]
fn a_paused_orchestration_shows_the_reason() {
    assert_eq!(
        show(Story::sequential().claimed().paused(), "state pauseReason"),
        json!({ "state": "PAUSED", "pauseReason": "spend_limit" })
    );
}

#[test]
fn a_resolution_shows_keys_in_their_current_state_and_deleted_keys_as_null() {
    let fields = "resolution { chosen { source key { name } } candidates { source key { id } chosen reason } }";
    let shown = show(Story::sequential(), fields);
    let key = json!({ "id": encode(IdKind::ApiKey, KEY.0) });
    assert_eq!(
        shown["resolution"],
        json!({
            "chosen": { "source": "DEFAULT_KEY", "key": { "name": "mine" } },
            "candidates": [
                { "source": "DEFAULT_KEY", "key": null, "chosen": false, "reason": "your default key for the context \"work\": it is inactive" },
                { "source": "DEFAULT_KEY", "key": key, "chosen": true, "reason": "your default key for the context \"default\": it is active" },
                { "source": "MAX_PLAN", "key": null, "chosen": false, "reason": "the operator has not switched it on" },
            ],
        })
    );
    assert_ne!(GONE_KEY, KEY);
}

#[test]
fn the_input_of_each_pattern_has_the_shape_of_pattern_input() {
    let agents = || {
        vec![
            agent("Ada", AgentRole::Manager),
            agent("Bob", AgentRole::Worker),
            agent("Cy", AgentRole::Moderator),
        ]
    };
    let task = || "t".to_owned();
    let ada = json!({ "name": "Ada", "systemPrompt": "You are Ada.", "role": "MANAGER" });
    let bob = json!({ "name": "Bob", "systemPrompt": "You are Bob.", "role": "WORKER" });
    let cy = json!({ "name": "Cy", "systemPrompt": "You are Cy.", "role": "MODERATOR" });
    let all = json!([ada, bob, cy]);
    let parallel = |on_failure, aggregator| Work::Parallel {
        task: task(),
        workers: vec![1, 2],
        aggregator,
        on_failure,
    };
    let cases = [
        (
            Work::Sequential { task: vec![Block::Text { text: task() }], sequence: vec![1, 0, 1] },
            json!({ "sequential": { "task": "t", "agents": all, "sequence": ["Bob", "Ada", "Bob"] } }),
        ),
        (
            Work::Debate { topic: task(), participants: vec![0, 2], rounds: 4 },
            json!({ "debate": { "topic": "t", "agents": all, "participants": ["Ada", "Cy"], "rounds": 4 } }),
        ),
        (
            Work::Hierarchical { task: task(), manager: 0, workers: vec![2] },
            json!({ "hierarchical": { "task": "t", "manager": ada, "workers": [cy] } }),
        ),
        (
            parallel(OnFailure::Fail, None),
            json!({ "parallel": { "task": "t", "agents": [bob, cy], "onFailure": "FAIL" } }),
        ),
        (
            parallel(OnFailure::Quorum(2), Some(0)),
            json!({ "parallel": { "task": "t", "agents": [bob, cy], "aggregator": ada, "onFailure": "QUORUM", "quorum": 2 } }),
        ),
        (
            Work::Routing { task: task(), router: 0, specialists: vec![1] },
            json!({ "routing": { "task": "t", "router": ada, "specialists": [bob] } }),
        ),
        (
            Work::Design { prompt: task(), current: Some(json!({ "name": "d" })) },
            json!({ "design": { "prompt": "t", "currentDesign": { "name": "d" } } }),
        ),
        (Work::Design { prompt: task(), current: None }, json!({ "design": { "prompt": "t" } })),
    ];
    for (work, expected) in cases {
        let story = Story::of(RUN, Definition { agents: agents(), work });
        assert_eq!(show(story, "input")["input"], expected);
    }
}

#[test]
fn foreign_and_unknown_orchestrations_are_null_also_as_nodes() {
    let world = Arc::new(World::of(Story::sequential()));
    let query = "query($id: ID!) { orchestration(id: $id, minPosition: \"12\") { id } node(id: $id) { id __typename } }";
    let own = ask(&world, query, json!({ "id": id(RUN) }));
    assert_eq!(own["node"], json!({ "id": id(RUN), "__typename": "Orchestration" }));
    assert_eq!(world.times("reach 12"), 1);
    let other = ask_as(UserId(Uuid::from_u128(77)), &world, query, json!({ "id": id(RUN) }));
    assert_eq!(other["data"], json!({ "orchestration": null, "node": null }));
    for unknown in [
        id(RunId(Uuid::from_u128(6))),
        encode(IdKind::Step, step(0).0),
        encode(IdKind::ApiKey, RUN.0),
        "x".to_owned(),
    ] {
        let data = ask(&world, query, json!({ "id": unknown }));
        assert_eq!(data, json!({ "orchestration": null, "node": null }), "{unknown}");
    }
}

/// A list of one run, whose row is older than the run itself.
fn listed() -> Arc<World> {
    let mut world = World::of(Story::sequential().claimed().planned().started(0, 1));
    let definition = Definition {
        agents: Vec::new(),
        work: Work::Design { prompt: String::new(), current: None },
    };
    let asked = Asked { title: Some("A title".to_owned()), context: "work".to_owned(), definition };
    let facts: Requested = serde_json::from_value(json!({
        "run": RUN, "pattern": "sequential", "agents": 2, "model": "m", "max_tokens": 9, "max_concurrency": 4, "max_attempts": 9,
        "price_table": "p", "renderer": 1, "context_tag": "00".repeat(16), "resolution": { "considered": [] },
    }))
    .unwrap();
    let row =
        RunSummary::after(None, &RunEvent::RunRequested(facts, Some(asked)), Timestamp(STARTED_MS))
            .unwrap();
    world.listed = vec![row];
    Arc::new(world)
}

#[test]
fn a_list_is_shown_from_its_rows_alone() {
    let world = listed();
    let query = "{ viewer { orchestrations(first: 1, state: [QUEUED, PAUSED], pattern: [ROUTING], minPosition: \"5\") {
        totalCount pageInfo { hasNextPage endCursor } edges { cursor }
        nodes { id pattern state pauseReason title createdAt startedAt finishedAt durationMs costNanoUsd usage { inputTokens } history { nodes { id } } }
    } } }";
    let data = ask(&world, query, json!({}));
    let list = &data["viewer"]["orchestrations"];
    assert_eq!(list["nodes"][0]["state"], "QUEUED");
    assert_eq!(
        (&list["nodes"][0]["title"], &list["nodes"][0]["usage"]["inputTokens"]),
        (&json!("A title"), &json!("0"))
    );
    assert_eq!(list["totalCount"], 7);
    assert_eq!(
        list["pageInfo"],
        json!({ "hasNextPage": true, "endCursor": list["edges"][0]["cursor"] })
    );
    assert_eq!(world.times("run "), 0, "no run is read for fields that its row has");
    assert_eq!(world.times("runs [Queued, Paused] [Routing]"), 1);
    assert_eq!(world.times(&format!("history Some({})", RUN.0)), 1);
    assert_eq!(world.times("reach 5"), 1);
    let cursor = &list["edges"][0]["cursor"];
    let next = format!("{{ viewer {{ orchestrations(after: {cursor}) {{ totalCount }} }} }}");
    ask(&world, &next, json!({}));
    assert_eq!(
        world.times(&format!(
            "runs [] [] Page {{ after: Some(({STARTED_MS}, {})), before: None, from_end: false, limit: 20",
            RUN.0
        )),
        1
    );
}

#[test]
fn a_list_with_more_fields_reads_each_run_once_and_shows_every_field_from_it() {
    let world = listed();
    let query = "{ viewer { orchestrations { nodes { state startedAt steps { id } } edges { node { ... on Node { ...F } } } } } }
        fragment F on Orchestration { state cursor partial { text } input }";
    let data = ask(&world, query, json!({}));
    let list = &data["viewer"]["orchestrations"];
    assert_eq!(world.times("run "), 1, "once for node and edge and all their fields");
    // The row has the state QUEUED. The cursor belongs to a later state, and so do all other
    // fields.
    assert_eq!(list["edges"][0]["node"]["state"], "RUNNING");
    assert_eq!(list["nodes"][0]["state"], "RUNNING");
    assert_eq!(
        list["edges"][0]["node"]["cursor"],
        of_run_feed(RUN, FeedCursor { v: 4, d: 0, i: 1 })
    );
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let world = listed();
    let cursor = of_run_feed(RUN, FeedCursor::default());
    let answer = ask_as(
        OWNER,
        &world,
        &format!("{{ viewer {{ orchestrations(after: \"{cursor}\") {{ totalCount }} }} }}"),
        json!({}),
    );
    assert_eq!(answer["errors"][0]["extensions"]["code"], "CURSOR_INVALID");
}

fn used() -> Arc<World> {
    let cell = |run, key| UsageCell {
        run: RunId(Uuid::from_u128(run)),
        day: 20_000,
        key,
        model: "m".to_owned(),
        pattern: Pattern::Sequential,
        calls: 2,
        usage: Usage { input: 5, ..Usage::default() },
        cost: Cost(Some(3)),
    };
    let (last_used_at, last_call_at) =
        (Some(Timestamp(STARTED_MS)), Some(Timestamp(STARTED_MS + 1)));
    let activity = KeyActivity { last_used_at, last_call_at, ..KeyActivity::new(Timestamp(1)) };
    Arc::new(World {
        usage: vec![cell(1, Some(KEY)), cell(2, None), cell(1, Some(KEY))],
        activity: Some(activity),
        ..World::default()
    })
}

#[test]
fn usage_is_one_row_unless_it_is_grouped() {
    let world = used();
    let query = "{ viewer { all: usage(from: \"2025-01-01T00:00:00Z\", to: \"2025-02-01T00:00:00Z\") { keyId runs calls usage { inputTokens } costNanoUsd }
        by: usage(from: \"2025-01-01T00:00:00Z\", to: \"2025-02-01T00:00:00Z\", groupBy: [KEY, PATTERN, DAY]) { keyId model day pattern runs } } }";
    let data = ask(&world, query, json!({}));
    let all = json!([{ "keyId": null, "runs": 2, "calls": 6, "usage": { "inputTokens": "15" }, "costNanoUsd": "9" }]);
    assert_eq!(data["viewer"]["all"], all);
    let row = |key: Value| json!({ "keyId": key, "model": null, "day": "2024-10-04", "pattern": "SEQUENTIAL", "runs": 1 });
    assert_eq!(
        data["viewer"]["by"],
        json!([row(Value::Null), row(json!(encode(IdKind::ApiKey, KEY.0)))])
    );
}

#[test]
fn a_key_shows_its_usage_and_last_use_without_waiting() {
    let world = used();
    let query = "query($id: ID!) { key(id: $id) { lastUsedAt
        usage(from: \"2025-01-01T00:00:00Z\", to: \"2025-02-01T00:00:00Z\") { keyId runs calls costNanoUsd } } }";
    let key = encode(IdKind::ApiKey, KEY.0);
    let data = ask(&world, query, json!({ "id": key }));
    assert_eq!(data["key"]["lastUsedAt"], Timestamp(STARTED_MS).to_string());
    assert_eq!(
        data["key"]["usage"],
        json!({ "keyId": key, "runs": 1, "calls": 4, "costNanoUsd": "6" })
    );
    assert_eq!(world.times(&format!("activity {KEY} None")), 1, "it waits for no position");
    let mut tested = World::of(Story::sequential());
    tested.activity =
        Some(KeyActivity { last_call_at: Some(Timestamp(5)), ..KeyActivity::new(Timestamp(1)) });
    let data = ask(&Arc::new(tested), query, json!({ "id": key }));
    assert_eq!(data["key"]["lastUsedAt"], Value::Null, "a test does not count as use");
}

#[test]
fn a_period_that_ends_before_it_begins_or_is_too_long_is_refused() {
    let world = used();
    let cases = [
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "VALIDATION"),
        ("2025-01-02T00:00:00Z", "2025-01-01T00:00:00Z", "VALIDATION"),
        ("2024-01-01T00:00:00Z", "2025-01-01T00:00:00.001Z", "LIMIT_EXCEEDED"),
    ];
    for (from, to, code) in cases {
        let answer = ask_as(
            OWNER,
            &world,
            &format!("{{ viewer {{ usage(from: \"{from}\", to: \"{to}\") {{ runs }} }} }}"),
            json!({}),
        );
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{from} {to}");
    }
    assert_eq!(world.times("usage"), 0);
    ask(
        &world,
        "{ viewer { usage(from: \"2024-01-01T00:00:00Z\", to: \"2025-01-01T00:00:00Z\") { runs } } }",
        json!({}),
    );
}

#[test]
fn lists_of_orchestrations_cost_their_items_and_their_inputs_hold_no_secret() {
    let types = SchemaTypes::from_sdl(&claviger_graphql::sdl()).unwrap();
    for (parent, field) in [("Viewer", "orchestrations"), ("Orchestration", "history")] {
        assert!(types.field(parent, field).unwrap().is_connection(), "{parent}.{field}");
    }
    for input in ["StartOrchestrationInput", "OrchestrationInput"] {
        assert!(!types.holds_secret(input), "{input}");
    }
    let check = |first: u32| {
        let query = format!(
            "{{ viewer {{ orchestrations(first: {first}) {{ nodes {{ id history(first: 100) {{ nodes {{ id }} }} }} }} }} }}"
        );
        let document = async_graphql_parser::parse_query(&query).unwrap();
        Limits::default()
            .check_document(&document, &Variables::default(), &types)
            .map(drop)
            .map_err(|error| error.message)
    };
    assert_eq!(check(20), Ok(()));
    assert!(check(100).unwrap_err().contains("complexity"));
}
