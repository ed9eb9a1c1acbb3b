//! A real process, killed while it writes.

use super::sqlite::append;
use crate::harness::stores::sqlite_config;
use claviger_domain::id::EventId;
use claviger_projections::ports::Log;
use claviger_store::sqlite::{OpenError, SqliteConfig, SqliteStore};
use futures::future::join_all;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const DIR: &str = "CLAVIGER_TEST_KILLED_DIR";

/// The process that is killed: appends for ever, and prints what was acknowledged. Does nothing
/// when it isn't started by the test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let config = SqliteConfig { program: "claviger child".to_owned(), ..sqlite_config(dir) };
    let store = SqliteStore::open(&config).unwrap();
    for round in 0.. {
        let appends = (0..16).map(|n| append(round * 16 + n));
        let answers = join_all(appends.map(|append| async {
            let id = append.events[0].id;
            let position = store.append(append).await.unwrap().position;
            println!("answered {id} {position}");
        }));
        answers.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_it_answered_and_leaves_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::kill::the_child_that_writes_until_it_is_killed", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let answered = |line: &String| line.contains("answered ");
    let mut answers: Vec<String> = lines.by_ref().filter(answered).take(400).collect();
    let OpenError::InUse { holder, .. } = open(dir.path()).err().unwrap() else {
        panic!("the store is not in use")
    };
    assert!(holder.starts_with(&format!("claviger child (process {}", child.id())), "{holder}");
    child.kill().unwrap();
    answers.extend(lines.filter(answered));
    child.wait().unwrap();

    let store = open(dir.path()).unwrap();
    for answer in &answers {
        let Some((_, answer)) = answer.split_once("answered ") else { continue };
        // The last line may be cut.
        let Some((id, Ok(position))) =
            answer.split_once(' ').map(|(id, position)| (id, position.parse::<u64>()))
        else {
            continue;
        };
        let Ok(id) = id.parse() else { continue };
        let found = store
            .event(EventId(id))
            .await
            .unwrap()
            .map(|event| event.envelope.position.to_string());
        assert!(
            found.is_some_and(|found| found.starts_with(&position.to_string())),
            "event {id} at {position}"
        );
    }
    let log = store.read(0, usize::MAX).await.unwrap();
    assert!(log.len() >= 400);
    assert_eq!(store.head().await.unwrap().position, log.len() as u64);
}

fn open(dir: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&sqlite_config(dir))
}
