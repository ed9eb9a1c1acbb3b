//! A server, a user with a key, and commands of theirs.

use crate::harness::client::Client;
use crate::harness::program::{Going, Home, Ran, Server};
use crate::harness::upstream::simulator;
use claviger::simulator::Simulator;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use serde_json::{Value, json};
use std::process::Command;

/// One agent, whose replies the test scripts.
pub(super) const ONE: [&str; 6] =
    ["--pattern", "sequential", "--task", "Say it.", "--agent", "Ann=You are Ann."];

pub(super) struct Stage {
    pub(super) home: Home,
    pub(super) simulator: Simulator,
    pub(super) server: Server,
    pub(super) account: Client,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let (home, simulator) = (Home::new(), simulator().await);
        let server = home.serve(&simulator.base_url());
        let account = Client::register(server.url(), "ada").await;
        let input = json!({ "name": "work", "secret": key(Scenario::Good, 1) });
        account.done("addKey", input).await;
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

    /// Starts a command that runs beside the test.
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
