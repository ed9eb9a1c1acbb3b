//! Commands on orchestrations: what reaches the port, and how refusals are returned.

use super::fakes::{World, ask, ask_as};
use super::story::{GONE_KEY, KEY, OWNER, RUN, Story};
use claviger_application::ids::{IdKind, encode};
use claviger_application::{Commit, RunCommand, RunDone, StartRun};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{EventId, KeyId, RunId};
use claviger_domain::orchestration::*;
use claviger_domain::stream::StreamName;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const START: &str = "mutation($input: StartOrchestrationInput!) { startOrchestration(input: $input) {
    orchestration { id state } commit { position stream version eventIds replayed } clientMutationId
    userErrors { __typename code message path ... on CredentialError { candidates { source key { name } chosen reason } } } } }";

fn done() -> RunDone {
    let event_ids = vec![EventId(Uuid::from_u128(50))];
    RunDone {
        commit: Commit {
            position: 9,
            stream: StreamName::Run(RUN.0),
            version: 1,
            event_ids,
            replayed: true,
        },
        run: RUN,
    }
}

fn answering(answer: Result<RunDone, Failure>) -> Arc<World> {
    let world = World::of(Story::sequential());
    *world.answer.lock().unwrap() = Some(answer);
    Arc::new(world)
}

fn agent(name: &str) -> Value {
    json!({ "name": name, "systemPrompt": "p" })
}

fn draft_of(name: &str) -> AgentDraft {
    AgentDraft { name: name.to_owned(), system_prompt: "p".to_owned(), ..AgentDraft::default() }
}

/// The start request that reaches the port.
fn started(input: &Value) -> StartRun {
    let world = answering(Ok(done()));
    let data = ask(&world, START, json!({ "input": input }));
    assert_eq!(data["startOrchestration"]["userErrors"], json!([]), "{input}");
    let (_, command) = world.commands.lock().unwrap().pop().unwrap();
    let RunCommand::Start(start) = command else { panic!("{command:?}") };
    *start
}

/// The user errors of a start; `answer` is the port's answer, if it is called.
fn refused(input: &Value, answer: Option<Failure>) -> Value {
    let world = World::of(Story::sequential());
    let is_asked = answer.is_some();
    *world.answer.lock().unwrap() = answer.map(Err);
    let world = Arc::new(world);
    let data = ask(&world, START, json!({ "input": input }));
    assert_eq!(world.commands.lock().unwrap().len(), usize::from(is_asked));
    assert_eq!(
        (&data["startOrchestration"]["orchestration"], &data["startOrchestration"]["commit"]),
        (&Value::Null, &Value::Null)
    );
    data["startOrchestration"]["userErrors"].clone()
}

#[test]
fn a_start_returns_the_orchestration_and_its_commit() {
    let world = answering(Ok(done()));
    let input = json!({
        "pattern": { "design": { "prompt": "x" } }, "title": " T ", "model": "m-1", "keyId": encode(IdKind::ApiKey, KEY.0), "context": "work",
        "maxConcurrency": 3, "idempotencyKey": "once", "clientMutationId": "c",
    });
    let data = ask(&world, START, json!({ "input": input }));
    let commit = json!({
        "position": "9", "stream": format!("run/{RUN}"), "version": "1", "eventIds": [encode(IdKind::Event, Uuid::from_u128(50))],
        "replayed": true,
    });
    let orchestration = json!({ "id": encode(IdKind::Orchestration, RUN.0), "state": "QUEUED" });
    let expected = json!({ "orchestration": orchestration, "commit": commit, "clientMutationId": "c", "userErrors": [] });
    assert_eq!(data["startOrchestration"], expected);
    let (call, command) = world.commands.lock().unwrap().pop().unwrap();
    assert_eq!(call.idempotency_key.map(|key| key.as_str().to_owned()), Some("once".to_owned()));
    let RunCommand::Start(start) = command else { panic!("{command:?}") };
    assert_eq!(start.title.map(|title| title.as_str().to_owned()), Some("T".to_owned()));
    assert_eq!(start.model.map(|model| model.as_str().to_owned()), Some("m-1".to_owned()));
    assert_eq!(
        (start.key, start.context.as_str(), start.max_concurrency),
        (Some(KEY), "work", Some(3))
    );
}

