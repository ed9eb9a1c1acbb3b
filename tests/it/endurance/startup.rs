//! Obstacles to a start: each is refused with a code, and with a message that says what to do.

use crate::harness::program::{Home, Ran, files};
use crate::harness::world::TEST_KEY;
use claviger_store::sqlite::{DATABASE_FILE, LOCK_FILE};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
const ADD_USER: [&str; 6] =
    ["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"];
const PASSWORD: &str = "correct horse battery\n";

/// A home whose store has a user.
fn used() -> Home {
    let home = Home::new();
    home.run_with(&ADD_USER, PASSWORD).assert_code(0);
    home
}

/// Hashes of the database and of its log; what SQLite keeps in shared memory does not count.
fn database(home: &Home) -> Vec<(String, Vec<u8>)> {
    let counts = |(name, bytes): &(String, Vec<u8>)| {
        name.starts_with(DATABASE_FILE) && !name.ends_with("-shm") && !bytes.is_empty()
    };
    files(&home.data())
        .into_iter()
        .filter(counts)
        .map(|(name, bytes)| (name, Sha256::digest(bytes).to_vec()))
        .collect()
}

#[test]
fn a_data_directory_below_a_file_is_refused() {
    let home = Home::new();
    let file = home.work().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let ran = home.run(&[&SERVE[..], &["--data-dir", below.to_str().unwrap()]].concat());
    ran.assert_refused(27, &[below.to_str().unwrap(), "STORE_UNAVAILABLE"]);
}

