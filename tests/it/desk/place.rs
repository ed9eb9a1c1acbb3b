//! The socket's file, whatever stands in its place.

use crate::harness::program::{Home, Ran};
use crate::harness::upstream::NO_UPSTREAM;
use claviger::socket::{FILE, KEY_FILE};
use claviger::system::environment::{Kernel as _, ThisKernel};
use landlock::{ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _};
use serde_json::json;
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// Puts something at the first path, perhaps on account of the second.
type Put = fn(&PathBuf, &PathBuf);

fn socket(home: &Home) -> PathBuf {
    home.data().join(FILE)
}

fn add(home: &Home, name: &str) -> Ran {
    home.run(&["user", "add", name, "--email", &format!("{name}@example.org")])
}

#[tokio::test]
async fn the_socket_stands_while_the_server_runs_and_only_for_its_user() {
    let home = Home::new();
    add(&home, "ada").assert_code(0);
    assert!(!socket(&home).exists(), "a command has none");
    let server = home.serve(NO_UPSTREAM);
    let meta = fs::symlink_metadata(socket(&home)).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    let key = fs::symlink_metadata(home.data().join(KEY_FILE)).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    add(&home, "bob").assert_code(0);
    // Who verifies the files themselves still needs them alone, and so does a second server.
    home.run(&["verify"]).assert_refused(27, &["in use by claviger serve", "verify --live"]);
    home.run(&["verify", "--live"]).assert_code(0);
    home.run(&SERVE).assert_refused(27, &["in use by claviger serve", &server.id().to_string()]);
    add(&home, "eve").assert_code(0);
    server.stop().await;
    let left: Vec<_> =
        fs::read_dir(home.data()).unwrap().map(|of| of.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(FILE)), "{left:?}");
    assert_eq!(home.verified()["accounts"], 3);
    home.run(&["verify", "--live"]).assert_code(0);
}

#[tokio::test]
async fn a_socket_that_a_killed_server_left_is_no_obstacle() {
    let home = Home::new();
    add(&home, "ada").assert_code(0);
    let mut server = home.serve(NO_UPSTREAM);
    server.kill();
    assert!(socket(&home).exists());
    add(&home, "bob").assert_code(0);
    // Killed between the socket's making and its name.
    drop(UnixListener::bind(home.data().join("claviger.sock.new")).unwrap());
    let server = home.serve(NO_UPSTREAM);
    add(&home, "eve").assert_code(0);
    server.stop().await;
    assert!(!socket(&home).exists());
    assert_eq!(home.verified()["accounts"], 3);
}

#[tokio::test]
async fn what_is_no_socket_is_neither_followed_nor_replaced() {
    let home = Home::new();
    add(&home, "ada").assert_code(0);
    let elsewhere = home.work().join("elsewhere");
    let listener = UnixListener::bind(&elsewhere).unwrap();
    listener.set_nonblocking(true).unwrap();
    let cases: [(&str, Put); 3] = [
        ("a symbolic link", |at, to| symlink(to, at).unwrap()),
        ("another kind of file", |at, _| fs::write(at, "mine").unwrap()),
        ("another kind of file", |at, _| fs::create_dir(at).unwrap()),
    ];
    for (what, put) in cases {
        let at = socket(&home);
        put(&at, &elsewhere);
        home.run(&["user", "list"]).assert_refused(13, &[what, "claviger.sock", "VALIDATION"]);
        home.run(&SERVE).assert_refused(13, &[what, "claviger.sock", "VALIDATION"]);
        assert!(fs::symlink_metadata(&at).is_ok(), "it is still there");
        assert!(listener.accept().is_err(), "nobody came to the other place");
        drop(fs::remove_file(&at).or_else(|_| fs::remove_dir(&at)));
    }
    home.serve(NO_UPSTREAM).stop().await;
    // A server that does not come to serve leaves none.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(&["serve", "--listen", &address]).assert_refused(13, &[&address]);
    assert!(!socket(&home).exists());
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_reached_through_its_directory() {
    let home = Home::new();
    let long = home.work().join("d".repeat(120)).join("e".repeat(120));
    let with = |words: &[&str]| {
        let mut command = home.command(words);
        command.env("CLAVIGER_DATA_DIR", &long);
        Ran::of(command, b"")
    };
    with(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve_with(NO_UPSTREAM, |command| {
        command.env("CLAVIGER_DATA_DIR", &long);
    });
    assert!(long.join(FILE).exists());
    let listed = with(&["user", "list"]);
    assert!(listed.assert_code(0).stdout.contains("ada@example.org"));
    server.stop().await;
    assert!(!long.join(FILE).exists());
}

#[tokio::test]
async fn another_user_is_refused_by_the_file_and_by_who_they_are() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can run anything as another user.
        return;
    }
    let home = Home::new();
    add(&home, "ada").assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    for dir in [home.data().parent().unwrap(), &home.data()] {
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    }
    let as_nobody = || {
        let mut command = home.command(&["user", "list"]);
        command.current_dir("/").uid(65534).gid(65534);
        Ran::of(command, b"")
    };
    as_nobody().assert_refused(11, &["does not let this user in", "FORBIDDEN"]);
    // Somebody opened it to all: who they are is asked as well.
    fs::set_permissions(socket(&home), Permissions::from_mode(0o666)).unwrap();
    as_nobody().assert_refused(11, &["does not let this user in", "FORBIDDEN"]);
    let key = home.data().join(KEY_FILE);
    fs::set_permissions(key, Permissions::from_mode(0o644)).unwrap();
    as_nobody().assert_refused(11, &["its own user and of root only", "FORBIDDEN"]);
    home.run(&["user", "list"]).assert_code(0);
    server.stop().await;
}

