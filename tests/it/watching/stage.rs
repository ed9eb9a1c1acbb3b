//! A server, a user with a key, and commands of theirs.

use crate::endurance::account::Account;
use crate::endurance::process::{Home, Ran, Server};
use crate::endurance::shutdown::simulator;
use claviger::simulator::Simulator;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

const ADD: &str = "mutation($secret: Secret!) { addKey(input: {name: \"work\", secret: $secret}) { userErrors { message } } }";

/// One agent, whom a test lets say what it likes.
pub(super) const ONE: [&str; 6] =
    ["--pattern", "sequential", "--task", "Say it.", "--agent", "Ann=You are Ann."];

pub(super) struct Stage {
    pub(super) home: Home,
    pub(super) simulator: Simulator,
    pub(super) server: Server,
    pub(super) account: Account,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let (home, simulator) = (Home::new(), simulator().await);
        let server = home.serve(&simulator.base_url());
        let account = Account::register(server.url(), "ada").await;
        account.ask(ADD, json!({ "secret": key(Scenario::Good, 1) })).await;
        Self { home, simulator, server, account }
    }

    /// The next words of an agent whose system prompt contains the marker.
    pub(super) fn says(&self, marker: &str, text: &str) {
        self.simulator.script().on_prompt(marker, Act::Reply(Reply::text(text)));
    }

    /// The same, held before the second piece of the text.
    pub(super) fn begins_to_say(&self, marker: &str, text: &str) -> Gate {
        let gate = Gate::default();
        let reply = Reply { chunk_chars: 4, gate: Some((1, gate.clone())), ..Reply::text(text) };
        self.simulator.script().on_prompt(marker, Act::Reply(reply));
        gate
    }

    /// `claviger run …` of the user, at this server.
    pub(super) fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = self.home.command(&[&["run"], arguments].concat());
        command.env("CLAVIGER_URL", url).env("CLAVIGER_TOKEN", self.account.token());
        command
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        let command = self.command(self.server.url(), arguments);
        tokio::task::spawn_blocking(move || Ran::of(command, b"")).await.unwrap()
    }

    /// Runs a command that goes on.
    pub(super) fn begin(&self, arguments: &[&str]) -> Going {
        Going::of(self.command(self.server.url(), arguments))
    }

    /// Starts a run of one agent without watching it; its id.
    pub(super) async fn started(&self) -> String {
        let ran = self.run(&[&["start", "--detach"], &ONE[..]].concat()).await;
        ran.assert_code(0).stdout.trim().to_owned()
    }

    pub(super) async fn shown(&self, id: &str) -> Value {
        let ran = self.run(&["show", id, "--json"]).await;
        assert_eq!(ran.assert_code(0).stdout.lines().count(), 1);
        ran.json()
    }
}

/// A command that goes on.
pub(super) struct Going {
    child: Child,
    stdout: BufReader<ChildStdout>,
    seen: String,
}

impl Going {
    pub(super) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, seen: String::new() }
    }

    /// Waits for a line with these words on standard output.
    pub(super) async fn says(mut self, words: &'static str) -> Self {
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains(words) {
                line.clear();
                assert!(
                    self.stdout.read_line(&mut line).unwrap() > 0,
                    "it never says {words:?}: {}",
                    self.seen
                );
                self.seen.push_str(&line);
            }
            self
        });
        reading.await.unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Ran {
        let waiting = tokio::task::spawn_blocking(move || {
            self.stdout.read_to_string(&mut self.seen).unwrap();
            let mut stderr = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            Ran { code: self.child.wait().unwrap().code(), stdout: self.seen, stderr }
        });
        waiting.await.unwrap()
    }
}
