//! Servers, as an operator runs them, on one world's store; runs started over HTTP; and watchers
//! who reconnect until a run ends.

use super::evidence::{Calls, check_calls, check_texts, steps};
use crate::harness::client::{Client, http};
use crate::harness::person::User;
use crate::harness::program::{Home, Server};
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::id::RunId;
use claviger_domain::orchestration::Phase;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const START: &str = "mutation($input: StartOrchestrationInput!) \
    { startOrchestration(input: $input) { orchestration { id } userErrors { code message } } }";

const FOLLOW: &str = "subscription($id: ID!, $after: Cursor) { orchestration(id: $id, after: $after) { __typename \
    ... on Snapshot { cursor partial { stepId attempt text } orchestration { state steps { id attempt state output } } } ... on EventMessage { cursor event { type } } \
    ... on TextDelta { cursor stepId attempt offset text } ... on AttemptSuperseded { cursor stepId attempt keepBytes } \
    ... on GapMarker { cursor } ... on Terminal { cursor orchestration { state steps { id attempt output } } } } }";

const RESUME: &str =
    "mutation($id: ID!) { resumeOrchestration(input: {id: $id}) { userErrors { code } } }";

/// How long a run's end is awaited before the test fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// A world, its user, and the directory of its servers' logs.
pub(super) struct Farm {
    pub(super) world: World,
    pub(super) user: User,
    home: Home,
}

impl Farm {
    pub(super) async fn open(world: World) -> Self {
        let clerk = world.clerk().await;
        let user = clerk.user("ada", Scenario::Good).await;
        clerk.stop().await;
        Self { world, user, home: Home::new() }
    }

    /// A server that listens.
    pub(super) fn serve(&self) -> Server {
        let upstream = self.world.simulator().base_url();
        self.home.serve_with(&upstream, |command| self.world.describe(command))
    }

    /// How often a server was too slow to keep the lease under which it works: it leaves its runs
    /// then, as if it had crashed.
    pub(super) fn lost_leases(&self) -> u64 {
        let is_loss = |line: &&str| {
            line.contains("engine/")
                && (line.contains("not renew the lease in time") || line.contains("lost the lease"))
        };
        self.home.log().lines().filter(is_loss).count() as u64
    }

    /// The user at a server.
    pub(super) fn account(&self, server: &Server) -> Client {
        Client::new(server.url()).with_token(&self.user.token)
    }

    /// Starts a run.
    pub(super) async fn start(&self, server: &Server, pattern: Value) -> Run {
        let data =
            self.account(server).ask(START, json!({ "input": { "pattern": pattern } })).await;
        let id = data["startOrchestration"]["orchestration"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{data}"))
            .to_owned();
        Run { run: RunId(decode_as(IdKind::Orchestration, &id).unwrap()), id }
    }

    /// Once all servers are gone: each run is done, its texts add up, and history and upstream
    /// agree on its calls.
    pub(super) async fn check(&self, runs: &[(RunId, u64)]) -> u64 {
        let clerk = self.world.clerk().await;
        let calls = Calls::of(self.world.simulator(), &clerk, &self.user).await;
        let mut repeated = 0;
        for (run, crashes) in runs {
            let detail = clerk.detail(&self.user, *run).await;
            assert_eq!(detail.view.run.phase, Phase::Completed, "{:?}", clerk.kinds(*run).await);
            let told = steps(&clerk.events(*run).await);
            check_calls(&told, &calls, *crashes);
            check_texts(&clerk, &self.user, *run).await;
            repeated += told.values().map(|step| step.interrupted).sum::<u64>();
        }
        clerk.stop().await;
        repeated
    }
}

/// A run that was started.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) run: RunId,
    id: String,
}

/// A pattern whose prompts contain its number, so that no two patterns share prompts.
pub(super) fn pattern(n: u64) -> Value {
    let agent =
        |name: &str| json!({"name": name, "systemPrompt": format!("You are {name} of run {n}.")});
    let task = format!("Do the work with the number {n}.");
    match n % 5 {
        0 => {
            json!({"sequential": {"task": task, "agents": [agent("Ann"), agent("Ben"), agent("Cid")]}})
        }
        1 => {
            json!({"parallel": {"task": task, "agents": [agent("One"), agent("Two"), agent("Three")], "aggregator": agent("Sum")}})
        }
        2 => {
            json!({"debate": {"topic": task, "agents": [agent("Pro"), agent("Con")], "rounds": 2}})
        }
        3 => {
            json!({"hierarchical": {"task": task, "manager": agent("Boss"), "workers": [agent("Wall"), agent("Roof")]}})
        }
        _ => {
            json!({"routing": {"task": task, "router": agent("Router"), "specialists": [agent("Plumber"), agent("Painter")]}})
        }
    }
}

/// A subscriber of a run, at the server that currently runs.
pub(super) struct Watcher {
    run: Run,
    token: String,
    url: watch::Receiver<String>,
    /// Counts the pieces of text that all watchers receive.
    heard: Arc<watch::Sender<u64>>,
    cursor: Option<String>,
    /// Its run was paused by crashes, and the user has yet to resume it.
    is_halted: bool,
    texts: BTreeMap<(String, u64), String>,
}