#[tokio::test]
async fn a_stranger_who_listens_in_the_place_hears_nothing() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    add(&home, "ada").assert_code(0);
    let theirs = home.work().join("theirs");
    fs::create_dir(&theirs).unwrap();
    for dir in [home.data().parent().unwrap(), &home.work(), &home.data()] {
        fs::set_permissions(dir, Permissions::from_mode(0o777)).unwrap();
    }
    // Run as nobody by a shell of its own: it listens and prints what it hears.
    let at = socket(&home);
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind({:?})\ns.listen()\nprint('listens', flush=True)\n\
         c = s.accept()[0]\nprint('heard', c.recv(9), flush=True)",
        at.to_str().unwrap()
    );
    let mut python = std::process::Command::new("python3");
    python.args(["-c", &script]).current_dir("/").uid(65534).gid(65534);
    let Ok(mut stranger) = python.stdout(std::process::Stdio::piped()).spawn() else { return };
    let mut said = std::io::BufReader::new(stranger.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert_eq!(line, "listens\n");
    home.run(&["user", "list"]).assert_refused(11, &["runs as user 65534", "nothing was sent"]);
    home.run(&SERVE).assert_refused(13, &["another user's socket"]);
    line.clear();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert_eq!(line, "heard b''\n");
    stranger.wait().unwrap();
}

/// It is the server's user, and may connect.
#[tokio::test]
async fn a_program_under_landlock_is_refused_for_what_it_cannot_read() {
    if !ThisKernel.has_landlock() {
        return;
    }
    let home = Home::new();
    add(&home, "ada").assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    let dir = home.data();
    let confined = move || {
        // Of this thread alone.
        let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).unwrap();
        rules.create().unwrap().restrict_self().unwrap();
        assert!(File::open(dir.join(KEY_FILE)).is_err());
        let mut stream = UnixStream::connect(dir.join(FILE)).unwrap();
        let head = json!({"version": env!("CARGO_PKG_VERSION"), "key": "", "ask": {"operation": "VaultStatus", "json": false, "given": {}}});
        let head = head.to_string();
        let mut request = Vec::new();
        for frame in [head.as_bytes(), b""] {
            request.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
            request.extend(frame);
        }
        // In one piece: the server may answer and be gone after the first frame.
        stream.write_all(&request).unwrap();
        let mut said = Vec::new();
        // The server leaves the second frame unread, which may end the reading with an error.
        drop(stream.read_to_end(&mut said));
        String::from_utf8_lossy(&said).into_owned()
    };
    let said = std::thread::spawn(confined).join().unwrap();
    assert!(said.contains("FORBIDDEN") && said.contains("may read the data directory"), "{said:?}");
    server.stop().await;
}
