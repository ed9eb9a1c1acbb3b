use crate::pattern_play::{Answer, agent, agents, moderator, play, says};
use claviger_domain::orchestration::{Draft, Phase, Purpose};
use claviger_domain::pattern::HISTORY_MAX;
use serde_json::json;

fn debate(with_moderator: bool, rounds: u32) -> Draft {
    let agents = if with_moderator {
        vec![moderator("Mo"), agent("Ann"), agent("Bob")]
    } else {
        agents(["Ann", "Bob"]).clone()
    };
    Draft::Debate { topic: "Tabs or spaces?".to_owned(), agents, participants: None, rounds }
}

#[test]
fn everybody_speaks_once_a_round_and_the_moderator_last_whose_last_word_is_the_verdict() {
    let mut n = 0;
    let played = play(debate(true, 2), |_| {
        n += 1;
        says(&format!("statement {n}"))
    });
    let (turn, verdict) = (Purpose::Turn, Purpose::Verdict);
    let asked =
        [("Ann", turn), ("Bob", turn), ("Mo", turn), ("Ann", turn), ("Bob", turn), ("Mo", verdict)];
    assert_eq!(played.asked(), asked);
    let result = played.result();
    assert_eq!(result["final_result"], "statement 6");
    assert_eq!(result["participants"], json!(["Mo", "Ann", "Bob"]));
    assert_eq!(result["rounds"], 2);
    let third = json!({ "round": 1, "agent": "Mo", "statement": "statement 3", "duration_ms": 20 });
    assert_eq!(result["debate_history"][2], third);
    assert_eq!(result["debate_history"].as_array().unwrap().len(), 6);
}

#[test]
fn a_debate_without_a_moderator_has_no_verdict() {
    let played = play(debate(false, 1), |_| says("so"));
    assert_eq!(played.result()["final_result"], json!(null));
    assert_eq!(claviger_domain::pattern::output(&played.run), None);
}

#[test]
fn a_speaker_hears_everything_before_and_a_moderator_the_round() {
    let mut n = 0;
    let played = play(debate(true, 2), |_| {
        n += 1;
        says(&format!("statement {n}"))
    });
    let heard = |call: usize| {
        (1..=6)
            .filter(|n| played.text(call).contains(&format!("statement {n}")))
            .collect::<Vec<_>>()
    };
    assert_eq!(heard(0), Vec::<i32>::new());
    assert_eq!(heard(1), [1]);
    assert_eq!(heard(2), [1, 2]);
    assert_eq!(heard(3), [1, 2, 3]);
    assert_eq!(heard(5), [4, 5], "the moderator weighs the round alone");
    assert!(
        played.text(3).contains("# Round 2 of 2\n")
            && played.text(3).contains("## Mo, round 1\n```\nstatement 3\n```")
    );
    assert!(played.text(0).starts_with("# Topic\nTabs or spaces?\n\n# Round 1 of 2\n"));
}

#[test]
fn when_there_is_too_much_to_hear_the_oldest_statements_are_cut_first() {
    let long = "x".repeat(HISTORY_MAX / 2 - 200);
    let played = play(debate(false, 2), |_| says(&long));
    let whole = |call: usize| played.text(call).matches(&long).count();
    assert_eq!((whole(2), whole(3)), (2, 2));
    assert!(played.text(3).contains(&format!("## Ann, round 1\n```\n{}...", "x".repeat(200))));
}

#[test]
fn a_debater_who_fails_ends_the_debate() {
    let played =
        play(debate(true, 2), |call| if call.agent == "Bob" { Answer::Fails } else { says("so") });
    assert_eq!(played.run.phase, Phase::Failed);
    assert_eq!(played.calls.len(), 2);
}