#[test]
fn each_pattern_becomes_its_draft_with_the_contracts_defaults() {
    let task = || "t".to_owned();
    let parallel = |on_failure, aggregator| {
        let agents = vec![draft_of("A"), draft_of("B")];
        Draft::Parallel { task: task(), agents, agent_names: None, aggregator, on_failure }
    };
    let two = json!([agent("A"), agent("B")]);
    let drawn = AgentDraft {
        role: AgentRole::Moderator,
        model: Some("m".to_owned()),
        max_tokens: Some(5),
        ..draft_of("A")
    };
    let moderator = json!({ "name": "A", "systemPrompt": "p", "role": "MODERATOR", "model": "m", "maxTokens": 5 });
    let cases = [
        (
            json!({ "sequential": { "task": "t", "agents": two, "sequence": ["B", "A"] } }),
            Draft::Sequential {
                task: vec![Block::Text { text: task() }],
                agents: vec![draft_of("A"), draft_of("B")],
                sequence: Some(vec!["B".to_owned(), "A".to_owned()]),
            },
        ),
        (
            json!({ "debate": { "topic": "t", "agents": [moderator] } }),
            Draft::Debate { topic: task(), agents: vec![drawn], participants: None, rounds: 3 },
        ),
        (
            json!({ "hierarchical": { "task": "t", "manager": agent("A"), "workers": [agent("B")] } }),
            Draft::Hierarchical {
                task: task(),
                manager: draft_of("A"),
                workers: vec![draft_of("B")],
                worker_names: None,
            },
        ),
        (json!({ "parallel": { "task": "t", "agents": two } }), parallel(OnFailure::Fail, None)),
        (
            json!({ "parallel": { "task": "t", "agents": two, "onFailure": "CONTINUE", "aggregator": agent("C") } }),
            parallel(OnFailure::Continue, Some(draft_of("C"))),
        ),
        (
            json!({ "parallel": { "task": "t", "agents": two, "onFailure": "QUORUM", "quorum": 2 } }),
            parallel(OnFailure::Quorum(2), None),
        ),
        (
            json!({ "routing": { "task": "t", "router": agent("A"), "specialists": [agent("B")] } }),
            Draft::Routing {
                task: task(),
                router: draft_of("A"),
                specialists: vec![draft_of("B")],
                specialist_names: None,
            },
        ),
        (
            json!({ "design": { "prompt": "t", "currentDesign": { "name": "d" } } }),
            Draft::Design { prompt: task(), current: Some(json!({ "name": "d" })) },
        ),
    ];
    for (pattern, expected) in cases {
        let start = started(&json!({ "pattern": pattern }));
        assert_eq!(start.draft, expected);
        assert_eq!(
            (start.context.as_str(), start.key, start.max_concurrency),
            ("default", None, None)
        );
    }
}

#[test]
fn the_shown_input_can_be_sent_again() {
    let world = Arc::new(World::of(Story::sequential()));
    let query = "query($id: ID!) { orchestration(id: $id) { input } }";
    let shown = ask(&world, query, json!({ "id": encode(IdKind::Orchestration, RUN.0) }));
    let start = started(&json!({ "pattern": shown["orchestration"]["input"] }));
    let Draft::Sequential { agents, sequence, .. } = start.draft else {
        panic!("{:?}", start.draft)
    };
    assert_eq!((agents[0].name.as_str(), agents[0].role), ("Ada", AgentRole::Specialist));
    assert_eq!(sequence, Some(vec!["Ada".to_owned(), "Bob".to_owned()]));
}

