//! Runs whose server, watcher or owner has enough in their middle.

use super::relay::Relay;
use super::stage::{ONE, Stage};
use crate::harness::program::Going;
use crate::harness::socket::soon;
use rustix::process::Signal;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_waits_for_a_server_that_was_killed_and_sees_the_run_to_its_end() {
    let mut stage = Stage::new().await;
    let relay = Relay::to(stage.server.url()).await;
    stage.begins_to_say("You are Ann.", "Half of this is lost.");
    stage.says("You are Ann.", "All of it is here.");
    let watcher =
        Going::of(stage.command(&relay.url(), &[&["start", "--json"], &ONE[..]].concat()));
    let watcher = watcher.says("\"text\":\"").await;
    stage.server.kill();
    stage.server = stage.home.serve(&stage.simulator.base_url());
    relay.point_to(stage.server.url());
    let ran = watcher.ended().await;
    ran.assert_code(0);
    assert!(
        ran.stderr.contains("connection to the server lost") && ran.stderr.contains("reconnected"),
        "{ran:?}"
    );
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["__typename"] == kind);
    assert!(of("AttemptSuperseded").count() > 0, "what was begun is void");
    assert_eq!(of("Snapshot").count(), 1, "it goes on where it was");
    let second: String = of("TextDelta")
        .filter(|delta| delta["attempt"] == 2)
        .map(|delta| delta["text"].as_str().unwrap())
        .collect();
    assert_eq!((second.as_str(), of("Terminal").count()), ("All of it is here.", 1));

    let id = lines[0]["id"].as_str().unwrap();
    let late = stage.run(&["attach", id, "--show", "lines"]).await;
    assert!(
        late.assert_code(0).stdout.contains("Ann | All of it is here.\n")
            && !late.stdout.contains("Half"),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_ends_its_watchers_with_a_code_of_its_own() {
    let stage = Stage::new().await;
    let gate = stage.begins_to_say("You are Ann.", "This is never said.");
    let id = stage.started().await;
    gate.arrived(1).await;
    let watcher = stage.begin(&["attach", &id, "--json"]).says("\"Snapshot\"").await;
    let cancelled = stage.run(&["cancel", &id]).await;
    assert!(cancelled.assert_code(0).stdout.contains("is asked to be cancelled"), "{cancelled:?}");
    watcher.ended().await.assert_code(3);
    assert_eq!(stage.shown(&id).await["state"], "CANCELLED");
    let late = stage.run(&["attach", &id]).await;
    assert!(late.assert_code(3).stdout.contains("\ncancelled"), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_nobody_reads_any_more_ends_and_its_run_goes_on() {
    let stage = Stage::new().await;
    let gate = stage.begins_to_say("You are Ann.", "This is never said.");
    let id = stage.started().await;
    gate.arrived(1).await;
    let watcher = stage.begin(&["attach", &id, "--json"]).says("\"Snapshot\"").await;
    let ends = watcher.unread();
    // The next line finds nobody.
    stage.run(&["pause", &id]).await.assert_code(0);
    let ran = soon(ends).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_ne!(stage.shown(&id).await["state"], "COMPLETED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_stands_still_and_goes_on_when_it_is_asked_to() {
    let stage = Stage::new().await;
    let gate = stage.begins_to_say("You are Ann.", "One thing at a time.");
    stage.says("You are Bob.", "And then the other.");
    let start = [&["start", "--json"], &ONE[..], &["--agent", "Bob=You are Bob."]].concat();
    let watcher = stage.begin(&start).says("\"text\":\"").await;
    let id = stage.run(&["list", "--json"]).await.json()["id"].as_str().unwrap().to_owned();
    stage.run(&["pause", &id]).await.assert_code(0);
    gate.open();
    let watcher = watcher.says("\"RunPaused\"").await;
    let resumed = stage.run(&["resume", &id, "--json"]).await;
    assert_eq!(resumed.assert_code(0).json()["orchestration"]["id"], json!(id));
    let ran = watcher.ended().await;
    assert!(ran.assert_code(0).stdout.contains("And then the other."), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interruption_leaves_the_run_or_cancels_it_as_was_asked() {
    let stage = Stage::new().await;
    let gate = stage.begins_to_say("You are Ann.", "It goes on without you.");
    let left = stage.begin(&[&["start", "--json"], &ONE[..]].concat()).says("\"text\":\"").await;
    left.signal(Signal::INT);
    let left = left.ended().await;
    left.assert_code(130);
    let id = serde_json::from_str::<Value>(left.stdout.lines().next().unwrap()).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        left.stderr.contains(&format!("the run goes on. Watch it again: claviger run attach {id}")),
        "{left:?}"
    );
    gate.open();
    let whole = stage.run(&["attach", &id, "--show", "result"]).await;
    assert_eq!(whole.assert_code(0).stdout, "It goes on without you.\n");

    stage.begins_to_say("You are Ann.", "This is never said.");
    let start = [&["start", "--json", "--cancel-on-interrupt"], &ONE[..]].concat();
    let cancelling = stage.begin(&start).says("\"text\":\"").await;
    cancelling.signal(Signal::INT);
    let cancelled = cancelling.ended().await;
    assert!(cancelled.assert_code(3).stdout.contains("\"CANCELLED\""), "{cancelled:?}");
}
