//! Invalid input is refused before anything starts, by a typed error that names the limit or the
//! alternatives. And repeats.

use crate::harness::environment::without_waits;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::runs::{agent, agents, line, start, task};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::{KeyCommand, RunFilter, StartRun};
use claviger_domain::code::ErrorCode::{self, LimitExceeded, Validation};
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{
    AgentDraft, AgentRole, Block, ControlRequest, CredentialSource, Draft, OnFailure, Phase, Why,
};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Context, ModelId};
use claviger_projections::ports::Page;
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

/// The limit of a user's runs that haven't ended.
const MOST_OPEN: usize = 1_000;

async fn runs_of(process: &Process, user: &User) -> u64 {
    let page = Page { limit: 1, ..Page::default() };
    process.ports.run_reads.runs(user.id(), RunFilter::default(), page).await.unwrap().total
}

/// A start that must be refused; nothing may have been written.
async fn refused(process: &Process, user: &User, asked: StartRun) -> Failure {
    let before = process.store.head().await.unwrap().position;
    let failure = process.try_start(user, asked, Some("once")).await.unwrap_err();
    assert_eq!(process.store.head().await.unwrap().position, before, "{failure:?}");
    assert_eq!(runs_of(process, user).await, 0, "{failure:?}");
    failure
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn many(count: usize) -> Vec<AgentDraft> {
    (0..count).map(|n| agent(&format!("A{n}"))).collect()
}

fn debate(agents: Vec<AgentDraft>, participants: Option<Vec<String>>, rounds: u32) -> Draft {
    Draft::Debate { topic: "Tabs?".to_owned(), agents, participants, rounds }
}

fn parallel(on_failure: OnFailure) -> Draft {
    let agents = agents(["One", "Two"]);
    Draft::Parallel {
        task: "Go.".to_owned(),
        agents,
        agent_names: None,
        aggregator: None,
        on_failure,
    }
}

/// The draft, the code, the path, and words of the message.
type Invalid = (Draft, ErrorCode, &'static [&'static str], &'static str);

fn invalid_sequences() -> Vec<Invalid> {
    let sequence = |agents, sequence| Draft::Sequential { task: task("Go."), agents, sequence };
    let with = |model: Option<&str>, max_tokens| {
        vec![AgentDraft { model: model.map(str::to_owned), max_tokens, ..agent("Ann") }]
    };
    let image = |media_type: &str, data: &str| {
        let image = Block::Image { media_type: media_type.to_owned(), data: data.to_owned() };
        Draft::Sequential { task: vec![image], agents: agents(["Ann"]), sequence: None }
    };
    vec![
        (sequence(many(33), None), LimitExceeded, &["agents", "32"], "at most 32"),
        (sequence(vec![], None), Validation, &["agents"], "at least one"),
        (
            sequence(agents(["Ann", "Ann"]), None),
            Validation,
            &["agents", "1", "name"],
            "two agents are called \"Ann\"",
        ),
        (sequence(agents([" "]), None), Validation, &["agents", "0", "name"], "1"),
        (
            sequence(agents(["Ann", "Ben"]), Some(names(&["Cid"]))),
            Validation,
            &["sequence"],
            "the agents are Ann, Ben",
        ),
        (sequence(agents(["Ann"]), Some(vec![])), Validation, &["sequence"], "at least one"),
        (
            sequence(agents(["Ann"]), Some(names(&["Ann"; 101]))),
            LimitExceeded,
            &["sequence"],
            "at most 100",
        ),
        (
            sequence(with(Some("no model"), None), None),
            Validation,
            &["agents", "0", "model"],
            "models lists",
        ),
        (
            sequence(with(None, Some(0)), None),
            Validation,
            &["agents", "0", "maxTokens"],
            "1 to 128000",
        ),
        (
            sequence(with(None, Some(128_001)), None),
            Validation,
            &["agents", "0", "maxTokens"],
            "1 to 128000",
        ),
        (line("  ", ["Ann"]), Validation, &["task"], "empty"),
        (line(&"x".repeat(256 * 1024 + 1), ["Ann"]), LimitExceeded, &["task"], "at most 262144"),
        (image("image/bmp", "aGk="), Validation, &["task"], "image/png"),
        (image("image/png", "no base64"), Validation, &["task"], "base64"),
    ]
}

fn invalid_patterns() -> Vec<Invalid> {
    let hierarchical = |workers, worker_names| {
        let manager = agent("Boss");
        Draft::Hierarchical { task: "Go.".to_owned(), manager, workers, worker_names }
    };
    let routing = |specialists, specialist_names| {
        let router = agent("Router");
        Draft::Routing { task: "Go.".to_owned(), router, specialists, specialist_names }
    };
    let moderators = vec![AgentDraft { role: AgentRole::Moderator, ..agent("Mod") }];
    vec![
        (debate(agents(["Pro"]), None, 0), Validation, &["rounds"], "at least one"),
        (debate(agents(["Pro"]), None, 21), LimitExceeded, &["rounds"], "at most 20"),
        (
            debate(agents(["Pro"]), Some(names(&["Pro", "Pro"])), 1),
            Validation,
            &["participants"],
            "twice",
        ),
        (debate(moderators, None, 1), Validation, &["participants"], "moderators only"),
        (hierarchical(agents(["Boss"]), None), Validation, &["workers", "0", "name"], "two agents"),
        (
            hierarchical(agents(["Wall"]), Some(names(&["Boss"]))),
            Validation,
            &["workerNames"],
            "the agents are Wall",
        ),
        (
            routing(agents(["Plumber"]), Some(vec![])),
            Validation,
            &["specialistNames"],
            "at least one",
        ),
        (parallel(OnFailure::Quorum(0)), Validation, &["quorum"], "1 to 2"),
        (parallel(OnFailure::Quorum(3)), Validation, &["quorum"], "1 to 2"),
        (
            Draft::Design { prompt: "\n".to_owned(), current: None },
            Validation,
            &["prompt"],
            "empty",
        ),
        (
            Draft::Design { prompt: "A.".to_owned(), current: Some(json!([])) },
            Validation,
            &["currentDesign"],
            "object",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_bound_is_refused_before_anything_starts() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    for (draft, code, path, words) in invalid_sequences().into_iter().chain(invalid_patterns()) {
        let failure = refused(&process, &ada, start(draft)).await;
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.contains(words), "{}", failure.message);
        let path = names(&[&["pattern"][..], path].concat());
        assert_eq!(failure.path.clone().unwrap_or_default(), path, "{}", failure.message);
    }
    for most in [0, 33] {
        let asked = StartRun { max_concurrency: Some(most), ..start(line("Go.", ["Ann"])) };
        let failure = refused(&process, &ada, asked).await;
        assert_eq!(
            (failure.code, failure.message.contains("1 to 32")),
            (ErrorCode::Validation, true)
        );
    }
    assert_eq!(world.simulator().counts().total(), 0);
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_the_operators_key_doesnt_have_is_refused_with_those_it_has() {
    let operators = || Some(SecretText::new(key(Scenario::Good, 9)));
    let world = World::steady_with(|config| config.anthropic_api_key = operators()).await;
    let process = world.process().await;
    let eve = process.newcomer("eve").await;
    let unknown = ModelId::parse("claude-none-1");
    let by_agent = AgentDraft { model: Some("claude-none-1".to_owned()), ..agent("Ann") };
    let of_agent = Draft::Sequential { task: task("Go."), agents: vec![by_agent], sequence: None };
    for asked in
        [StartRun { model: unknown.clone(), ..start(line("Go.", ["Ann"])) }, start(of_agent)]
    {
        let failure = refused(&process, &eve, asked).await;
        assert_eq!(failure.code, ErrorCode::Validation);
        assert!(
            failure.message.contains("claude-none-1: choose one of ")
                && failure.message.contains("claude-haiku-5-5")
        );
    }
    let other = ModelId::parse("claude-haiku-4-5-20260101");
    let other = StartRun { model: other, ..start(line("Go.", ["Ann"])) };
    assert_eq!(refused(&process, &eve, other).await.code, ErrorCode::Validation);
    let known =
        StartRun { model: ModelId::parse("claude-sonnet-5"), ..start(line("Go.", ["Ann"])) };
    let run = process.try_start(&eve, known, None).await.unwrap().run;
    let detail = process.ended(&eve, run).await;
    assert_eq!(
        detail.view.run.steps[0].credential.unwrap().source,
        CredentialSource::EnvAnthropicApiKey
    );
    assert_eq!(
        (detail.view.run.phase, detail.view.run.steps[0].planned.model.as_str()),
        (Phase::Completed, "claude-sonnet-5")
    );
    // Listed as a snapshot, and known by each of its names.
    for name in ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-sonnet-5-20260101"] {
        let named = StartRun { model: ModelId::parse(name), ..start(line("Go.", ["Ann"])) };
        let run = process.try_start(&eve, named, None).await.unwrap().run;
        let detail = process.ended(&eve, run).await;
        assert_eq!(detail.view.run.phase, Phase::Completed, "{name}");
        assert_eq!(detail.view.run.steps[0].planned.model.as_str(), name);
    }
    // Which models a user's key may use is unknown before it is used.
    let ada = process.user("ada", Scenario::Good).await;
    let asked = StartRun { model: unknown, ..start(line("Go.", ["Ann"])) };
    let run = process.try_start(&ada, asked, None).await.unwrap().run;
    assert_eq!(
        process.ended(&ada, run).await.view.run.failure.unwrap().code,
        ErrorCode::KeyUnavailable
    );
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_key_is_used_or_the_request_is_refused() {
    let mut world = World::steady_with(|config| {
        // Were it to fall through, this would serve.
        config.anthropic_api_key = Some(SecretText::new(key(Scenario::Good, 9)));
    })
    .await;
    let (clock, env) = without_waits();
    world.env = env;
    let process = world.process().await;
    let (ada, bob) = (process.newcomer("ada").await, process.newcomer("bob").await);
    let foreign = bob.add_key(&process, "foreign", &key(Scenario::Good, 1)).await;
    let inactive = ada.add_key(&process, "inactive", &key(Scenario::Good, 2)).await;
    process.deactivate(&ada, inactive).await;
    let expired = ada.add_key(&process, "expired", &key(Scenario::Good, 3)).await;
    let expires_at = Some(clock.now().plus_ms(60_000));
    process
        .key(&ada, KeyCommand::SetExpiry { key: expired, expires_at, expected: None })
        .await
        .unwrap();
    clock.advance_ms(120_000);
    let unknown = KeyId(Uuid::from_u128(7));
    for (key, code, words) in [
        (foreign, ErrorCode::NotFound, "key"),
        (unknown, ErrorCode::NotFound, "key"),
        (inactive, ErrorCode::KeyUnavailable, "it is inactive"),
        (expired, ErrorCode::KeyUnavailable, "it expired at"),
    ] {
        let asked = StartRun { key: Some(key), ..start(line("Go.", ["Ann"])) };
        let failure = refused(&process, &ada, asked).await;
        assert_eq!((failure.code, failure.message.contains(words)), (code, true), "{failure:?}");
        assert_eq!(failure.path.as_deref(), Some(&names(&["keyId"])[..]));
        if code == ErrorCode::KeyUnavailable {
            let FailureDetail::Resolution(tried) = &failure.detail else { panic!("{failure:?}") };
            assert_eq!((tried.considered.len(), tried.considered[0].key), (1, Some(key)));
        }
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_credential_the_answer_lists_what_was_tried() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.newcomer("ada").await;
    let asked =
        StartRun { context: Context::parse("work").unwrap(), ..start(line("Go.", ["Ann"])) };
    let failure = refused(&process, &ada, asked).await;
    assert_eq!(failure.code, ErrorCode::NoCredential);
    for words in [
        "\"work\"",
        "\"default\"",
        "ANTHROPIC_API_KEY is not set",
        "CLAUDE_API_KEY is not set",
        "add a key",
    ] {
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    let FailureDetail::Resolution(tried) = failure.detail else {
        panic!("what was tried is a list")
    };
    let sources: Vec<_> = tried.considered.iter().map(|one| (one.source, one.why)).collect();
    let expected = [
        CredentialSource::DefaultKey,
        CredentialSource::DefaultKey,
        CredentialSource::EnvAnthropicApiKey,
        CredentialSource::EnvClaudeApiKey,
        CredentialSource::MaxPlan,
    ]
    .map(|of| (of, Why::NotSet));
    assert_eq!(sources, expected);
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_adds_keys_at_the_same_time_starts_runs() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    // A start relies on the user's keys. It is decided again when one is added meanwhile, and not
    // until it gives up.
    join_all((0..30).map(async |n| {
        ada.add_key(&process, &format!("key {n}"), &key(Scenario::Good, 2 + n)).await;
        process.start_run(&ada, line("Once.", ["Ann"])).await
    }))
    .await;
    assert_eq!(runs_of(&process, &ada).await, 30);
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_start_one_run_whatever_they_race_and_another_input_is_refused() {
    for kind in StoreKind::available().await {
        let world = World::steady(*kind).await;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        let asked = || start(line("Once.", ["Ann"]));
        let all = join_all((0..8).map(|_| process.try_start(&ada, asked(), Some("k1")))).await;
        let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
        assert!(
            all.iter()
                .all(|done| done.run == all[0].run
                    && done.commit.event_ids == all[0].commit.event_ids)
        );
        assert_eq!(all.iter().filter(|done| !done.commit.replayed).count(), 1);
        assert_eq!(runs_of(&process, &ada).await, 1);
        process.ended(&ada, all[0].run).await;
        // Things have changed since: the answer hasn't.
        let default = process
            .ports
            .reads
            .default_key(ada.id(), Context::parse("default").unwrap())
            .await
            .unwrap()
            .unwrap();
        process.deactivate(&ada, default.id).await;
        let again = process.try_start(&ada, asked(), Some("k1")).await.unwrap();
        assert_eq!((again.run, again.commit.replayed), (all[0].run, true));
        let other = StartRun { max_concurrency: Some(3), ..asked() };
        let failure = process.try_start(&ada, other, Some("k1")).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::IdempotencyKeyReused);
        assert_eq!(runs_of(&process, &ada).await, 1);
        process.stop().await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_runs_that_havent_ended_are_refused_and_a_repeat_of_the_last_isnt() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.clerk().await;
    let ada = process.user("ada", Scenario::Good).await;
    for _ in 0..3 {
        let many = (0..(MOST_OPEN - 1) / 3)
            .map(|_| process.try_start(&ada, start(line("Go.", ["Ann"])), None));
        assert!(join_all(many).await.iter().all(Result::is_ok));
    }
    assert_eq!(runs_of(&process, &ada).await, 999);
    // Of two that race for the last place with one key both get it: a repeat isn't refused because
    // of what its first did.
    let last = join_all(
        (0..8).map(|_| process.try_start(&ada, start(line("Last.", ["Ann"])), Some("k1"))),
    )
    .await;
    let last: Vec<_> = last.into_iter().map(Result::unwrap).collect();
    assert!(last.iter().all(|done| done.run == last[0].run));
    let failure =
        process.try_start(&ada, start(line("More.", ["Ann"])), Some("k2")).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.message.contains("the limit is 1000")),
        (ErrorCode::LimitExceeded, true),
        "{failure:?}"
    );
    assert_eq!(runs_of(&process, &ada).await, 1_000);
    process.ask(&ada, last[0].run, ControlRequest::Cancel).await.unwrap();
    process.stop().await;
    // One that has ended makes room.
    let process = world.process().await;
    process.ended(&ada, last[0].run).await;
    assert!(process.try_start(&ada, start(line("More.", ["Ann"])), Some("k2")).await.is_ok());
    process.vanish().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_of_foreign_unknown_and_ended_runs_are_refused() {
    let world = World::steady(StoreKind::Sqlite).await;
    let process = world.process().await;
    let (ada, bob) = (
        process.user("ada", Scenario::Good).await,
        process.user("bob", Scenario::RateLimited).await,
    );
    let ended = process.start_run(&ada, line("Go.", ["Ann"])).await;
    process.ended(&ada, ended).await;
    let open = process.start_run(&bob, line("Go.", ["Ann"])).await;
    let head = process.store.head().await.unwrap().position;
    for ask in [ControlRequest::Cancel, ControlRequest::Pause, ControlRequest::Resume] {
        let (foreign, unknown) = (
            process.ask(&ada, open, ask).await,
            process.ask(&ada, RunId(Uuid::from_u128(7)), ask).await,
        );
        assert_eq!(foreign.as_ref().unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(foreign.unwrap_err(), unknown.unwrap_err(), "they answer alike");
        assert_eq!(process.ask(&ada, ended, ask).await.unwrap_err().code, ErrorCode::Conflict);
    }
    assert_eq!(
        process.ask(&bob, open, ControlRequest::Resume).await.unwrap_err().code,
        ErrorCode::Conflict,
        "it isn't paused"
    );
    let asked =
        process.kinds_of_control(ended).await.len() + process.kinds_of_control(open).await.len();
    assert_eq!(asked, 0, "{head}");
    for ask in [
        ControlRequest::Pause,
        ControlRequest::Resume,
        ControlRequest::Cancel,
        ControlRequest::Cancel,
    ] {
        process.ask(&bob, open, ask).await.unwrap();
        if ask == ControlRequest::Pause {
            process.paused(&bob, open).await;
            assert!(
                process
                    .ask(&bob, open, ControlRequest::Pause)
                    .await
                    .unwrap()
                    .commit
                    .event_ids
                    .is_empty(),
                "things are as asked"
            );
        }
    }
    process.ended(&bob, open).await;
    assert!(
        process.ask(&bob, open, ControlRequest::Cancel).await.unwrap().commit.event_ids.is_empty(),
        "it is cancelled already"
    );
    process.stop().await;
    world.close().await;
}
