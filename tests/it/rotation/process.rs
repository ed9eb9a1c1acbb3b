//! `vault rotate` as an operator runs it: killed, in the way of a server, and with keys of their
//! own.

use super::world::Vaulted;
use super::world::{kek, listed};
use crate::harness::dice::{Dice, number, seed};
use crate::harness::mongo::server;
use crate::harness::program::{Home, Ran};
use crate::harness::stores::Place;
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::config;
use claviger::app::config::Config;
use claviger::app::key_files::master_keys;
use claviger::system::environment::OsEntropy;
use claviger_domain::id::MasterKeyId;
use claviger_domain::stream::StreamName;
use claviger_vault::KekSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const KILLS: u64 = 5;
const USERS: u64 = 300;

/// A process that keeps its master keys in the home's own file, and makes it the first time.
fn of(home: &Home) -> Config {
    config(&home.data(), NO_UPSTREAM)
}

/// The keys of that file.
fn own_keys(home: &Home) -> KekSet {
    master_keys(&of(home), false, &OsEntropy).unwrap()
}

fn key_lines(home: &Home) -> usize {
    std::fs::read_to_string(home.data().join("master.key")).unwrap().lines().count()
}

/// Runs a rotation and kills it once it has written this many lines; its exit code, if it ended
/// before.
fn killed_after(mut command: Command, lines: usize) -> Option<i32> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.lines().take(lines).for_each(drop);
    drop(child.kill());
    child.wait().unwrap().code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_goes_on_and_the_old_key_can_go() {
    let home = Home::new();
    let place = Place::sqlite(home.data());
    std::fs::create_dir(home.data()).unwrap();
    let world = Vaulted::configured(&place, of(&home)).await;
    let mut dice = Dice::new(seed());
    let mut users = world.populate(USERS, &mut dice).await;
    for user in users.iter_mut().step_by(7) {
        world.replace(user, &mut dice).await.unwrap();
    }
    world.close().await;
    let old = own_keys(&home).current().id();
    for _ in 0..number("CLAVIGER_TEST_KILLS").unwrap_or(KILLS) {
        let lines = 1 + dice.below(7);
        let code = killed_after(home.command(&["vault", "rotate"]), lines);
        println!("after {lines} lines: {code:?}");
        let rotating = home.run(&["vault", "status", "--json"]).assert_code(0).json();
        println!("{rotating}");
    }
    let ran = home.run(&["vault", "rotate", "--drop-old", "--json"]);
    let told = ran.assert_code(0).json();
    println!("{told}");
    assert_eq!(
        (told["opened"]["users"].as_u64(), told["opened"]["secrets"].as_u64()),
        (Some(USERS), Some(USERS))
    );
    assert_eq!(told["old_keys_dropped"], true);
    assert!(
        ran.stderr.contains("users whose keys open with the new master key alone: 300 of 300"),
        "{ran:?}"
    );
    assert_eq!(key_lines(&home), 1);
    let new = own_keys(&home);
    assert_ne!(new.current().id(), old);

    // The real program starts without the old key, and everything opens.
    let mut server = home.serve(NO_UPSTREAM);
    server.kill();
    let status = home.run(&["vault", "status", "--json"]).assert_code(0).json();
    assert_eq!(status["rotating"], false);
    assert_eq!(status["master_keys"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&status["master_keys"][0]["current"], &status["master_keys"][0]["user_keys"]),
        (&true.into(), &USERS.into())
    );
    home.verified();
    let world = Vaulted::configured(&place, of(&home)).await;
    for user in &users {
        world.open_all(user).await.unwrap();
    }
    // Every run but those that began from what was done before has gone on with the key that was
    // made for the first.
    let events = world.opened.store().read_stream(StreamName::System, 0, 99).await.unwrap();
    let of_kind = |kind: &str| events.iter().filter(|event| event.envelope.kind == kind).count();
    assert_eq!(of_kind("MasterKeyRotationStarted"), of_kind("MasterKeyRotated"));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_rotation_keeps_the_old_key_and_resuming_makes_no_other() {
    let home = Home::new();
    let place = Place::sqlite(home.data());
    std::fs::create_dir(home.data()).unwrap();
    let world = Vaulted::configured(&place, of(&home)).await;
    world.populate(5, &mut Dice::new(seed())).await;
    world.close().await;
    let path = home.data().join("master.key");
    // Its owner made the file read-only; a rotation leaves it so.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    // A crash came after the new key was written and before anything used it.
    claviger::app::key_files::add_first(&path, &OsEntropy).unwrap();
    let status = home.run(&["vault", "status"]);
    assert!(status.assert_code(0).stdout.contains("not in use"), "{status:?}");
    let ran = home.run(&["vault", "rotate"]);
    assert!(ran.assert_code(0).stdout.contains("the old keys are still in"), "{ran:?}");
    assert_eq!(key_lines(&home), 2);
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777,
        0o400
    );
    assert!(!home.data().join("master.key.new").exists());
    home.verified();
    // Another one makes another key.
    home.run(&["vault", "rotate"]).assert_code(0);
    assert_eq!(key_lines(&home), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_beside_a_server_is_done_by_it_and_what_it_makes_then_is_under_the_new_key() {
    let home = Home::new();
    let add = |name: &str| {
        let email = format!("{name}@example.org");
        home.run(&["user", "add", name, "--email", &email]).assert_code(0);
    };
    add("ada");
    let server = home.serve(NO_UPSTREAM);
    let rotated = home.run(&["vault", "rotate", "--drop-old", "--json"]);
    assert_eq!(rotated.assert_code(0).json()["opened"]["users"], 1);
    assert!(rotated.stderr.contains("a new master key is the first line"), "{rotated:?}");
    assert_eq!(key_lines(&home), 1);
    add("bob");
    let status = home.run(&["vault", "status", "--json"]).assert_code(0).json();
    assert_eq!(status["master_keys"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["master_keys"][0]["user_keys"], 2, "{status}");
    server.stop().await;
    assert_eq!(home.verified()["accounts"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_refused_without_a_needed_key_and_without_a_new_one() {
    let home = Home::new();
    let mut server = home.serve(NO_UPSTREAM);
    server.kill();
    let with = |numbers: &[u8], arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("CLAVIGER_MASTER_KEYS", listed(numbers));
        Ran::of(command, b"")
    };
    with(&[1], &["vault", "rotate"]).assert_refused(20, &["master key"]);
    std::fs::remove_dir_all(home.data()).unwrap();
    with(&[1], &["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    with(&[1], &["vault", "status"]).assert_code(0);
    let id = MasterKeyId(kek(1).id()).to_string();
    with(&[1], &["vault", "rotate"]).assert_refused(13, &[&id, "openssl rand -base64 32"]);
    with(&[2, 1], &["vault", "rotate", "--drop-old"]).assert_refused(13, &["--drop-old"]);
    let ran = with(&[2, 1], &["vault", "rotate"]);
    assert!(ran.assert_code(0).stdout.contains("remove the old keys from the lists"), "{ran:?}");
    with(&[2], &["vault", "status"]).assert_code(0);
    with(&[1], &["vault", "status"]).assert_refused(20, &[&MasterKeyId(kek(2).id()).to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mongodb_the_program_rotates_beside_a_server_and_starts_without_the_old_key() {
    let Some(server) = server().await else { return };
    let home = Home::new();
    let uri = server.uri_text(&server.database());
    let place = Place::mongodb(uri.parse().unwrap());
    let with = |numbers: &[u8], arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("CLAVIGER_MONGODB_URI", &uri).env("CLAVIGER_MASTER_KEYS", listed(numbers));
        command.env("CLAVIGER_TOKEN_KEY", listed(&[9]));
        command
    };
    let world = Vaulted::open(&place, &[1, 2]).await;
    let mut dice = Dice::new(seed());
    let mut users = world.populate(120, &mut dice).await;
    world.replace(&mut users[0], &mut dice).await.unwrap();
    killed_after(with(&[2, 1], &["vault", "rotate"]), 2);
    users.push(world.register(&mut dice).await.unwrap());
    for user in &users {
        world.open_all(user).await.unwrap();
    }
    let ran = Ran::of(with(&[2, 1], &["vault", "rotate", "--json"]), b"");
    let told = ran.assert_code(0).json();
    println!("{told}");
    assert_eq!(told["opened"]["users"].as_u64(), Some(121));
    world.open_all(&users[0]).await.unwrap();
    world.close().await;
    let status = Ran::of(with(&[2], &["vault", "status", "--json"]), b"").assert_code(0).json();
    assert_eq!(status["master_keys"][0]["user_keys"].as_u64(), Some(121));
    let verified = Ran::of(with(&[2], &["verify", "--json"]), b"").assert_code(0).json();
    assert_eq!(verified["problem_count"], 0, "{verified}");
}
