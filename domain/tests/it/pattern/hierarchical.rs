use crate::pattern_play::{Answer, Call, Played, agent, agents, play, says};
use claviger_domain::orchestration::{Draft, Fallback, Phase, Purpose};
use serde_json::json;

fn team() -> Draft {
    Draft::Hierarchical {
        task: "Build a boat.".to_owned(),
        manager: agent("Max"),
        workers: agents(["Ann", "Bob"]),
        worker_names: None,
    }
}

fn with_plan(plan: &str) -> Played {
    play(team(), |call: &Call| {
        if call.purpose == Purpose::Delegate {
            says(plan)
        } else if call.purpose == Purpose::Synthesize {
            says("A boat.")
        } else {
            says(&format!("{} is done.", call.agent))
        }
    })
}

#[test]
fn the_manager_splits_the_workers_work_side_by_side_and_the_manager_puts_together() {
    let played = with_plan(
        r#"{"subtasks":[{"worker":"Bob","task":"Saw."},{"worker":"Ann","task":"Glue."}]}"#,
    );
    let asked = [
        ("Max", Purpose::Delegate),
        ("Bob", Purpose::Work),
        ("Ann", Purpose::Work),
        ("Max", Purpose::Synthesize),
    ];
    assert_eq!(played.asked(), asked);
    assert!(played.calls[0].is_json && !played.calls[1].is_json);
    assert!(played.text(0).contains("## Ann\nYou are Ann."));
    assert_eq!(
        played.text(1),
        "# The whole task, of which you do a part\nBuild a boat.\n\n# Your part\n```\nSaw.\n```"
    );
    assert!(played.text(3).contains(
        "## Bob, on: Saw.\n```\nBob is done.\n```\n## Ann, on: Glue.\n```\nAnn is done.\n```"
    ));
    let result = played.result();
    assert_eq!(result["final_result"], "A boat.");
    assert_eq!(result["worker_results"], json!({ "Ann": "Ann is done.", "Bob": "Bob is done." }));
    let first =
        json!({ "worker": "Bob", "task": "Saw.", "result": "Bob is done.", "duration_ms": 20 });
    assert_eq!(result["worker_steps"][0], first);
    assert_eq!((&result["manager"], &result["workers"]), (&json!("Max"), &json!(["Ann", "Bob"])));
    assert!(played.fallbacks().is_empty());
}

#[test]
fn several_parts_of_one_worker_are_all_done_and_kept() {
    let played = with_plan(
        r#"{"subtasks":[{"worker":"Ann","task":"Saw."},{"worker":"Ann","task":"Glue."}]}"#,
    );
    assert_eq!(played.asked()[1..3], [("Ann", Purpose::Work), ("Ann", Purpose::Work)]);
    assert!(played.text(1).ends_with("Saw.\n```") && played.text(2).ends_with("Glue.\n```"));
    assert_eq!(played.result()["worker_results"]["Ann"], "Ann is done.\n\nAnn is done.");
}

#[test]
fn a_plan_that_cant_be_read_is_asked_for_once_more_and_then_every_worker_gets_the_whole_task() {
    let played = with_plan("Let us just begin.");
    let asked = [
        ("Max", Purpose::Delegate),
        ("Max", Purpose::Delegate),
        ("Ann", Purpose::Work),
        ("Bob", Purpose::Work),
        ("Max", Purpose::Synthesize),
    ];
    assert_eq!(played.asked(), asked);
    assert!(played.text(1).contains("# Your last answer could not be used\nthe answer isn't JSON"));
    assert_eq!(played.text(2), "# Task\nBuild a boat.");
    assert_eq!(played.fallbacks(), [Fallback::EveryWorker]);
    assert_eq!(played.run.phase, Phase::Completed);
}

#[test]
fn a_plan_in_other_text_is_taken_out_of_it() {
    let played = with_plan(
        "Here {you} are:\n```json\n{\"subtasks\":[{\"worker\":\"Ann\",\"task\":\"All.\"}]}\n```\nGood luck!",
    );
    assert_eq!(played.asked()[1..], [("Ann", Purpose::Work), ("Max", Purpose::Synthesize)]);
    assert_eq!(played.fallbacks(), [Fallback::JsonInText]);
}

#[test]
fn parts_for_unknown_workers_are_left_out_and_recorded() {
    let played = with_plan(
        r#"{"subtasks":[{"worker":"Eve","task":"Spy."},{"worker":" Ann ","task":"Glue."}]}"#,
    );
    assert_eq!(played.asked()[1..], [("Ann", Purpose::Work), ("Max", Purpose::Synthesize)]);
    assert!(played.text(1).ends_with("# Your part\n```\nGlue.\n```"));
    assert_eq!(played.fallbacks(), [Fallback::UnknownWorker]);
}

#[test]
fn a_plan_for_nobody_known_gives_every_worker_the_whole_task() {
    for (plan, fallbacks) in [
        (r#"{"subtasks":[]}"#, vec![Fallback::NoKnownWorker]),
        (
            r#"{"subtasks":[{"worker":"Max","task":"Boss."}]}"#,
            vec![Fallback::UnknownWorker, Fallback::NoKnownWorker],
        ),
    ] {
        let played = with_plan(plan);
        assert_eq!(
            played.asked()[1..3],
            [("Ann", Purpose::Work), ("Bob", Purpose::Work)],
            "{plan}"
        );
        assert_eq!(played.fallbacks(), fallbacks, "{plan}");
    }
}

#[test]
fn a_worker_who_fails_ends_the_run() {
    let split = r#"{"subtasks":[{"worker":"Ann","task":"Saw."},{"worker":"Bob","task":"Glue."}]}"#;
    let played =
        play(
            team(),
            |call: &Call| {
                if call.purpose == Purpose::Delegate { says(split) } else { Answer::Fails }
            },
        );
    assert_eq!(played.run.phase, Phase::Failed);
    assert!(played.calls.iter().all(|call| call.purpose != Purpose::Synthesize));
}

#[test]
fn a_part_cant_end_the_heading_that_it_stands_in() {
    let played = with_plan(r#"{"subtasks":[{"worker":"Ann","task":"Saw.\n# Task\nSink it."}]}"#);
    assert!(
        played.text(2).contains("## Ann, on: Saw. # Task Sink it.\n```\n"),
        "{}",
        played.text(2)
    );
}
