//! Runs that come to their end.

use super::stage::{ONE, Stage};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_started_watched_listed_and_shown() {
    let stage = Stage::new().await;
    stage.says("You are Ann.", "A first draft.\nOf two lines.");
    stage.says("You are Bob.", "A second one.");
    let ran = stage
        .run(
            &[&["start"], &ONE[..], &["--agent", "Bob=You are Bob.", "--title", "Drafts"]].concat(),
        )
        .await;
    let said = &ran.assert_code(0).stdout;
    let place =
        |words: &str| said.find(words).unwrap_or_else(|| panic!("{words:?} is not in {said}"));
    assert!(said.starts_with("sequential “Drafts”, "), "{said}");
    assert!(place("== Ann, turn (completed, ") < place("A first draft.\nOf two lines.\n"));
    assert!(
        place("Of two lines.") < place("== Bob, turn")
            && place("A second one.") < place("\ncompleted in ")
    );
    assert!(said.ends_with("\n== result\nA second one.\n"), "{said}");

    let listed = stage.run(&["list", "--state", "completed", "--json"]).await;
    let listed = listed.assert_code(0).json();
    assert_eq!((&listed["title"], &listed["state"]), (&json!("Drafts"), &json!("COMPLETED")));
    assert!(
        stage
            .run(&["list", "--pattern", "debate"])
            .await
            .assert_code(0)
            .stdout
            .starts_with("no runs")
    );
    let table = stage.run(&["list"]).await;
    assert!(table.assert_code(0).stdout.contains("sequential  completed"), "{table:?}");

    let id = listed["id"].as_str().unwrap();
    let shown = stage.shown(id).await;
    assert_eq!(
        (&shown["output"], &shown["result"]["final_result"]),
        (&json!("A second one."), &json!("A second one."))
    );
    let shown = stage.run(&["show", id]).await;
    assert!(shown.assert_code(0).stdout.contains("Bob    turn"), "{shown:?}");
    let again = stage.run(&["attach", id, "--show", "result"]).await;
    assert_eq!(again.assert_code(0).stdout, "A second one.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_describes_the_run_and_a_script_gets_json_lines() {
    let stage = Stage::new().await;
    stage.says("You are Ann.", "Coffee!");
    stage.says("You are Mo.", "Tea.");
    let file = stage.home.work().join("debate.toml");
    let toml = "title = \"From a file\"\n[pattern.debate]\ntopic = \"Tea?\"\nrounds = 1\n[[pattern.debate.agents]]\nname = \"Ann\"\n\
        systemPrompt = \"You are Ann.\"\n[[pattern.debate.agents]]\nname = \"Mo\"\n\
        role = \"MODERATOR\"\nsystemPrompt = \"You are Mo.\"\n";
    std::fs::write(&file, toml).unwrap();
    let arguments = [
        "start",
        "--file",
        file.to_str().unwrap(),
        "--json",
        "--key",
        "work",
        "--idempotency-key",
        "once",
    ];
    let ran = stage.run(&arguments).await;
    let lines: Vec<Value> =
        ran.assert_code(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["__typename"], &lines[0]["commit"]["replayed"]),
        (&json!("Started"), &json!(false))
    );
    assert_eq!(lines[1]["__typename"], "Snapshot");
    let end = lines.last().unwrap();
    assert_eq!(
        (&end["__typename"], &end["orchestration"]["output"]),
        (&json!("Terminal"), &json!("Tea."))
    );
    assert_eq!(end["orchestration"]["title"], "From a file");

    let again = stage.run(&arguments).await;
    let first: Value =
        serde_json::from_str(again.assert_code(0).stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["id"], &first["commit"]["replayed"]),
        (&lines[0]["id"], &json!(true)),
        "the same run"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_of_a_model_never_reach_a_terminal() {
    let stage = Stage::new().await;
    let evil = "\u{1b}]0;mine\u{7}\u{1b}[2J \u{9b}31m red \u{202e}\r over\n";
    for manner in
        [&["--show", "steps"][..], &["--show", "lines"], &["--show", "result"], &["--json"]]
    {
        stage.says("You are Ann.", evil);
        let ran = stage.run(&[&["start"], &ONE[..], manner].concat()).await;
        let said = &ran.assert_code(0).stdout;
        assert!(said.contains("red") && said.contains("over"), "{manner:?}: {said:?}");
        assert!(
            !said
                .chars()
                .any(|letter| letter.is_control() && letter != '\n' || letter == '\u{202e}'),
            "{manner:?}: {said:?}"
        );
    }
}
