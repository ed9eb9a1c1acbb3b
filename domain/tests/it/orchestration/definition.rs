//! What is refused before anything runs, and where in the input it stood.

use crate::pattern_play::{agent, agents, moderator, task};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{AgentDraft, Block, Bounds, Draft, OnFailure, Work};
use serde_json::json;

fn sequential(agents: Vec<AgentDraft>, sequence: Option<&[&str]>) -> Draft {
    let sequence = sequence.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Draft::Sequential { task: task("Go."), agents, sequence }
}

fn debate(agents: Vec<AgentDraft>, rounds: u32) -> Draft {
    Draft::Debate { topic: "Why?".to_owned(), agents, participants: None, rounds }
}

fn parallel(on_failure: OnFailure, aggregator: Option<AgentDraft>) -> Draft {
    Draft::Parallel {
        task: "Go.".to_owned(),
        agents: agents(["Ann", "Bob"]),
        agent_names: None,
        aggregator,
        on_failure,
    }
}

fn workers(names: &[&str]) -> Draft {
    let worker_names = Some(names.iter().map(|name| (*name).to_owned()).collect());
    Draft::Hierarchical {
        task: "Go.".to_owned(),
        manager: agent("Max"),
        workers: agents(["Ann", "Bob"]),
        worker_names,
    }
}

fn picture(media_type: &str, data: &str) -> Draft {
    let block = Block::Image { media_type: media_type.to_owned(), data: data.to_owned() };
    Draft::Sequential { task: vec![block], agents: agents(["Ann"]), sequence: None }
}

type Row = (Draft, &'static [&'static str], &'static str);

/// Each draft is refused at this path, with these words.
fn refused(table: Vec<Row>) {
    for (draft, path, words) in table {
        let shown = format!("{draft:?}");
        let error = draft.check(&Bounds::default()).expect_err(&shown);
        assert_eq!(error.path, path, "{shown}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        let is_limit = words.contains("at most");
        let code = if is_limit { ErrorCode::LimitExceeded } else { ErrorCode::Validation };
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn invalid_agents_are_refused_with_their_path_and_what_to_do() {
    let ann = || agents(["Ann"]);
    let many = |n: u32| (0..n).map(|n| agent(&format!("a{n}"))).collect::<Vec<_>>();
    let with_model =
        |model: &str| vec![AgentDraft { model: Some(model.to_owned()), ..agent("Ann") }];
    let with_tokens = |tokens| vec![AgentDraft { max_tokens: Some(tokens), ..agent("Ann") }];
    refused(vec![
        (sequential(Vec::new(), None), &["agents"], "there are no agents"),
        (
            sequential(agents(["Ann", "Ann"]), None),
            &["agents", "1", "name"],
            "two agents are called \"Ann\"",
        ),
        (
            sequential(agents(["Ann", "  Ann "]), None),
            &["agents", "1", "name"],
            "two agents are called",
        ),
        (sequential(agents([""]), None), &["agents", "0", "name"], "empty"),
        (
            sequential(agents(["sk-ant-api03-x"]), None),
            &["agents", "0", "name"],
            "looks like a secret",
        ),
        (sequential(ann(), Some(&[])), &["sequence"], "there are no entries"),
        (
            sequential(ann(), Some(&["Eve"])),
            &["sequence"],
            "there is no agent \"Eve\": the agents are Ann",
        ),
        (
            sequential(ann(), Some(&["Ann"; 101])),
            &["sequence"],
            "101 entries of the sequence: at most 100",
        ),
        (sequential(many(33), None), &["agents", "32"], "33 agents: at most 32"),
        (
            sequential(with_model("no model"), None),
            &["agents", "0", "model"],
            "\"no model\" is not a model id",
        ),
        (
            sequential(with_model("sk-ant-api03-abc"), None),
            &["agents", "0", "model"],
            "\"sk-ant-...\"",
        ),
        (
            sequential(with_tokens(0), None),
            &["agents", "0", "maxTokens"],
            "maxTokens must be 1 to 128000",
        ),
    ]);
}

#[test]
fn invalid_work_is_refused_with_its_path_and_what_to_do() {
    let ann = || agents(["Ann"]);
    refused(vec![
        (
            Draft::Sequential { task: task(" "), agents: ann(), sequence: None },
            &["task"],
            "task is empty",
        ),
        (
            Draft::Sequential { task: Vec::new(), agents: ann(), sequence: None },
            &["task"],
            "task is empty",
        ),
        (picture("image/tiff", "aGk="), &["task"], "image/png"),
        (picture("image/png", "aGk"), &["task"], "base64"),
        (picture("image/png", "a*k="), &["task"], "base64"),
        (debate(ann(), 0), &["rounds"], "there are no rounds"),
        (debate(ann(), 21), &["rounds"], "21 rounds: at most 20"),
        (debate(vec![moderator("Mo")], 1), &["participants"], "moderators only"),
        (workers(&["Ann", "Ann"]), &["workerNames"], "\"Ann\" is named twice"),
        (workers(&["Max"]), &["workerNames"], "there is no agent \"Max\": the agents are Ann, Bob"),
        (workers(&[]), &["workerNames"], "there are no workers"),
        (parallel(OnFailure::Quorum(0), None), &["quorum"], "the quorum must be 1 to 2"),
        (parallel(OnFailure::Quorum(3), None), &["quorum"], "the quorum must be 1 to 2"),
        (
            parallel(OnFailure::Fail, Some(agent("Ann"))),
            &["aggregator", "name"],
            "two agents are called",
        ),
        (Draft::Design { prompt: String::new(), current: None }, &["prompt"], "prompt is empty"),
        (
            Draft::Design { prompt: "x".to_owned(), current: Some(json!([])) },
            &["currentDesign"],
            "must be a JSON object",
        ),
    ]);
}

#[test]
fn texts_and_pictures_have_bounds_of_their_own() {
    let bounds = Bounds { text_bytes: 100, image_bytes: 8, ..Bounds::default() };
    let of = |bytes: usize| Draft::Design { prompt: "x".repeat(bytes), current: None };
    assert!(of(100).check(&bounds).is_ok());
    assert_eq!(
        of(101).check(&bounds).unwrap_err().to_string(),
        "101 bytes of text: at most 100 are allowed"
    );
    assert!(picture("image/png", "aGVsbG8=").check(&bounds).is_ok());
    let refused = picture("image/png", "aGVsbG8hIQ==").check(&bounds).unwrap_err();
    assert_eq!(refused.to_string(), "12 bytes of pictures: at most 8 are allowed");
}

#[test]
fn names_choose_among_the_agents_in_their_own_order() {
    let definition = workers(&["Bob"]).check(&Bounds::default()).unwrap();
    assert_eq!(
        definition.work,
        Work::Hierarchical { task: "Go.".to_owned(), manager: 0, workers: vec![2] }
    );
    let all = debate(agents(["Ann", "Bob"]), 1).check(&Bounds::default()).unwrap();
    assert_eq!(
        all.work,
        Work::Debate { topic: "Why?".to_owned(), participants: vec![0, 1], rounds: 1 }
    );
}
