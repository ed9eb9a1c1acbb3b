//! Answers that break the protocol, or aren't in the requested form: typed errors, bounded memory,
//! and a run whose state stays right.

use super::world::one_of_each;
use crate::harness::environment::without_waits;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::runs::{line, stands_still};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Ending, Raw, Reply};
use claviger_domain::code::ErrorCode;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{
    Draft, FailureClass, Fallback, PauseReason, Phase, StepState, StopReason,
};
use claviger_projections::run_feed::{Body, FeedCursor};
use futures::StreamExt as _;
use futures::future::join_all;

const MIB: usize = 1024 * 1024;

async fn opened() -> (World, Process, User) {
    let mut world = World::steady(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    (world, process, ada)
}

/// A run of one step whose first call is answered so; its end, and what was seen of its text by
/// attempt.
async fn answered(
    world: &World,
    process: &Process,
    ada: &User,
    (task, act): (&str, Act),
) -> (RunId, Vec<(u32, String)>) {
    world.simulator().script().on_prompt(task, act);
    let run = process.start_run(ada, line(task, ["Ann"])).await;
    let (mut texts, mut messages) = (
        Vec::<(u32, String)>::new(),
        process.messages(ada, run, Some(FeedCursor::default())).await,
    );
    while let Some(message) = messages.next().await {
        let body = message.unwrap().body;
        if stands_still(&body) {
            break;
        }
        let Body::Delta(delta) = body else { continue };
        match texts.last_mut() {
            Some((attempt, text)) if *attempt == delta.attempt => {
                assert_eq!(text.len() as u64, delta.offset);
                text.push_str(&delta.text);
            }
            Some(_) | None => texts.push((delta.attempt, delta.text)),
        }
    }
    (run, texts)
}

fn stream_of(body: impl Into<Vec<u8>>) -> Act {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Act::Raw(Raw { status: 200, headers, body: body.into() })
}

const START: &str = r#"data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3,"output_tokens":1}}}"#;
const OPEN: &str =
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const SAY: &str =
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half"}}"#;
const STOP: &str = r#"data: {"type":"message_stop"}"#;

/// Unusable bodies of streams, with the class of failure they lead to. The next attempt succeeds.
fn bad_streams() -> Vec<(&'static str, Act, &'static str)> {
    let events = |events: &[&str]| stream_of(events.join("\n\n") + "\n\n");
    let noise = |at, bytes: &[u8]| {
        Act::Reply(Reply { noise: Some((at, bytes.to_vec())), ..Reply::default() })
    };
    // Lines of comment that never end in an event.
    let endless = [b":".as_slice(), &vec![b'x'; MIB / 2], b"\n"].concat().repeat(130);
    vec![
        ("empty", events(&[]), "connection"),
        ("no end", events(&[START, OPEN, SAY]), "connection"),
        ("no start", events(&[OPEN, SAY]), "protocol"),
        ("no block and no end", events(&[START, SAY]), "connection"),
        ("no index", events(&[START, &SAY.replace(":0,", ":-1,")]), "protocol"),
        ("no json", events(&[START, "data: {\"type\":"]), "protocol"),
        ("no number and no end", events(&[&START.replace(":3,", ":-3,")]), "connection"),
        ("no text", events(&[START, OPEN, &SAY.replace("\"half\"", "7")]), "protocol"),
        ("no utf-8", noise(400, b"\xff\xfe"), "protocol"),
        (
            "a 100 MB line",
            stream_of([b"data: ".as_slice(), &vec![b'x'; 100 * MIB]].concat()),
            "protocol",
        ),
        ("endless", stream_of(endless), "protocol"),
        (
            "overloaded",
            Act::Reply(Reply {
                ending: Ending::ErrorOfType(1, "overloaded_error"),
                ..Reply::default()
            }),
            "overloaded",
        ),
        (
            "a fault",
            Act::Reply(Reply { ending: Ending::ErrorOfType(1, "api_error"), ..Reply::default() }),
            "overloaded",
        ),
        (
            "too fast",
            Act::Reply(Reply {
                ending: Ending::ErrorOfType(1, "rate_limit_error"),
                ..Reply::default()
            }),
            "rate_limit",
        ),
        (
            "new error",
            Act::Reply(Reply {
                ending: Ending::ErrorOfType(1, "brand_new_error"),
                ..Reply::default()
            }),
            "overloaded",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cant_be_used_is_a_failure_of_its_class_and_is_tried_again() {
    let (world, process, ada) = opened().await;
    for (name, act, class) in bad_streams() {
        let task = format!("Task: {name}.");
        let (run, texts) = answered(&world, &process, &ada, (&task, act)).await;
        let detail = process.detail(&ada, run).await;
        let step = &detail.view.run.steps[0];
        assert_eq!((detail.view.run.phase, step.attempts), (Phase::Completed, 2), "{name}");
        let failed = process.facts(run, "StepAttemptFailed").await;
        assert_eq!(
            (failed.len(), failed[0].1["class"].as_str(), failed[0].1["status"].as_u64()),
            (1, Some(class), Some(200)),
            "{name}"
        );
        assert_eq!(failed[0].1["maybe_billed"], true, "{name}");
        let (attempt, text) = texts.last().unwrap();
        assert_eq!((*attempt, Some(text.as_str())), (2, step.reply.as_deref()), "{name}");
        let void: usize =
            texts.iter().filter(|(attempt, _)| *attempt == 1).map(|(_, text)| text.len()).sum();
        assert_eq!(
            failed[0].1["partial_bytes"].as_u64(),
            Some(void as u64),
            "{name}: what was seen is what was received"
        );
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_head_that_no_repeat_mends_fails_the_run_or_pauses_it() {
    let (world, process, ada) = opened().await;
    for (kind, pauses) in [
        ("invalid_request_error", None),
        ("authentication_error", Some(PauseReason::KeyRefused)),
        ("permission_error", Some(PauseReason::KeyRefused)),
        ("billing_error", Some(PauseReason::Credit)),
    ] {
        let act = Act::Reply(Reply { ending: Ending::ErrorOfType(1, kind), ..Reply::default() });
        let (run, _) = answered(&world, &process, &ada, (kind, act)).await;
        let run = process.detail(&ada, run).await.view.run;
        let (phase, state) = match pauses {
            Some(reason) => (Phase::Paused(reason), StepState::Waiting { until: None }),
            None => (Phase::Failed, StepState::Failed(FailureClass::Request)),
        };
        assert_eq!((run.phase, run.steps[0].state), (phase, state), "{kind}");
        let code = run.failure.map(|failure| failure.code);
        assert_eq!(code, pauses.is_none().then_some(ErrorCode::Validation), "{kind}");
        assert_eq!(run.steps[0].upstream_status, Some(200), "{kind}");
        assert!(
            run.steps[0].usage.input > 0 && run.steps[0].upstream_request_id.is_some(),
            "{kind}"
        );
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_at_any_byte_inside_characters_too_loses_and_doubles_nothing() {
    let (world, process, ada) = opened().await;
    let text = "ñ✓𝄞".repeat(60);
    // The text begins behind some 600 bytes; each piece of it is longer than the step.
    let cuts = (0..110)
        .map(|n| n * 13)
        .chain((700..740).filter(|at| at % 13 != 0))
        .map(|at| (at, format!("Cut at byte {at}.")));
    let cut = |(at, task): (usize, String)| {
        let (world, process, ada, text) = (&world, &process, &ada, &text);
        async move {
            let script = world.simulator().script();
            let first = Act::Reply(Reply {
                ending: Ending::CutAtByte(at),
                split_bytes: 7,
                ..Reply::text(text.as_str())
            });
            script.on_prompt(&task, first);
            let (run, texts) =
                answered(world, process, ada, (&task, Act::Reply(Reply::text(text.as_str()))))
                    .await;
            let step = process.detail(ada, run).await.view.run.steps.remove(0);
            assert_eq!((step.attempts, step.reply.as_ref()), (2, Some(text)), "{at}");
            assert_eq!(texts.last(), Some(&(2, text.clone())), "{at}");
            let void = texts.iter().find(|(attempt, _)| *attempt == 1).map_or("", |(_, text)| text);
            assert!(text.starts_with(void), "{at}");
            void.len()
        }
    };
    let seen = join_all(cuts.map(cut)).await;
    assert!(
        seen.contains(&0) && seen.iter().any(|seen| *seen > 100),
        "cuts before the text, and in it"
    );
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_end_gives_no_reason_or_no_count_is_read_and_its_cost_is_unknown() {
    let (world, process, ada) = opened().await;
    let counted = r#"data: {"type":"message_delta","delta":{},"usage":{"output_tokens":2}}"#;
    let uncounted = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
    let negative = START.replace(":3,", ":-3,");
    for (task, events, is_known, reason) in [
        ("No reason.", vec![START, OPEN, SAY, counted, STOP], true, StopReason::Other),
        ("No count.", vec![START, OPEN, SAY, uncounted, STOP], false, StopReason::EndTurn),
        ("No delta.", vec![START, OPEN, SAY, STOP], false, StopReason::Other),
        ("No number.", vec![&negative, SAY, counted, STOP], false, StopReason::Other),
    ] {
        let act = stream_of(events.join("\n\n") + "\n\n");
        let (run, texts) = answered(&world, &process, &ada, (task, act)).await;
        assert_eq!(texts, [(1, "half".to_owned())], "{task}");
        let run = process.detail(&ada, run).await.view.run;
        assert_eq!(run.phase, Phase::Completed, "{task}");
        let step = &run.steps[0];
        assert_eq!((step.cost.is_unknown(), step.stop_reason), (!is_known, Some(reason)), "{task}");
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_nobody_knows_are_taken_and_a_message_that_begins_again_is_malformed() {
    let (world, process, ada) = opened().await;
    let noise = b"event: brand_new\ndata: {\"type\":\"brand_new\",\"x\":[1]}\n\n: a comment\n\nretry: 7\n\n".to_vec();
    let act = Act::Reply(Reply { noise: Some((0, noise)), ..Reply::text("All of it.") });
    let (run, texts) = answered(&world, &process, &ada, ("Unknown events.", act)).await;
    assert_eq!(texts, [(1, "All of it.".to_owned())]);
    assert_eq!(process.detail(&ada, run).await.view.run.steps[0].attempts, 1);
    let reason = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#;
    let second = START.replace("msg_1", "msg_2");
    let body = [START, OPEN, SAY, &second, OPEN, &SAY.replace("half", "whole"), reason, STOP]
        .join("\n\n")
        + "\n\n";
    let (run, texts) = answered(&world, &process, &ada, ("Begins again.", stream_of(body))).await;
    assert_eq!(texts[0], (1, "half".to_owned()));
    let (_, facts) = process.facts(run, "StepAttemptFailed").await.remove(0);
    assert_eq!(facts["class"], "protocol");
    let step = process.detail(&ada, run).await.view.run.steps.remove(0);
    assert_eq!((step.reply, step.attempts, step.counted), (Some(texts[1].1.clone()), 2, 2));
    process.stop().await;
    world.close().await;
}

/// The replies of an agent that must answer in JSON, and their effect: attempts of its step,
/// fallbacks, the run's phase.
struct Said {
    pattern: usize,
    texts: Vec<String>,
    attempts: u32,
    fallbacks: &'static [Fallback],
    phase: Phase,
}

fn said(pattern: usize, texts: &[&str], attempts: u32, fallbacks: &'static [Fallback]) -> Said {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    Said { pattern, texts, attempts, fallbacks, phase: Phase::Completed }
}

fn fenced(json: &str) -> String {
    format!("Sure:\n```json\n{json}\n```\nDone.")
}

fn garbage() -> Vec<Said> {
    const PLAN: &str = r#"{"subtasks":[{"worker":"Wall","task":"Build it."}]}"#;
    const NOBODY: &str = r#"{"subtasks":[{"worker":"Nobody","task":"x"}]}"#;
    const HALF_KNOWN: &str =
        r#"{"subtasks":[{"worker":"Nobody","task":"x"},{"worker":"Roof","task":"y"}]}"#;
    const CHOICE: &str = r#"{"selected_agents":["Painter"],"reasoning":"It is a wall."}"#;
    const DESIGN: &str = r#"{"name":"n","description":"d","blocks":[{"id":"b","type":"debate","data":{"label":"l"}}],"connections":[]}"#;
    const EMPTY: &str = r#"{"name":"n","description":"d","blocks":[],"connections":[]}"#;
    use Fallback::{
        EveryWorker, FirstSpecialist, JsonInText, NoKnownSpecialist, NoKnownWorker,
        UnknownSpecialist, UnknownWorker,
    };
    let failed = |said: Said| Said { phase: Phase::Failed, ..said };
    vec![
        said(2, &["no json", PLAN], 2, &[]),
        said(2, &["no json", "none again"], 2, &[EveryWorker]),
        said(2, &[&fenced(PLAN)], 1, &[JsonInText]),
        said(2, &[NOBODY], 1, &[UnknownWorker, NoKnownWorker]),
        said(2, &[HALF_KNOWN], 1, &[UnknownWorker]),
        said(4, &["", CHOICE], 2, &[]),
        said(4, &["{}", "{\"selected_agents\":7}"], 2, &[FirstSpecialist]),
        said(4, &[&fenced(CHOICE)], 1, &[JsonInText]),
        said(4, &[r#"{"selected_agents":["Nobody"]}"#], 1, &[UnknownSpecialist, NoKnownSpecialist]),
        said(5, &["no json", DESIGN], 2, &[]),
        said(5, &[&fenced(DESIGN)], 1, &[JsonInText]),
        failed(said(5, &["no json", "none again"], 2, &[])),
        failed(said(5, &["no json", EMPTY], 2, &[])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_where_json_was_asked_for_is_repaired_once_and_then_falls_back_or_fails() {
    let (world, process, ada) = opened().await;
    for (n, Said { pattern, texts, attempts, fallbacks, phase }) in
        garbage().into_iter().enumerate()
    {
        let marker = format!("Case {n}.");
        for text in &texts {
            let reply = Reply::text(text.as_str());
            world.simulator().script().on_prompt(&marker, Act::Reply(reply));
        }
        let run = process.start_run(&ada, asked(pattern, &marker)).await;
        let run = process.ended(&ada, run).await.view.run;
        let got: Vec<_> = run.fallbacks.iter().map(|(_, fallback)| *fallback).collect();
        assert_eq!(
            (run.phase, run.steps[0].attempts, &got[..]),
            (phase, attempts, fallbacks),
            "{n}: {texts:?}"
        );
        let has_result = claviger_domain::pattern::result(&run).is_some();
        assert_eq!(has_result, phase == Phase::Completed, "{n}");
        if phase == Phase::Failed {
            assert_eq!(run.failure.unwrap().code, ErrorCode::Upstream, "{n}");
            assert_eq!(run.steps[0].state, StepState::Failed(FailureClass::InvalidOutput), "{n}");
        }
        let calls = world.simulator().counts().calls(&key(Scenario::Good, 1));
        let of_case = calls
            .iter()
            .filter_map(|call| call.body.as_ref())
            .filter(|body| body.to_string().contains(&marker));
        let repairs = of_case
            .filter(|body| {
                body["messages"].to_string().contains("Your last answer could not be used")
            })
            .count();
        assert_eq!(repairs, usize::from(attempts == 2), "{n}: a repair says what was wrong");
    }
    process.stop().await;
    world.close().await;
}

/// One of each pattern with a task of this text; only the first agent's prompt contains it without
/// a reply.
fn asked(pattern: usize, text: &str) -> Draft {
    let text = text.to_owned();
    match one_of_each().remove(pattern).1 {
        Draft::Hierarchical { manager, workers, worker_names, .. } => {
            Draft::Hierarchical { task: text, manager, workers, worker_names }
        }
        Draft::Routing { router, specialists, specialist_names, .. } => {
            Draft::Routing { task: text, router, specialists, specialist_names }
        }
        Draft::Design { current, .. } => Draft::Design { prompt: text, current },
        other @ (Draft::Sequential { .. } | Draft::Debate { .. } | Draft::Parallel { .. }) => other,
    }
}
