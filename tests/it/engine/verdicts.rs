//! Whose fault it is that a call failed, what it cost, and what the user, the log and the metrics
//! learn of it.

use crate::harness::environment::without_waits;
use crate::harness::runs::line;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger::simulator::script::{Act, Raw, Refusal};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{Cost, Phase};

fn events(body: &[u8]) -> Act {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Act::Raw(Raw { status: 200, headers, body: body.to_vec() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_anthropic_refuses_fails_with_its_reason_and_the_code_of_whose_fault_it_is()
{
    let mut world = World::steady(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let refused =
        |status, said: &str| Act::Refuse(Refusal::new(status, "invalid_request_error", said));
    for (act, code, message) in [
        (
            refused(400, "prompt is too long: 215034 tokens > 200000 maximum"),
            ErrorCode::LimitExceeded,
            "the request is longer than the model takes (HTTP 400): prompt is too long: 215034 tokens > 200000 maximum",
        ),
        (
            refused(400, "max_tokens: 16384 > 8192"),
            ErrorCode::Validation,
            "Anthropic refused the request as invalid (HTTP 400): max_tokens: 16384 > 8192",
        ),
        (
            refused(413, "Request exceeds the maximum size"),
            ErrorCode::LimitExceeded,
            "the request is too large for Anthropic (HTTP 413): Request exceeds the maximum size",
        ),
        (
            refused(400, "messages.0: the key sk-ant-api03-abcdefgh is not text"),
            ErrorCode::Validation,
            "Anthropic refused the request as invalid (HTTP 400): messages.0: the key [removed] is not text",
        ),
    ] {
        world.simulator().script().on_prompt("Count.", act);
        let run = process.start_run(&ada, line("Count.", ["Ann"])).await;
        let failure = process.ended(&ada, run).await.view.run.failure.unwrap();
        assert_eq!(failure.code, code, "{message}");
        assert_eq!(failure.message, Some(format!("the agent \"Ann\" failed: {message}")));
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_costs_what_was_billed_or_an_unknown_sum() {
    let mut world = World::steady(StoreKind::Sqlite).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    for (task, body, phase, cost, says) in [
        (
            "Refused.",
            &include_bytes!("../fixtures/cases/B06-refusal-before-output.sse")[..],
            Phase::Failed,
            Cost(Some(0)),
            "the model refused to answer",
        ),
        (
            "In the United States.",
            &include_bytes!("../fixtures/cases/B09-geo-us.sse")[..],
            Phase::Completed,
            Cost(Some(16_500_000)),
            "",
        ),
        (
            "Cut, then well.",
            &include_bytes!("../fixtures/cases/B08-ends-in-mid-answer.sse")[..],
            Phase::Completed,
            Cost::unknown(),
            "",
        ),
    ] {
        world.simulator().script().on_prompt(task, events(body));
        let run = process.start_run(&ada, line(task, ["Ann"])).await;
        let run = process.ended(&ada, run).await.view.run;
        assert_eq!((run.phase, run.steps[0].cost), (phase, cost), "{task}");
        let message = run.failure.and_then(|failure| failure.message).unwrap_or_default();
        assert!(message.contains(says), "{task} {message}");
    }
    process.stop().await;
    world.close().await;
}
