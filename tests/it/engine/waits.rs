//! Who waits says since when, until when and why: over GraphQL, and in words at the command line.
//! And a process that waits for its store still ends in time.

use super::outages::{by_hand, lives, resume, secret};
use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::client::Client;
use crate::harness::environment::TestTimer;
use crate::harness::person::User;
use crate::harness::process::{Duty, Process};
use crate::harness::program::{Going, Home, Ran};
use crate::harness::runs::{agent, agents, has_text, line};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Refusal, Reply};
use claviger_application::ids::{IdKind, encode};
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{Draft, Phase, RunEvent};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, Hold, Holder, LeaseName, Store,
};
use claviger_projections::run_feed::{Body, FeedCursor};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const RUN: &str = "query($id: ID!) { orchestration(id: $id) { state createdAt \
    waiting { since until reason message } \
    steps { state attempt error { code message } fallback waiting { since until reason message } } } }";

/// A server, its user, and their command line.
struct Desk {
    world: World,
    timer: Arc<TestTimer>,
    process: Process,
    ada: User,
    home: Home,
}

impl Desk {
    async fn open(kind: StoreKind) -> Self {
        let (world, timer) = by_hand(kind).await;
        let process = world.serve().await;
        let ada = process.user("ada", Scenario::Good).await;
        Self { world, timer, process, ada, home: Home::new() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.process.address())
    }

    async fn told(&self, run: RunId) -> Value {
        let client = Client::new(&self.url()).with_token(&self.ada.token);
        client.ask(RUN, json!({ "id": id(run) })).await["orchestration"].take()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(&[&["run"], arguments].concat());
        command.env("CLAVIGER_URL", self.url()).env("CLAVIGER_TOKEN", &self.ada.token);
        command
    }

    async fn shown(&self, run: RunId) -> String {
        let command = self.command(&["show", &id(run)]);
        let ran = tokio::task::spawn_blocking(move || Ran::of(command, b"")).await.unwrap();
        ran.assert_code(0).stdout.clone()
    }

    /// What `run attach` says until it says this.
    async fn attached(&self, run: RunId, words: &'static str) -> String {
        let going = Going::of(self.command(&["attach", &id(run), "--show", "lines"]));
        let going = going.says(words).await;
        going.signal(Signal::INT);
        going.ended().await.stdout
    }

    fn next(&self, act: Act) {
        self.world.simulator().script().push(&secret(), act);
    }

    async fn begin(&self, draft: Draft, mut pleases: impl FnMut(&RunEvent) -> bool) -> RunId {
        let run = self.process.start_run(&self.ada, draft).await;
        let mut after = self.process.messages(&self.ada, run, Some(FeedCursor::default())).await;
        while let Some(message) = futures::StreamExt::next(&mut after).await {
            if let Body::Event { event, .. } = message.unwrap().body
                && pleases(&event.event)
            {
                return run;
            }
        }
        panic!("the run ended");
    }

    async fn close(self) {
        self.process.stop().await;
        self.world.close().await;
    }
}

fn id(run: RunId) -> String {
    encode(IdKind::Orchestration, run.0)
}

