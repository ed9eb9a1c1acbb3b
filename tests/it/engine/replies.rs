//! Replies that cannot be used as they are: asked for again with more room, replaced where the
//! pattern can, and never passed on as if something had been said.

use crate::harness::process::Process;
use crate::harness::runs::{agent, agents, line, start};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Raw, Refusal, Reply};
use claviger_application::{RunDetail, StartRun};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{AgentDraft, Draft, FailureClass, Fallback, Phase, StepState};
use claviger_domain::pattern::{REPLIES_MAX, output};
use serde_json::Value;

/// A stream of one block, cut by the bound of tokens.
fn cut(kind: &str, delta: &str, text: &str) -> Act {
    let text = serde_json::to_string(text).unwrap();
    let body = format!(
        r#"event: message_start
data: {{"type":"message_start","message":{{"id":"msg_a","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":1000,"output_tokens":1}}}}}}

event: content_block_start
data: {{"type":"content_block_start","index":0,"content_block":{{"type":"{kind}","{kind}":""}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":0,"delta":{{"type":"{delta}","{kind}":{text}}}}}

event: content_block_stop
data: {{"type":"content_block_stop","index":0}}

event: message_delta
data: {{"type":"message_delta","delta":{{"stop_reason":"max_tokens","stop_sequence":null}},"usage":{{"output_tokens":1024}}}}

event: message_stop
data: {{"type":"message_stop"}}

"#
    );
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Act::Raw(Raw { status: 200, headers, body: body.into_bytes() })
}

fn thinking() -> Act {
    cut("thinking", "thinking_delta", "hm")
}

fn half_a_plan() -> Act {
    cut("text", "text_delta", r#"{"subtasks":[{"worker":"Wall","task":"the fir"#)
}

/// What the key's calls asked for, in order: bound of tokens and the text of the turn.
fn asked(world: &World) -> Vec<(u64, String)> {
    let calls = world.simulator().counts().calls(&key(Scenario::Good, 1));
    let bodies = calls.iter().filter_map(|call| call.body.as_ref());
    bodies.map(|body| (body["max_tokens"].as_u64().unwrap(), text_of(body))).collect()
}

fn text_of(body: &Value) -> String {
    let blocks = body["messages"][0]["content"].as_array().unwrap();
    blocks.iter().filter_map(|block| block["text"].as_str()).collect()
}

async fn ran(draft: Draft, script: impl FnOnce(&World)) -> (World, RunDetail) {
    let world = World::steady(StoreKind::Sqlite).await;
    let process: Process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    script(&world);
    let run = process.try_start(&ada, StartRun { ..start(draft) }, None).await.unwrap().run;
    let detail = process.ended(&ada, run).await;
    process.stop().await;
    (world, detail)
}

fn small(names: [&str; 2]) -> Vec<AgentDraft> {
    agents(names).into_iter().map(|agent| AgentDraft { max_tokens: Some(500), ..agent }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_of_thinking_alone_is_asked_for_once_more_with_room() {
    let draft = || {
        let task = crate::harness::runs::task("Count.");
        Draft::Sequential { task, agents: small(["Ann", "Ben"]), sequence: None }
    };
    let (world, detail) = ran(draft(), |world| {
        world.simulator().script().on_prompt("You are Ann.", thinking());
    })
    .await;
    assert_eq!(detail.view.run.phase, Phase::Completed);
    assert_eq!(detail.view.run.steps[0].attempts, 2);
    assert_eq!(asked(&world).iter().map(|(room, _)| *room).collect::<Vec<_>>(), [500, 2_000, 500]);
    world.close().await;
    let (world, detail) = ran(draft(), |world| {
        for act in [thinking(), cut("text", "text_delta", " \n"), thinking()] {
            world.simulator().script().on_prompt("You are Ann.", act);
        }
    })
    .await;
    let step = &detail.view.run.steps[0];
    assert_eq!((detail.view.run.phase, step.attempts), (Phase::Failed, 2), "once, and not again");
    assert_eq!(step.state, StepState::Failed(FailureClass::InvalidOutput));
    assert!(asked(&world).iter().all(|(_, text)| !text.contains("No response")));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_cut_is_asked_for_with_more_room_and_its_fallback_is_recorded() {
    let draft = || Draft::Hierarchical {
        task: "Build a house.".to_owned(),
        manager: AgentDraft { max_tokens: Some(500), ..agent("Boss") },
        workers: agents(["Wall", "Roof"]),
        worker_names: None,
    };
    for (acts, expected) in [
        (vec![half_a_plan()], None),
        (vec![half_a_plan(), half_a_plan()], Some(Fallback::EveryWorker)),
        (vec![half_a_plan(), thinking()], Some(Fallback::EveryWorker)),
    ] {
        let (world, detail) = ran(draft(), |world| {
            for act in acts {
                world.simulator().script().on_prompt("You are Boss.", act);
            }
        })
        .await;
        let run = &detail.view.run;
        assert_eq!(run.phase, Phase::Completed);
        assert_eq!(run.fallback_of(run.steps[0].planned.step), expected);
        assert_eq!(
            asked(&world)[..2].iter().map(|(room, _)| *room).collect::<Vec<_>>(),
            [500, 2_000]
        );
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synthesis_is_bounded_before_it_is_sent_and_short_parts_stay_whole() {
    let draft = Draft::Hierarchical {
        task: "Build a house.".to_owned(),
        manager: agent("Boss"),
        workers: agents(["Wall", "Roof"]),
        worker_names: None,
    };
    let long = "wörd ".repeat(100_000);
    let (world, detail) = ran(draft, |world| {
        let parts = r#"{"subtasks":[{"worker":"Wall","task":"W"},{"worker":"Roof","task":"R"}]}"#;
        let script = world.simulator().script();
        script.on_prompt("You are Boss.", Act::Reply(Reply::text(parts)));
        script.on_prompt("You are Wall.", cut("text", "text_delta", &long));
        script.on_prompt("You are Roof.", Act::Reply(Reply::text("short and whole")));
    })
    .await;
    assert_eq!(detail.view.run.phase, Phase::Completed);
    let (_, prompt) = asked(&world).pop().unwrap();
    assert!(prompt.len() < REPLIES_MAX + 2_000, "{}", prompt.len());
    assert!(prompt.contains("short and whole"), "{}", prompt.chars().take(900).collect::<String>());
    assert!(prompt.contains("more bytes are left out"));
    let result = claviger_domain::pattern::result(&detail.view.run).unwrap();
    assert_eq!(result["worker_results"]["Wall"].as_str().unwrap().len(), long.len(), "as it is");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_cannot_be_put_together_are_the_result_as_they_are() {
    for (act, class) in [
        (Act::Scenario(Scenario::TooLarge), None),
        (Act::Scenario(Scenario::BadRequest), None),
        (Act::Scenario(Scenario::Refusal), Some(FailureClass::Refusal)),
    ] {
        for (_, draft) in super::world::one_of_each().into_iter().skip(2).take(2) {
            let (world, detail) = ran(draft, |world| {
                let script = world.simulator().script();
                script.on_prompt("Put the", act.clone());
            })
            .await;
            let run = &detail.view.run;
            let last = run.steps.last().unwrap();
            assert_eq!(run.phase, Phase::Completed, "{act:?}");
            assert!(
                matches!(last.state, StepState::Failed(of) if class.is_none_or(|class| of == class))
            );
            assert_eq!(run.fallback_of(last.planned.step), Some(Fallback::PartsAsTheyAre));
            let text = output(run).unwrap();
            for part in run.steps.iter().filter(|step| step.planned.purpose.as_str() == "work") {
                assert!(text.contains(part.reply.as_deref().unwrap()), "{text}");
            }
            world.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_itself_is_wrong_with_still_fails() {
    let refusal = Refusal::new(400, "invalid_request_error", "max_tokens: 16384 > 8192");
    let (world, detail) = ran(line("Count.", ["Ann"]), |world| {
        world.simulator().script().on_prompt("You are Ann.", Act::Refuse(refusal));
    })
    .await;
    assert_eq!(detail.view.run.phase, Phase::Failed);
    assert_eq!(detail.view.run.failure.unwrap().code, ErrorCode::Validation);
    world.close().await;
}
