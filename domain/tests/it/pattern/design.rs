use crate::given::NOW;
use crate::pattern_play::{Played, play, says};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{Draft, FailureClass, Fallback, Next, Phase};
use claviger_domain::pattern::{plan, prompt};
use serde_json::{Value, json};

fn with(answers: &[String]) -> Played {
    let mut answers = answers.iter();
    let draft =
        Draft::Design { prompt: "A newsroom.".to_owned(), current: Some(json!({ "name": "old" })) };
    play(draft, |_| says(answers.next().unwrap()))
}

fn block(id: &str) -> Value {
    let data = json!({ "label": id, "agents": [{ "name": "Ann", "system_prompt": "", "role": "worker" }], "task": "Write." });
    json!({ "id": id, "type": "sequential", "position": { "x": 50.0, "y": 50.0 }, "data": data })
}

fn design(blocks: &[Value], connections: &[Value]) -> String {
    json!({ "name": "News", "description": "Daily", "blocks": blocks, "connections": connections })
        .to_string()
}

fn connection(source: &str, target: &str) -> Value {
    json!({ "id": "c", "source": source, "target": target, "type": "block" })
}

#[test]
fn a_design_is_the_answer_of_one_call_that_gets_what_there_is() {
    let answer = design(&[block("a"), block("b")], &[connection("a", "b")]);
    let played = with(std::slice::from_ref(&answer));
    assert_eq!(played.result(), serde_json::from_str::<Value>(&answer).unwrap());
    assert!(
        played.text(0).contains("# What is wanted\nA newsroom.")
            && played.text(0).contains(r#"{"name":"old"}"#)
    );
    assert!(played.calls[0].is_json);
}

#[test]
fn a_design_that_stood_in_other_text_is_taken_out_of_it_and_that_is_recorded_once() {
    let answer = design(&[block("a")], &[]);
    let played = with(&[format!("Here it is:\n```json\n{answer}\n```")]);
    assert_eq!(played.result(), serde_json::from_str::<Value>(&answer).unwrap());
    assert_eq!(played.fallbacks(), [Fallback::JsonInText]);
    assert_eq!(with(&[answer]).fallbacks(), []);
}

#[test]
fn what_is_wrong_with_a_design_is_told_and_asked_for_once_more() {
    let good = design(&[block("a")], &[]);
    let no_agent = json!({ "id": "c", "source": "a", "target": "a", "type": "agent", "sourceAgent": "Eve", "targetAgent": "Ann" });
    let table = [
        ("no JSON".to_owned(), "isn't JSON"),
        (design(&[], &[]), "there are no blocks"),
        (design(&[block("a"), block("a")], &[]), "two blocks have the id \"a\""),
        (
            design(&[block("a")], &[connection("a", "z")]),
            "names the block \"z\", which does not exist",
        ),
        (design(&[block("a")], &[no_agent]), "must name an agent of the block \"a\""),
        (
            design(&[block("a"), block("b")], &[connection("a", "b"), connection("b", "a")]),
            "two connections have the id",
        ),
        (good.replace("sequential", "magical"), "isn't JSON of the schema"),
    ];
    for (bad, why) in table {
        let played = with(&[bad.clone(), good.clone()]);
        assert_eq!(played.run.phase, Phase::Completed, "{bad}");
        assert!(played.text(1).contains(why), "{why}: {}", played.text(1));
    }
}

#[test]
fn a_design_that_stays_wrong_fails_the_run() {
    let played = with(&["no".to_owned(), "still no".to_owned()]);
    assert_eq!(played.calls.len(), 2);
    let (code, message) = played.failure();
    assert_eq!(code, ErrorCode::Upstream);
    assert!(message.starts_with("the call failed: the answer isn't JSON"), "{message}");
}

#[test]
fn what_was_wrong_with_an_answer_is_still_told_after_a_failure_of_another_kind() {
    let mut played = Played::begin(Draft::Design { prompt: "A team.".to_owned(), current: None });
    let next = plan(&played.run);
    played.plan_steps(&next);
    let step = played.run.steps[0].planned.step;
    for (class, message) in [
        (FailureClass::InvalidOutput, "there are no blocks"),
        (FailureClass::Overloaded, "too busy"),
    ] {
        played.start(step);
        played.fail(step, class, Next::Retry { at: NOW }, message);
    }
    let told = prompt(&played.run, &played.run.steps[0]).unwrap().text();
    assert!(
        told.contains("could not be used\nthere are no blocks\n") && !told.contains("too busy"),
        "{told}"
    );
}