#[test]
fn a_data_directory_that_cannot_be_written_is_refused() {
    let home = used();
    let dir = home.data();
    for path in [dir.parent().unwrap(), &dir] {
        fs::set_permissions(path, Permissions::from_mode(0o555)).unwrap();
    }
    for (name, _) in files(&dir) {
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o444)).unwrap();
    }
    let mut command = home.command(&SERVE);
    command.current_dir("/");
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere: the program runs as nobody.
        command.uid(65534).gid(65534);
    }
    let ran = Ran::of(command, b"");
    fs::set_permissions(dir.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    ran.assert_refused(27, &["cannot be written", "write access", "STORE_UNAVAILABLE"]);
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let home = used();
    let connection = Connection::open(home.data().join(DATABASE_FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = database(&home);
    home.run(&SERVE).assert_refused(27, &["has format 99", "newer program", "STORE_UNAVAILABLE"]);
    assert_eq!(database(&home), before);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    let connection = Connection::open(home.data().join(DATABASE_FILE)).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(connection);
    let before = database(&home);
    home.run(&SERVE).assert_refused(27, &["is not a database of Claviger"]);
    assert_eq!(database(&home), before);
}

#[test]
fn a_missing_master_key_is_refused_and_no_new_one_made() {
    let home = used();
    let (key, away) = (home.data().join("master.key"), home.work().join("away"));
    fs::rename(&key, &away).unwrap();
    let before = database(&home);
    for arguments in [&SERVE[..], &["verify"], &["vault", "status"]] {
        home.run(arguments)
            .assert_refused(20, &["master.key is missing", "put the file back", "KEY_UNAVAILABLE"]);
    }
    assert!(!key.exists());
    assert_eq!(database(&home), before);
    fs::rename(&away, &key).unwrap();
    assert_eq!(home.verified()["accounts"], 1);
}

#[test]
fn a_master_key_that_others_may_read_is_refused() {
    let home = used();
    let key = home.data().join("master.key");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    home.run(&SERVE)
        .assert_refused(20, &["can be read by others", "chmod 0400", "KEY_UNAVAILABLE"]);
    fs::set_permissions(&key, Permissions::from_mode(0o400)).unwrap();
    home.verified();
}

#[test]
fn a_wrong_master_key_is_refused_and_the_missing_one_named() {
    let home = used();
    let status = home.run(&["vault", "status", "--json"]).json();
    let id = status["master_keys"][0]["id"].as_str().unwrap().to_owned();
    let wrong = TEST_KEY;
    let before = database(&home);
    let with = |keys: &str| {
        let mut command = home.command(&SERVE);
        command.env("CLAVIGER_MASTER_KEYS", keys);
        let ran = Ran::of(command, b"");
        assert!(!ran.stderr.contains("AAECAwQFBgcI"), "{ran:?}");
        ran
    };
    with(wrong).assert_refused(20, &[&id, "add it to CLAVIGER_MASTER_KEYS", "KEY_UNAVAILABLE"]);
    with("AAECAwQFBgcICQ==")
        .assert_refused(20, &["CLAVIGER_MASTER_KEYS", "32-byte keys in base64"]);
    with(&format!("{wrong},{wrong}")).assert_refused(20, &["KEY_UNAVAILABLE"]);
    assert_eq!(database(&home), before);
}

#[test]
fn a_port_in_use_is_refused_and_the_store_let_go() {
    let home = used();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(&["serve", "--listen", &address]).assert_refused(13, &[&address]);
    home.verified();
}

#[test]
fn a_wrong_flag_is_wrong_usage() {
    let home = Home::new();
    for arguments in [
        &["serve", "--no-such-flag"][..],
        &["serve", "--listen", "nowhere"],
        &["frobnicate"],
        &["key"],
    ] {
        home.run(arguments).assert_refused(2, &["--help"]);
    }
    assert!(!home.data().exists(), "nothing is made before the arguments are read");
}

#[test]
fn a_wrong_setting_in_the_file_is_named_by_its_line_and_never_quoted() {
    let home = Home::new();
    let secret = "sk-ant-api03-SwordfishSwordfishSwordfish";
    let cases = [
        (format!("drain_ms = 5\nmax_keys = \"{secret}\"\n"), "line 2", "max_keys"),
        (format!("registration = \"{secret}\"\n"), "line 1", "registration"),
        (format!("\n\nlisten = \"{secret}\"\n"), "line 3", "listen"),
        (format!("anthropic_api_key = \"{secret}\"\n"), "line 1", "anthropic_api_key"),
        (format!("model = [\"{secret}\"]\n"), "line 1", "model"),
        (format!("# mine\n{secret} = 1\n"), "line 2", ""),
        (format!("model = {secret}\n"), "line 1", ""),
        (format!("model = \"{secret}\n"), "line 1", ""),
        (format!("\n{secret}\n"), "line 2", ""),
        (format!("max_keys = 1\nmax_keys = \"{secret}\"\n"), "line 2", ""),
    ];
    for (text, line, setting) in cases {
        fs::write(home.work().join("claviger.toml"), &text).unwrap();
        let ran = home.run(&SERVE);
        ran.assert_refused(13, &["claviger.toml", line, setting, "VALIDATION"]);
        assert!(!ran.stderr.contains("wordfish"), "{text:?} {ran:?}");
    }
    assert!(!home.data().exists());
}

/// A pipe to which nobody ever writes.
fn pipe(path: &Path) {
    drop(fs::remove_file(path));
    rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let no_file = "it is not a regular file";
    let home = used();
    let config = home.work().join("claviger.toml");
    pipe(&config);
    home.run(&SERVE).assert_refused(13, &["claviger.toml cannot be read", no_file]);
    fs::remove_file(&config).unwrap();
    let prices = home.work().join("prices.json");
    pipe(&prices);
    let with_prices = [&SERVE[..], &["--prices", prices.to_str().unwrap()]].concat();
    home.run(&with_prices).assert_refused(13, &["CLAVIGER_PRICES", no_file]);
    for (name, code) in [("master.key", 20), ("token.key", 20)] {
        let (file, away) = (home.data().join(name), home.work().join(name));
        fs::rename(&file, &away).unwrap();
        pipe(&file);
        home.run(&SERVE).assert_refused(code, &[name, no_file]);
        fs::rename(&away, &file).unwrap();
    }
    let given = home.work().join("keys");
    pipe(&given);
    for flag in ["--master-keys-file", "--token-key-file"] {
        let with_keys = [&SERVE[..], &[flag, given.to_str().unwrap()]].concat();
        home.run(&with_keys).assert_refused(20, &["keys", no_file]);
    }
    for name in [LOCK_FILE, DATABASE_FILE] {
        let (file, away) = (home.data().join(name), home.work().join(name));
        fs::rename(&file, &away).unwrap();
        pipe(&file);
        home.run(&["user", "list"]).assert_refused(27, &[name, no_file]);
        fs::rename(&away, &file).unwrap();
    }
    home.verified();
}

#[test]
fn a_name_to_listen_on_is_refused_with_what_is_taken() {
    let home = Home::new();
    let refused = home.run(&["serve", "--listen", "example.org:8005"]);
    refused.assert_refused(2, &["127.0.0.1:8005", "[::1]:8005", "localhost"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let local = home.run(&["serve", "--listen", &format!("localhost:{port}")]);
    local.assert_refused(13, &[&format!("127.0.0.1:{port}")]);
}

#[test]
fn a_user_is_added_once() {
    let home = used();
    home.run_with(&ADD_USER, PASSWORD).assert_refused(15, &["DUPLICATE"]);
    let other_name = ["user", "add", "ADA", "--email", "other@example.org", "--password-stdin"];
    home.run_with(&other_name, PASSWORD).assert_refused(15, &["DUPLICATE"]);
    let other_email = ["user", "add", "grace", "--email", "Ada@Example.org", "--password-stdin"];
    home.run_with(&other_email, PASSWORD).assert_refused(15, &["DUPLICATE"]);
    home.run_with(
        &["user", "add", "grace", "--email", "g@example.org", "--password-stdin"],
        "short\n",
    )
    .assert_refused(13, &["password", "VALIDATION"]);
    home.run_with(&["user", "add", "grace", "--email", "g@example.org", "--password-stdin"], "")
        .assert_refused(13, &["standard input", "VALIDATION"]);
    assert_eq!(home.verified()["accounts"], 1);
}
