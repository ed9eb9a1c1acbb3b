use crate::pattern_play::{Answer, Call, Played, agent, agents, play, says};
use claviger_domain::orchestration::{Draft, Fallback, Phase, Purpose};
use serde_json::json;

fn with_choice(choice: &str) -> Played {
    let draft = Draft::Routing {
        task: "Fix the sink.".to_owned(),
        router: agent("Ro"),
        specialists: agents(["Ann", "Bob", "Cid"]),
        specialist_names: None,
    };
    play(draft, |call: &Call| {
        if call.purpose == Purpose::Route {
            says(choice)
        } else {
            says(&format!("{} fixed it.", call.agent))
        }
    })
}

fn worked(played: &Played) -> Vec<&str> {
    played
        .calls
        .iter()
        .filter(|call| call.purpose == Purpose::Work)
        .map(|call| call.agent.as_str())
        .collect()
}

#[test]
fn the_chosen_specialists_work_on_the_task() {
    let played = with_choice(r#"{"selected_agents":["Cid","Ann"],"reasoning":"They know pipes."}"#);
    assert_eq!(worked(&played), ["Cid", "Ann"]);
    assert!(played.text(0).contains("## Bob\nYou are Bob.") && played.calls[0].is_json);
    assert_eq!(played.text(1), "Fix the sink.");
    let result = played.result();
    assert_eq!(result["pattern"], "dynamic_routing");
    assert_eq!(result["selected_agents"], json!(["Cid", "Ann"]));
    assert_eq!(result["reasoning"], "They know pipes.");
    assert_eq!(result["results"], json!({ "Cid": "Cid fixed it.", "Ann": "Ann fixed it." }));
    assert_eq!(
        claviger_domain::pattern::output(&played.run),
        None,
        "two specialists have no text of their own"
    );
}

#[test]
fn the_reply_of_an_only_specialist_is_the_output() {
    let played = with_choice(r#"{"selected_agents":["Bob"],"reasoning":""}"#);
    assert_eq!(claviger_domain::pattern::output(&played.run).as_deref(), Some("Bob fixed it."));
}

#[test]
fn what_a_router_may_get_wrong_falls_back_and_is_recorded() {
    use Fallback::{FirstSpecialist, JsonInText, NoKnownSpecialist, UnknownSpecialist};
    let table: &[(&str, &[&str], &[Fallback])] = &[
        ("Ann, I think.", &["Ann"], &[FirstSpecialist]),
        (r#"{"selected_agents":[],"reasoning":"nobody"}"#, &["Ann"], &[NoKnownSpecialist]),
        (r#"{"selected_agents":["Eve"]}"#, &["Ann"], &[UnknownSpecialist, NoKnownSpecialist]),
        (r#"{"selected_agents":["Eve","Bob","Eve","Bob"]}"#, &["Bob"], &[UnknownSpecialist]),
        (r#"Sure! {"selected_agents":["Cid"]} Bye."#, &["Cid"], &[JsonInText]),
        (r#"{"selected_agents":["Ro"]}"#, &["Ann"], &[UnknownSpecialist, NoKnownSpecialist]),
    ];
    for (choice, expected, fallbacks) in table {
        let played = with_choice(choice);
        assert_eq!(worked(&played), *expected, "{choice}");
        assert_eq!(played.fallbacks(), *fallbacks, "{choice}");
        assert_eq!(played.run.phase, Phase::Completed, "{choice}");
    }
}

#[test]
fn a_router_who_fails_ends_the_run() {
    let draft = Draft::Routing {
        task: "Fix the sink.".to_owned(),
        router: agent("Ro"),
        specialists: agents(["Ann"]),
        specialist_names: None,
    };
    assert_eq!(play(draft, |_| Answer::Fails).run.phase, Phase::Failed);
}
