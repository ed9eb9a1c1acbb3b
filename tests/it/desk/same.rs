//! Every command says the same, ends the same and leaves the same events with a server and without
//! one.

use super::tree::commands;
use crate::harness::client::Client;
use crate::harness::program::{Home, Ran, files};
use crate::harness::stores::sqlite;
use crate::harness::upstream::{NO_UPSTREAM, simulator};
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::Log as _;
use std::collections::{BTreeMap, BTreeSet};

/// Commands that need no store of this machine, or make a server themselves.
const ELSEWHERE: [(&str, &str); 11] = [
    ("serve", "is the server"),
    ("demo", "is a server on a store of its own"),
    ("simulate", "has no store"),
    ("schema", "has no store"),
    ("run start", "is a client of the API"),
    ("run attach", "is a client of the API"),
    ("run list", "is a client of the API"),
    ("run show", "is a client of the API"),
    ("run cancel", "is a client of the API"),
    ("run pause", "is a client of the API"),
    ("run resume", "is a client of the API"),
];

/// A call: its words, what it reads, the exit code.
type Call = (&'static [&'static str], Stdin, i32);

#[derive(Clone, Copy)]
enum Stdin {
    Empty,
    Text(&'static str),
    Key(Scenario),
}

const NONE: Stdin = Stdin::Empty;

/// Calls in an order in which each has something to do; between them every command at least once.
const CALLS: &[Call] = &[
    (&["user", "add", "eve", "--email", "eve@example.org"], NONE, 0),
    (
        &["user", "add", "dan", "--email", "dan@example.org", "--password-stdin", "--json"],
        Stdin::Text("a long password\n"),
        0,
    ),
    (
        &["user", "add", "dan", "--email", "dan@example.org", "--password-stdin"],
        Stdin::Text("a long password\n"),
        15,
    ),
    (&["user", "add", "joe", "--email", "joe@example.org", "--password-stdin"], NONE, 13),
    (&["user", "add", "joe", "--email", "nowhere"], NONE, 13),
    (&["user", "list"], NONE, 0),
    (&["user", "list", "--json", "--state", "active"], NONE, 0),
    (&["user", "list", "--state", "erased"], NONE, 0),
    (&["user", "show", "ada@example.org"], NONE, 0),
    (&["user", "show", "ada", "--json"], NONE, 0),
    (&["user", "show", "nobody"], NONE, 12),
    (&["user", "deactivate", "bob"], NONE, 0),
    (&["user", "deactivate", "ada"], NONE, 14),
    (&["user", "password", "bob"], NONE, 0),
    (&["user", "password", "bob", "--json"], NONE, 0),
    (&["user", "reactivate", "bob", "--json"], NONE, 0),
    (&["user", "role", "bob", "--grant", "auditor"], NONE, 0),
    (&["user", "role", "bob", "--revoke", "auditor", "--json"], NONE, 0),
    (&["user", "role", "ada", "--revoke", "admin", "--json"], NONE, 14),
    (&["user", "role", "ada"], NONE, 2),
    (&["user", "sessions", "carl"], NONE, 0),
    (&["user", "sessions", "carl", "--json"], NONE, 0),
    (&["user", "show", "carl", "--json"], NONE, 0),
    (&["user", "sessions", "carl", "--end-all"], NONE, 0),
    (&["user", "sessions", "bob"], NONE, 0),
    (&["user", "sessions", "bob", "--json"], NONE, 0),
    (&["user", "sessions", "bob", "--end-all"], NONE, 0),
    (&["user", "sessions", "bob", "--end", "x"], NONE, 12),
    (&["user", "rename", "bob", "--username", "rob", "--full-name", "Röb 漢字"], NONE, 0),
    (&["user", "rename", "rob", "--email", "ada@example.org"], NONE, 15),
    (&["user", "rename", "rob"], NONE, 13),
    (&["key", "list", "--user", "rob"], NONE, 0),
    (&["key", "list", "--user", "ada"], NONE, 0),
    (&["key", "list", "--user", "ada", "--json"], NONE, 0),
    (&["key", "list", "--user", "nobody", "--json"], NONE, 12),
    (&["key", "add", "--user", "rob", "--name", "poor"], Stdin::Key(Scenario::NoCredit400), 0),
    (
        &["key", "add", "--user", "rob", "--name", "other", "--json", "--default"],
        Stdin::Key(Scenario::Revoked),
        0,
    ),
    (&["key", "add", "--user", "rob", "--name", "again"], Stdin::Key(Scenario::Revoked), 15),
    (&["key", "add", "--user", "rob", "--name", "again"], Stdin::Text("swordfish"), 13),
    (&["key", "add", "--user", "rob", "--name", "again"], NONE, 13),
    (&["key", "test", "--user", "ada", "work"], NONE, 0),
    (&["key", "test", "--user", "ada", "work", "--level", "authentic", "--json"], NONE, 0),
    (&["key", "test", "--user", "rob", "poor"], NONE, 20),
    (&["key", "test", "--user", "rob", "nothing"], NONE, 12),
    (&["key", "default", "--user", "rob", "poor", "--context", "night"], NONE, 0),
    (&["key", "default", "--user", "rob", "nothing"], NONE, 12),
    (&["vault", "status"], NONE, 0),
    (&["vault", "rotate"], NONE, 0),
    (&["vault", "status", "--json"], NONE, 0),
    (&["vault", "rotate", "--drop-old", "--json"], NONE, 0),
    (&["vault", "status"], NONE, 0),
    (&["replay", "--all"], NONE, 0),
    (&["replay", "keys", "--check", "--json"], NONE, 0),
    (&["verify", "--live"], NONE, 0),
];

/// A store with three users, a key and a session.
async fn used() -> Home {
    let home = Home::new();
    for (name, role) in [("ada", "admin"), ("bob", "user")] {
        let email = format!("{name}@example.org");
        home.run(&["user", "add", name, "--email", &email, "--role", role]).assert_code(0);
    }
    let good = key(Scenario::Good, 1);
    home.run_with(&["key", "add", "--user", "ada", "--name", "work"], &good).assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    Client::register(server.url(), "carl").await;
    server.stop().await;
    home
}

fn copy(of: &Home) -> Home {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    for (name, _) in files(&of.data()) {
        std::fs::copy(of.data().join(&name), home.data().join(&name)).unwrap();
    }
    home
}

/// Replaces what no two runs share: times, ids, tokens and hashes by when each came first, and the
/// place.
struct Plain {
    place: String,
    seen: BTreeMap<String, usize>,
}

impl Plain {
    fn of(home: &Home) -> Self {
        Self { place: home.data().to_str().unwrap().to_owned(), seen: BTreeMap::new() }
    }