impl Watcher {
    pub(super) fn new(
        run: Run,
        user: &User,
        url: watch::Receiver<String>,
        heard: Arc<watch::Sender<u64>>,
    ) -> Self {
        Self {
            run,
            token: user.token.clone(),
            url,
            heard,
            cursor: None,
            is_halted: false,
            texts: BTreeMap::new(),
        }
    }

    /// Watches to the end, across servers that go away. The text held of each step's last attempt
    /// must be the step's output.
    pub(super) async fn watch(mut self) -> RunId {
        let watching = async {
            loop {
                let url = self.url.borrow_and_update().clone();
                if let Some(end) = self.follow(&url).await {
                    return end;
                }
                // Either another server is named, or this one is tried again.
                drop(tokio::time::timeout(Duration::from_millis(50), self.url.changed()).await);
            }
        };
        let end = tokio::time::timeout(PATIENCE, watching).await.expect("the run ends");
        assert_eq!(end["state"], "COMPLETED", "{end}");
        for step in end["steps"].as_array().unwrap() {
            let place =
                (step["id"].as_str().unwrap().to_owned(), step["attempt"].as_u64().unwrap());
            assert_eq!(
                self.texts.get(&place).map(String::as_str),
                step["output"].as_str(),
                "{place:?} of {}",
                self.run.id
            );
        }
        self.run.run
    }

    /// What one connection gives; the run as it ended, once it has.
    async fn follow(&mut self, url: &str) -> Option<Value> {
        self.resume_if_halted(url).await;
        let body = json!({"query": FOLLOW, "variables": {"id": self.run.id, "after": self.cursor}});
        let request = http()
            .post(format!("{url}/graphql"))
            .header("accept", "text/event-stream")
            .bearer_auth(&self.token);
        let mut response = request.json(&body).send().await.ok()?;
        let mut buffer = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = buffer.drain(..end + 2).collect();
                let text = String::from_utf8(event).unwrap();
                let Some(data) = text.lines().find_map(|line| line.strip_prefix("data:")) else {
                    continue;
                };
                let Ok(mut data) = serde_json::from_str::<Value>(data) else { continue };
                assert!(data.get("errors").is_none(), "{data}");
                let message = &data["data"]["orchestration"];
                self.is_halted |= message["event"]["type"] == "RunHalted"
                    || message["orchestration"]["state"] == "PAUSED";
                self.resume_if_halted(url).await;
                if let Some(end) = self.take(&data["data"]["orchestration"].take()) {
                    return Some(end);
                }
            }
        }
        None
    }

    /// After its third crash a step waits for the user. A server that is killed meanwhile gives no
    /// answer, and the next one is asked.
    async fn resume_if_halted(&mut self, url: &str) {
        if self.is_halted {
            let client = Client::new(url).with_token(&self.token);
            let answer = client.try_send(RESUME, &json!({ "id": self.run.id })).await;
            self.is_halted = answer.is_none();
        }
    }

    fn take(&mut self, message: &Value) -> Option<Value> {
        let place = |of: &Value| {
            (of["stepId"].as_str().unwrap().to_owned(), of["attempt"].as_u64().unwrap())
        };
        match message["__typename"].as_str()? {
            "Snapshot" => {
                // A late subscriber receives what is done already.
                let steps = message["orchestration"]["steps"].as_array().unwrap().iter();
                let done = steps.filter(|step| step["state"] == "COMPLETED");
                self.texts.extend(done.map(|step| {
                    let place = (
                        step["id"].as_str().unwrap().to_owned(),
                        step["attempt"].as_u64().unwrap(),
                    );
                    (place, step["output"].as_str().unwrap().to_owned())
                }));
                let partial = message["partial"].as_array().unwrap().iter();
                self.texts.extend(
                    partial.map(|one| (place(one), one["text"].as_str().unwrap().to_owned())),
                );
            }
            "TextDelta" => {
                let (text, held) = (
                    message["text"].as_str().unwrap(),
                    self.texts.entry(place(message)).or_default(),
                );
                let known =
                    held.len() - usize::try_from(message["offset"].as_u64().unwrap()).unwrap();
                held.push_str(text.get(known.min(text.len())..).unwrap());
                self.heard.send_modify(|heard| *heard += 1);
            }
            "AttemptSuperseded" => {
                let keep = usize::try_from(message["keepBytes"].as_u64().unwrap()).unwrap();
                self.texts.entry(place(message)).or_default().truncate(keep);
            }
            "Terminal" => return Some(message["orchestration"].clone()),
            "EventMessage" => {}
            other => panic!("{other}: no text is gone so soon"),
        }
        self.cursor = Some(message["cursor"].as_str().unwrap().to_owned());
        None
    }
}

/// How long something took, at most and in the middle.
#[derive(Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn note(&mut self, since: Instant) {
        self.0.push(since.elapsed());
    }

    pub(super) fn most(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    pub(super) fn middle(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}
