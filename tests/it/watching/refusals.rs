//! What comes to nothing, and the codes it ends with.

use super::stage::{ONE, Stage};
use crate::harness::person::password;
use crate::harness::program::Ran;
use claviger::simulator::script::{Act, Refusal};
use claviger_domain::code::ErrorCode;

fn code(code: ErrorCode) -> i32 {
    i32::from(code.exit_code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_ends_with_the_code_of_what_failed_it() {
    let stage = Stage::new().await;
    stage.simulator.script().on_prompt(
        "You are Ann.",
        Act::Refuse(Refusal::new(400, "invalid_request_error", "too odd")),
    );
    let ran = stage.run(&[&["start"], &ONE[..]].concat()).await;
    assert!(ran.stdout.contains("== Ann, turn (failed"), "{ran:?}");
    let id = stage.run(&["list", "--json"]).await.json()["id"].as_str().unwrap().to_owned();
    let shown = stage.shown(&id).await;
    assert_eq!(shown["state"], "FAILED");
    let failed_by = ErrorCode::ALL
        .iter()
        .copied()
        .find(|known| shown["error"]["code"] == known.as_str())
        .unwrap();
    ran.assert_code(code(failed_by));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_rights_and_unknown_runs_are_refused_with_what_to_do() {
    let stage = Stage::new().await;
    let anonymous = stage.home.command(&["run", "list", "--url", stage.server.url()]);
    let unauthenticated = code(ErrorCode::Unauthenticated);
    Ran::of(anonymous, b"").assert_refused(
        unauthenticated,
        &["CLAVIGER_TOKEN", "--password-stdin", "[UNAUTHENTICATED]"],
    );
    let log_in = |password: &str| {
        let command = stage.home.command(&[
            "run",
            "list",
            "--url",
            stage.server.url(),
            "--user",
            "ada",
            "--password-stdin",
        ]);
        Ran::of(command, format!("{password}\n").as_bytes())
    };
    log_in("wrong password").assert_refused(unauthenticated, &["[UNAUTHENTICATED]"]);
    assert!(log_in(&password("ada")).assert_code(0).stdout.starts_with("no runs"));
    let sessions = stage.account.ask("{ viewer { sessions { id } } }", serde_json::json!({})).await;
    assert_eq!(
        sessions["viewer"]["sessions"].as_array().unwrap().len(),
        1,
        "the command's session went with it: {sessions}"
    );

    for command in ["attach", "show", "cancel", "pause", "resume"] {
        stage
            .run(&[command, "nothing"])
            .await
            .assert_refused(code(ErrorCode::NotFound), &["[NOT_FOUND]"]);
    }
    let no_key = stage.run(&[&["start", "--key", "nothing"], &ONE[..]].concat()).await;
    no_key.assert_refused(code(ErrorCode::NotFound), &["no such key"]);
    let twice = stage.run(&[&["start"], &ONE[..], &["--agent", "Ann=Again."]].concat()).await;
    twice.assert_refused(code(ErrorCode::Validation), &["Ann", "[VALIDATION]"]);
    let odd = stage.run(&[&["start"], &ONE[..], &["--rounds", "2"]].concat()).await;
    odd.assert_refused(
        code(ErrorCode::Validation),
        &["--rounds does not apply to the pattern sequential"],
    );
    let missing = stage.run(&["start", "--file", "nowhere.json"]).await;
    missing.assert_refused(code(ErrorCode::Validation), &["cannot read nowhere.json"]);
    stage
        .run(&["start", "--pattern", "quarrel", "--task", "T"])
        .await
        .assert_refused(2, &["possible values: sequential, debate"]);
    stage.run(&["start", "--pattern", "debate"]).await.assert_refused(2, &["--task"]);

    let mut nowhere = stage.home.command(&["run", "list", "--url", "http://127.0.0.1:1"]);
    nowhere.env("CLAVIGER_TOKEN", "none");
    Ran::of(nowhere, b"").assert_refused(
        code(ErrorCode::ShuttingDown),
        &["cannot reach the server", "claviger serve", "--url"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_shows_how_it_is_done() {
    let stage = Stage::new().await;
    for arguments in [&["--help"][..], &["start", "--help"]] {
        let help = stage.run(arguments).await;
        let said = &help.assert_code(0).stdout;
        for words in [
            "claviger run start --pattern debate",
            "run attach ID",
            "3 cancelled, 130 left",
            "CLAVIGER_TOKEN",
        ] {
            assert!(said.contains(words), "{words:?} is not in {said}");
        }
    }
}