    fn text(&mut self, text: &str) -> String {
        let text = text.replace(&self.place, "DATA");
        let text: String = text.lines().map(|line| Self::rows(line) + "\n").collect();
        let is_part = |c: char| c.is_alphanumeric() || "_-=:.".contains(c);
        let mut words = vec![String::new()];
        for c in text.chars() {
            let last = words.last().unwrap().chars().last();
            if last.is_some_and(|last| is_part(last) != is_part(c)) {
                words.push(String::new());
            }
            words.last_mut().unwrap().push(c);
        }
        words.iter().map(|word| self.word(word)).collect()
    }

    /// A server also writes the views that follow the log, and how far they are.
    fn rows(line: &str) -> String {
        let Some(rows) = line.strip_prefix("rows read: ") else { return line.to_owned() };
        let follows = |row: &&str| !row.starts_with("checkpoints ") && !row.starts_with("views ");
        rows.split(", ").filter(follows).collect::<Vec<_>>().join(", ")
    }

    fn word(&mut self, word: &str) -> String {
        let has_digit = word.chars().any(|c| c.is_ascii_digit());
        if word.starts_with("20") && word.contains('T') && word.contains(':') {
            "TIME".to_owned()
        } else if word.chars().all(|c| c == ' ') && word.len() > 1 {
            // A time is as wide as its milliseconds are many.
            " ".to_owned()
        } else if has_digit && word.len() >= 16 && !word.starts_with("sk-ant-") {
            let next = self.seen.len();
            format!("<{}>", self.seen.entry(word.to_owned()).or_insert(next))
        } else {
            word.to_owned()
        }
    }
}

/// What an event says, whoever ran the command, and when.
async fn events(home: &Home) -> Vec<String> {
    let store = sqlite(home.data());
    let told = store.read(0, 10_000).await.unwrap().into_iter().map(|event| {
        let envelope = event.envelope;
        let stream = match envelope.stream {
            StreamName::KeyRing(_) => "keys",
            StreamName::Account(_) => "account",
            StreamName::Run(_) | StreamName::RunControl(_) => "run",
            StreamName::System => "system",
        };
        format!(
            "{} {stream} {} {} schema {} by {:?} caused {}",
            envelope.position,
            envelope.version,
            envelope.kind,
            envelope.schema,
            envelope.actor,
            envelope.causation_id.is_some(),
        )
    });
    let told = told.collect();
    store.close();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_says_the_same_and_leaves_the_same_events_with_a_server_and_without() {
    let (simulator, alone) = (simulator().await, used().await);
    let upstream = simulator.base_url();
    let beside = copy(&alone);
    let server = beside.serve(&upstream);
    let (mut plain, mut plain_beside) = (Plain::of(&alone), Plain::of(&beside));
    for (words, stdin, code) in CALLS.iter().copied() {
        let stdin = match stdin {
            Stdin::Empty => String::new(),
            Stdin::Text(text) => text.to_owned(),
            Stdin::Key(scenario) => key(scenario, 5),
        };
        let tests = words.starts_with(&["key", "test"]);
        let words: Vec<&str> = if tests {
            [words, &["--anthropic-base-url", &upstream]].concat()
        } else {
            words.to_vec()
        };
        // Each of them twice would be another story, so the two run on two stores.
        let without = alone.run_with(&words, &stdin);
        let with = beside.run_with(&words, &stdin);
        without.assert_code(code);
        let told = |ran: &Ran, plain: &mut Plain| {
            // What a server does goes to the server's own log.
            let said: Vec<_> = ran.stderr.lines().filter(|line| !line.contains(" WARN ")).collect();
            (ran.code, plain.text(&ran.stdout), plain.text(&said.join("\n")))
        };
        assert_eq!(told(&with, &mut plain_beside), told(&without, &mut plain), "{words:?}");
    }
    server.stop().await;
    assert!(!beside.data().join("claviger.sock").exists());
    assert_eq!(events(&beside).await, events(&alone).await);
    for home in [&alone, &beside] {
        home.verified();
    }
}

#[test]
fn every_command_has_a_call_or_a_reason() {
    let all = commands(&Home::new());
    let has_call =
        |command: &str| {
            CALLS.iter().any(|(words, ..)| {
                words.join(" ").split(" --").next().is_some_and(|start| {
                    start == command || start.starts_with(&format!("{command} "))
                })
            })
        };
    let missing: Vec<_> = all
        .iter()
        .filter(|command| !has_call(command))
        .filter(|command| !ELSEWHERE.iter().any(|(name, _)| name == command))
        .collect();
    assert!(missing.is_empty(), "commands that nobody runs beside a server: {missing:?}");
    let known: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    assert!(ELSEWHERE.iter().all(|(name, _)| known.contains(name) && !has_call(name)));
}