#[test]
fn a_fault_in_the_input_is_reported_with_its_path_before_the_command() {
    let design = json!({ "design": { "prompt": "x" } });
    let parallel = |more: Value| {
        let mut pattern = json!({ "parallel": { "task": "t", "agents": [agent("A")] } });
        pattern["parallel"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "pattern": pattern })
    };
    let with = |field: &str, value: Value| json!({ "pattern": design, field: value });
    let negative = json!({ "name": "A", "systemPrompt": "p", "maxTokens": -1 });
    let cases = [
        (parallel(json!({ "quorum": 1 })), vec!["input", "pattern", "parallel", "quorum"]),
        (
            parallel(json!({ "onFailure": "CONTINUE", "quorum": 1 })),
            vec!["input", "pattern", "parallel", "quorum"],
        ),
        (
            parallel(json!({ "onFailure": "QUORUM" })),
            vec!["input", "pattern", "parallel", "quorum"],
        ),
        (
            parallel(json!({ "onFailure": "QUORUM", "quorum": -1 })),
            vec!["input", "pattern", "parallel", "quorum"],
        ),
        (
            parallel(json!({ "agents": [agent("A"), negative] })),
            vec!["input", "pattern", "parallel", "agents", "1", "maxTokens"],
        ),
        (
            parallel(json!({ "aggregator": negative })),
            vec!["input", "pattern", "parallel", "aggregator", "maxTokens"],
        ),
        (
            json!({ "pattern": { "debate": { "topic": "t", "agents": [agent("A")], "rounds": -2 } } }),
            vec!["input", "pattern", "debate", "rounds"],
        ),
        (with("title", json!("")), vec!["input", "title"]),
        (with("model", json!("no model")), vec!["input", "model"]),
        (with("context", json!(" ")), vec!["input", "context"]),
        (with("maxConcurrency", json!(0)), vec!["input", "maxConcurrency"]),
        (with("maxConcurrency", json!(-3)), vec!["input", "maxConcurrency"]),
        (with("idempotencyKey", json!("")), vec!["input", "idempotencyKey"]),
    ];
    for (input, path) in cases {
        let errors = refused(&input, None);
        assert_eq!(
            (&errors[0]["__typename"], &errors[0]["path"]),
            (&json!("ValidationError"), &json!(path)),
            "{input}"
        );
    }
}

#[test]
fn a_fault_found_by_the_command_gets_a_path_in_the_pattern_unless_it_is_elsewhere() {
    let input = json!({ "pattern": { "routing": { "task": "t", "router": agent("A"), "specialists": [agent("A")] } } });
    let same =
        Failure::new(ErrorCode::Validation, "twice").at(&["pattern", "specialists", "0", "name"]);
    let errors = refused(&input, Some(same));
    let path = ["input", "pattern", "routing", "specialists", "0", "name"];
    assert_eq!(
        errors,
        json!([{ "__typename": "ValidationError", "code": "VALIDATION", "message": "twice", "path": path }])
    );
    let bound = Failure::new(ErrorCode::LimitExceeded, "too many").at(&["maxConcurrency"]);
    assert_eq!(refused(&input, Some(bound))[0]["path"], json!(["input", "maxConcurrency"]));
    assert_eq!(
        refused(&input, Some(Failure::new(ErrorCode::Conflict, "no")))[0]["path"],
        Value::Null
    );
}

