use crate::pattern_play::{Answer, Call, Played, agent, agents, play, says};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{Draft, OnFailure, Phase, Purpose};
use serde_json::json;

/// Three agents of whom those named fail.
fn with(aggregates: bool, on_failure: OnFailure, failing: &[&str]) -> Played {
    let draft = Draft::Parallel {
        task: "Guess.".to_owned(),
        agents: agents(["Ann", "Bob", "Cid"]),
        agent_names: None,
        aggregator: aggregates.then(|| agent("Agg")),
        on_failure,
    };
    play(draft, |call: &Call| {
        if failing.contains(&call.agent.as_str()) {
            Answer::Fails
        } else {
            says(&format!("{}!", call.agent))
        }
    })
}

#[test]
fn all_get_the_task_and_the_aggregator_gets_their_replies_in_the_order_of_the_request() {
    let played = with(true, OnFailure::Fail, &[]);
    let work = Purpose::Work;
    assert_eq!(
        played.asked(),
        [("Ann", work), ("Bob", work), ("Cid", work), ("Agg", Purpose::Aggregate)]
    );
    assert_eq!(played.text(1), "Guess.");
    assert!(played.text(3).contains(
        "# Replies to it\n## Ann\n```\nAnn!\n```\n## Bob\n```\nBob!\n```\n## Cid\n```\nCid!\n```"
    ));
    let result = played.result();
    assert_eq!(result["aggregated_result"], "Agg!");
    assert_eq!(result["aggregator"], "Agg");
    assert_eq!(
        result["individual_results"],
        json!({ "Ann": "Ann!", "Bob": "Bob!", "Cid": "Cid!" })
    );
    assert_eq!(
        result["agent_steps"][2],
        json!({ "agent": "Cid", "result": "Cid!", "duration_ms": 20 })
    );
}

#[test]
fn without_an_aggregator_the_replies_are_the_result() {
    let result = with(false, OnFailure::Fail, &[]).result();
    assert_eq!((&result["aggregator"], &result["aggregated_result"]), (&json!(null), &json!(null)));
}

#[test]
fn how_many_failures_a_run_survives_is_its_policy() {
    let quorum = OnFailure::Quorum;
    let table: &[(OnFailure, &[&str], bool)] = &[
        (OnFailure::Fail, &["Bob"], false),
        (OnFailure::Continue, &["Ann", "Bob"], true),
        (OnFailure::Continue, &["Ann", "Bob", "Cid"], false),
        (quorum(2), &["Bob"], true),
        (quorum(2), &["Ann", "Bob"], false),
        (quorum(3), &["Bob"], false),
        (quorum(1), &["Ann", "Bob"], true),
    ];
    for (on_failure, failing, survives) in table {
        let played = with(true, *on_failure, failing);
        let phase = if *survives { Phase::Completed } else { Phase::Failed };
        assert_eq!(played.run.phase, phase, "{on_failure:?} {failing:?}");
        let aggregated = played.calls.iter().any(|call| call.purpose == Purpose::Aggregate);
        assert_eq!(aggregated, *survives, "{on_failure:?} {failing:?}");
    }
}

#[test]
fn a_survived_failure_is_missing_from_the_replies() {
    let played = with(true, OnFailure::Continue, &["Bob"]);
    assert_eq!(played.result()["individual_results"], json!({ "Ann": "Ann!", "Cid": "Cid!" }));
    assert!(!played.text(3).contains("## Bob"));
}

#[test]
fn a_missed_quorum_is_said_in_numbers() {
    let played = with(false, OnFailure::Quorum(2), &["Ann", "Bob"]);
    let message = "2 of 3 agents failed, and 2 must succeed: see the steps for why";
    assert_eq!(played.failure(), (ErrorCode::Upstream, message));
}

#[test]
fn an_aggregator_who_fails_ends_the_run_whatever_the_policy() {
    assert_eq!(with(true, OnFailure::Continue, &["Agg"]).run.phase, Phase::Failed);
}