fn at(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap_or_else(|| panic!("{value} is no time"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_says_why_since_when_and_until_when_on_every_face() {
    for kind in StoreKind::available().await {
        let desk = Desk::open(*kind).await;
        let limit = Refusal::new(429, "rate_limit_error", "too fast");
        desk.next(Act::Refuse(Refusal { retry_after: Some("120".to_owned()), ..limit }));
        let fails = |event: &RunEvent| matches!(event, RunEvent::StepAttemptFailed(..));
        let rests = desk.begin(line("Count.", ["Ann", "Ben"]), fails).await;
        let told = desk.told(rests).await;
        let waiting = &told["steps"][0]["waiting"];
        assert_eq!(told["waiting"], *waiting, "nothing else is worked on");
        assert_eq!(
            (&waiting["reason"], &told["steps"][0]["state"]),
            (&json!("RATE_LIMIT"), &json!("WAITING"))
        );
        let (since, until) = (at(&waiting["since"]), at(&waiting["until"]));
        assert_eq!(until.ms_since(since).div_ceil(1_000), 120);
        assert!(since >= at(&told["createdAt"]));
        assert!(
            waiting["message"]
                .as_str()
                .unwrap()
                .contains("it goes on by itself when the limit ends")
        );
        assert_eq!(told["steps"][1]["waiting"], Value::Null, "its turn comes after the first");
        let words = format!("waits until {} (rate limit): ", waiting["until"].as_str().unwrap());
        let shown = desk.shown(rests).await;
        assert!(shown.contains(&words) && shown.contains(&format!("Ann {words}")), "{shown}");
        assert!(
            shown.contains(&format!("; since {}", waiting["since"].as_str().unwrap())),
            "{shown}"
        );
        let attached = desk.attached(rests, "-- Ann waits until ").await;
        assert!(attached.contains(&words), "{attached}");

        // Another run, whose key rests: nothing of that is in its log.
        let plans = |event: &RunEvent| matches!(event, RunEvent::StepsPlanned(_));
        let behind = desk.begin(line("Count.", ["Ann", "Ben"]), plans).await;
        let told = desk.told(behind).await;
        let waiting = &told["steps"][0]["waiting"];
        assert_eq!(
            (&told["state"], &told["steps"][0]["state"]),
            (&json!("RUNNING"), &json!("PLANNED"))
        );
        assert_eq!((&waiting["reason"], &waiting["until"]), (&json!("QUEUE"), &Value::Null));
        assert_eq!(told["waiting"], *waiting);
        assert!(at(&waiting["since"]) >= at(&told["createdAt"]));
        assert_eq!(told["steps"][1]["waiting"], Value::Null);
        assert!(
            desk.shown(behind)
                .await
                .contains("Ann waits (queue): its call is made when it is its turn")
        );

        for run in [rests, behind] {
            lives(&desk.process, &desk.ada, run, &desk.timer, |_| {}).await;
            let told = desk.told(run).await;
            assert_eq!((&told["state"], &told["waiting"]), (&json!("COMPLETED"), &Value::Null));
            assert_eq!(told["steps"][0]["waiting"], Value::Null);
        }
        desk.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_paused_says_why_and_what_would_help_on_every_face() {
    let desk = Desk::open(StoreKind::Sqlite).await;
    let disabled =
        Refusal::new(400, "invalid_request_error", "This organization has been disabled.");
    for (act, reason, helps) in [
        (Act::Scenario(Scenario::NoCredit400), "CREDIT", "add credit in Anthropic's console"),
        (Act::Scenario(Scenario::Revoked), "KEY_REFUSED", "replace the key's secret"),
        (
            Act::Refuse(disabled),
            "ORGANIZATION_DISABLED",
            "choose a key of another one, then resume",
        ),
        (Act::Scenario(Scenario::SpendLimit429), "SPEND_LIMIT", "raise the spend limit"),
    ] {
        desk.next(act);
        let pauses =
            |event: &RunEvent| matches!(event, RunEvent::RunStalled(_) | RunEvent::RunPaused(_));
        let run = desk.begin(line("Count.", ["Ann"]), pauses).await;
        let told = desk.told(run).await;
        assert_eq!(
            (&told["state"], &told["waiting"]["reason"]),
            (&json!("PAUSED"), &json!(reason))
        );
        assert!(told["waiting"]["message"].as_str().unwrap().contains(helps), "{told}");
        assert_eq!(told["waiting"]["until"].is_string(), reason == "SPEND_LIMIT", "{told}");
        assert_eq!(told["steps"][0]["waiting"]["reason"], reason);
        let words = reason.to_lowercase().replace('_', " ");
        let shown = desk.shown(run).await;
        assert!(shown.contains(&format!("({words}): ")) && shown.contains(helps), "{shown}");
        let attached = desk.attached(run, "waits").await;
        assert!(
            attached.contains(&format!("({words}): ")) && attached.contains(helps),
            "{attached}"
        );
        resume(&desk.process, &desk.ada, run).await;
        let detail = lives(&desk.process, &desk.ada, run, &desk.timer, |_| {}).await;
        assert_eq!(detail.view.run.phase, Phase::Completed);
        assert_eq!(desk.told(run).await["waiting"], Value::Null);
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_instead_of_a_reply_is_said_on_every_face() {
    let desk = Desk::open(StoreKind::Sqlite).await;
    let manager = |aggregates: bool| {
        if aggregates {
            return Draft::Parallel {
                task: "Name a colour.".to_owned(),
                agents: agents(["One", "Two"]),
                agent_names: None,
                aggregator: Some(agent("Sum")),
                on_failure: claviger_domain::orchestration::OnFailure::Fail,
            };
        }
        Draft::Hierarchical {
            task: "Build a house.".to_owned(),
            manager: agent("Boss"),
            workers: agents(["Wall", "Roof"]),
            worker_names: None,
        }
    };
    let unreadable = || Act::Reply(Reply::text("I would rather not say."));
    for (draft, marker, acts, step, fallback, words) in [
        (
            manager(false),
            "You are Boss.",
            vec![unreadable(), unreadable()],
            0,
            "EVERY_WORKER",
            "every worker",
        ),
        (
            manager(true),
            "You are Sum.",
            vec![Act::Scenario(Scenario::BadRequest)],
            2,
            "PARTS_AS_THEY_ARE",
            "parts as they are",
        ),
    ] {
        for act in acts {
            desk.world.simulator().script().on_prompt(marker, act);
        }
        let run = desk.process.start_run(&desk.ada, draft).await;
        lives(&desk.process, &desk.ada, run, &desk.timer, |_| {}).await;
        let told = desk.told(run).await;
        assert_eq!(told["state"], "COMPLETED", "{told}");
        let said: Vec<_> =
            told["steps"].as_array().unwrap().iter().map(|step| &step["fallback"]).collect();
        for (n, said) in said.iter().enumerate() {
            assert_eq!(**said, if n == step { json!(fallback) } else { Value::Null }, "{told}");
        }
        let shown = desk.shown(run).await;
        assert!(
            shown.contains(&format!("its reply could not be used, instead: {words}")),
            "{shown}"
        );
    }
    desk.close().await;
}

/// A store that from some moment on answers nothing.
struct Mute {
    inner: Arc<dyn Store>,
    says_nothing: watch::Sender<bool>,
    waits: watch::Sender<bool>,
}

impl Mute {
    async fn wait(&self) {
        if *self.says_nothing.borrow() {
            self.waits.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}

impl Bent for Mute {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            self.wait().await;
            self.inner.append(append).await
        })
    }

    fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Answer<'_, Hold> {
        Box::pin(async move {
            self.wait().await;
            self.inner.hold(name, holder, ttl_ms).await
        })
    }

    fn release(&self, name: LeaseName, holder: Holder) -> Answer<'_, bool> {
        Box::pin(async move {
            self.wait().await;
            self.inner.release(name, holder).await
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_store_answers_nothing_ends_within_the_drain_time() {
    for kind in StoreKind::available().await {
        let world =
            World::with(*kind, |config| (config.lease_ms, config.drain_ms) = (60_000, 1_000)).await;
        let ground = world.open_store().await;
        let mute = Arc::new(Mute {
            inner: ground.store(),
            says_nothing: watch::Sender::new(false),
            waits: watch::Sender::new(false),
        });
        let process = world.process_over(Over::store(&mute), Duty::Http).await;
        let ada = process.user("ada", Scenario::Good).await;
        let gate = claviger::simulator::gate::Gate::default();
        let held = Reply { chunk_chars: 2, gate: Some((1, gate.clone())), ..Reply::text("abcdef") };
        world.simulator().script().push(&key(Scenario::Good, 1), Act::Reply(held));
        let run = process.start_run(&ada, line("Count.", ["Ann"])).await;
        process.until(&ada, run, has_text).await;
        mute.says_nothing.send_replace(true);
        gate.open();
        mute.waits.subscribe().wait_for(|waits| *waits).await.unwrap();
        let began = Instant::now();
        let stopped = tokio::time::timeout(Duration::from_secs(20), process.stop()).await;
        assert!(stopped.is_ok(), "it waits for its store");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        ground.close().await;
        world.close().await;
    }
}