#[test]
fn without_a_credential_all_candidates_are_listed() {
    let one = |source, key, why| Considered { source, key, why };
    let considered = vec![
        one(CredentialSource::DefaultKey, Some(KEY), Why::Inactive),
        one(CredentialSource::DefaultKey, None, Why::NotSet),
        one(CredentialSource::EnvAnthropicApiKey, None, Why::NotForYou),
    ];
    let none = Failure::new(ErrorCode::NoCredential, "no credential")
        .with(FailureDetail::Resolution(Resolution { considered }));
    let errors = refused(
        &json!({ "pattern": { "design": { "prompt": "x" } }, "context": "work" }),
        Some(none),
    );
    assert_eq!(
        (&errors[0]["__typename"], &errors[0]["code"]),
        (&json!("CredentialError"), &json!("NO_CREDENTIAL"))
    );
    let candidate = |source: &str, key: Value, reason: &str| json!({ "source": source, "key": key, "chosen": false, "reason": reason });
    assert_eq!(
        errors[0]["candidates"],
        json!([
            candidate(
                "DEFAULT_KEY",
                json!({ "name": "mine" }),
                "your default key for the context \"work\": it is inactive"
            ),
            candidate(
                "DEFAULT_KEY",
                Value::Null,
                "you have no default key for the context \"default\""
            ),
            candidate(
                "ENV_ANTHROPIC_API_KEY",
                Value::Null,
                "the operator allows it for others only"
            ),
        ])
    );
    let considered = vec![one(CredentialSource::NamedKey, Some(GONE_KEY), Why::NotSet)];
    let gone = Failure::new(ErrorCode::KeyUnavailable, "gone")
        .with(FailureDetail::Resolution(Resolution { considered }));
    let errors = refused(&json!({ "pattern": { "design": { "prompt": "x" } } }), Some(gone));
    let tried = json!([candidate("NAMED_KEY", Value::Null, "you have no such key")]);
    assert_eq!((&errors[0]["code"], &errors[0]["candidates"]), (&json!("KEY_UNAVAILABLE"), &tried));
}

#[test]
fn an_invalid_key_id_names_a_key_that_does_not_exist() {
    let start =
        started(&json!({ "pattern": { "design": { "prompt": "x" } }, "keyId": "nonsense" }));
    assert_eq!(start.key, Some(KeyId(Uuid::nil())), "never the default key instead");
}

#[test]
fn exactly_one_pattern_is_accepted() {
    for pattern in [
        json!({}),
        json!({ "design": { "prompt": "x" }, "debate": { "topic": "t", "agents": [] } }),
        json!({ "design": null }),
    ] {
        let world = Arc::new(World::default());
        let answer = ask_as(OWNER, &world, START, json!({ "input": { "pattern": pattern } }));
        assert!(answer["errors"][0]["message"].is_string(), "{answer}");
        assert!(world.commands.lock().unwrap().is_empty());
    }
}

#[test]
fn cancel_pause_and_resume_ask_and_tell_refusals() {
    for (field, expected) in [
        ("cancel", ControlRequest::Cancel),
        ("pause", ControlRequest::Pause),
        ("resume", ControlRequest::Resume),
    ] {
        let query = format!(
            "mutation($id: ID!) {{ {field}Orchestration(input: {{ id: $id, idempotencyKey: \"k\", clientMutationId: \"c\" }}) {{
                orchestration {{ id }} clientMutationId userErrors {{ __typename path }} ... on MutationPayload {{ commit {{ version }} }} }} }}"
        );
        let world = answering(Ok(done()));
        let id = encode(IdKind::Orchestration, RUN.0);
        let data = ask(&world, &query, json!({ "id": id }));
        let answered = &data[format!("{field}Orchestration")];
        let all = json!({ "orchestration": { "id": id }, "clientMutationId": "c", "userErrors": [], "commit": { "version": "1" } });
        assert_eq!(*answered, all);
        let (call, command) = world.commands.lock().unwrap().pop().unwrap();
        assert!(call.idempotency_key.is_some());
        assert!(
            matches!(command, RunCommand::Ask { run: RUN, ask } if ask == expected),
            "{command:?}"
        );

        let world = answering(Err(Failure::not_found("orchestration")));
        let data = ask(&world, &query, json!({ "id": "nonsense" }));
        let errors = &data[format!("{field}Orchestration")]["userErrors"];
        assert_eq!(*errors, json!([{ "__typename": "NotFoundError", "path": null }]));
        let (_, command) = world.commands.lock().unwrap().pop().unwrap();
        assert!(
            matches!(command, RunCommand::Ask { run: RunId(id), .. } if id.is_nil()),
            "{command:?}"
        );
    }
}
