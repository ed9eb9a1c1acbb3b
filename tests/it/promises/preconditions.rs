//! What was checked before a decision is checked again where the decision is committed.

use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::client::Client;
use crate::harness::dice::number;
use crate::harness::environment::{TestClock, by, fresh};
use crate::harness::person::{add, api_key, password};
use crate::harness::process::{Duty, Process};
use crate::harness::runs::{line, start};
use crate::harness::stores::{Opened, StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::bus::{AccountRequest, RunSettings};
use claviger::credentials::Sharing;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::{
    CommandContext, ForeignToken, KeyCommand, PeerKey, Principal, RequestInfo, RunCommand, Tokens,
};
use claviger_domain::account::{
    AccountCommand, EraseAccount, GrantRole, Identity, RegisterExternal, RevokeRole, SignIn,
    SignOut, Verified,
};
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Payload as _;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, KeyId, SessionId, UserId};
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::orchestration::{ControlRequest, PauseReason, Phase, RunEvent};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{KeyName, Password, Username};
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, Fewer, KEYS, OPEN_RUNS, Page, PageOf, Reliance,
    Store, StoreError,
};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What happens to an append that is held.
#[derive(Clone, Copy)]
enum Then {
    Append,
    /// It was appended before, and only its answer was held.
    Answer,
    /// It fails because the store is away.
    Fail,
}

/// A store that holds appends of an event's type, as many as a test asks for, until it is released.
struct Gate {
    inner: Arc<dyn Store>,
    armed: Mutex<Option<(&'static str, usize, Then)>>,
    held: watch::Sender<usize>,
    goes_on: watch::Sender<bool>,
    /// Every user seems to have as many open runs more.
    more_runs: u64,
}

impl Gate {
    fn over(inner: Arc<dyn Store>, more_runs: u64) -> Arc<Self> {
        let (held, goes_on) = (watch::Sender::new(0), watch::Sender::new(false));
        Arc::new(Self { inner, armed: Mutex::default(), held, goes_on, more_runs })
    }

    fn hold(&self, kind: &'static str, count: usize, then: Then) {
        self.held.send_replace(0);
        self.goes_on.send_replace(false);
        *self.armed.lock().unwrap() = Some((kind, count, then));
    }

    async fn holds(&self, count: usize) {
        let mut held = self.held.subscribe();
        let held = tokio::time::timeout(Duration::from_mins(1), held.wait_for(|now| *now >= count));
        drop(held.await.expect("nothing is appended").unwrap());
    }

    fn release(&self) {
        *self.armed.lock().unwrap() = None;
        self.goes_on.send_replace(true);
    }

    fn fate(&self, append: &Append) -> Option<Then> {
        let mut armed = self.armed.lock().unwrap();
        let (kind, count, then) = armed.as_mut()?;
        let is_meant = *count > 0 && append.events.iter().any(|event| event.kind == *kind);
        *count -= usize::from(is_meant);
        is_meant.then_some(*then)
    }

    async fn wait(&self) {
        self.held.send_modify(|held| *held += 1);
        drop(self.goes_on.subscribe().wait_for(|goes_on| *goes_on).await);
    }
}

impl Bent for Gate {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let Reliance { unchanged, fewer } = append.relies_on.clone();
            let fewer = fewer.map(|of| Fewer { than: of.than - self.more_runs, ..of });
            let append = Append { relies_on: Reliance { unchanged, fewer }, ..append };
            match self.fate(&append) {
                None => self.inner.append(append).await,
                Some(Then::Append) => {
                    self.wait().await;
                    self.inner.append(append).await
                }
                Some(Then::Answer) => {
                    let appended = self.inner.append(append).await;
                    self.wait().await;
                    appended
                }
                Some(Then::Fail) => {
                    self.wait().await;
                    Err(StoreError::Unavailable("a test".to_owned()).into())
                }
            }
        })
    }

    fn page(&self, view: &'static str, owner: UserId, page: Page) -> Answer<'_, PageOf> {
        Box::pin(async move {
            let more = if view == OPEN_RUNS { self.more_runs } else { 0 };
            let found = self.inner.page(view, owner, page).await?;
            Ok(PageOf { total: found.total + more, ..found })
        })
    }
}

/// Two processes on one store, of which one has a gate before its appends.
struct Stage {
    world: World,
    ground: Opened,
    gate: Arc<Gate>,
    gated: Process,
    other: Process,
}

impl Stage {
    async fn open(kind: StoreKind, duty: Duty) -> Self {
        Self::over(World::open(kind).await, duty, 0).await
    }

    async fn over(world: World, duty: Duty, more_runs: u64) -> Self {
        let ground = world.open_store().await;
        let gate = Gate::over(ground.store(), more_runs);
        let gated = world.process_over(Over::store(&gate), duty).await;
        let other = world.process_over(ground.store(), Duty::Nothing).await;
        Self { world, ground, gate, gated, other }
    }

    /// Work whose append is held while something else is done.
    async fn meanwhile<T>(
        &self,
        (kind, then): (&'static str, Then),
        work: impl Future<Output = T>,
        something: impl Future<Output = ()>,
    ) -> T {
        self.gate.hold(kind, 1, then);
        let released = async {
            self.gate.holds(1).await;
            something.await;
            self.gate.release();
        };
        tokio::join!(work, released).0
    }

    async fn position(&self) -> u64 {
        self.ground.store().head().await.unwrap().position
    }

    async fn close(self) {
        self.gated.stop().await;
        self.other.stop().await;
        self.ground.close().await;
        self.world.close().await;
    }
}

fn info() -> RequestInfo {
    let (peer, via) = (PeerKey { network: 0, is_local: true }, Via::Graphql);
    RequestInfo { correlation: CorrelationId(fresh()), user_agent: None, peer, via }
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

async fn login(process: &Process, name: &str, text: &str) -> Result<Tokens, Failure> {
    process.ports.accounts.login(info(), name.to_owned(), secret(text)).await
}

async fn change(process: &Process, of: &Principal, from: &str, to: &str) -> Result<(), Failure> {
    let new = Password::parse(secret(to)).unwrap();
    process.ports.accounts.change_password(info(), of.clone(), secret(from), new).await.map(drop)
}

async fn revoke_others(process: &Process, of: &Principal) {
    process.ports.accounts.revoke_sessions(info(), of.clone()).await.unwrap();
}

/// A command by the operator, or by the installation.
async fn account(process: &Process, owner: UserId, command: AccountCommand) {
    let correlation = CorrelationId(fresh());
    let request = AccountRequest { owner, actor: Actor::OPERATOR, correlation, command, phc: None };
    process.bus.run_account_command(request).await.unwrap();
}

/// A command of somebody who is signed in.
fn context_of(principal: &Principal) -> CommandContext {
    CommandContext {
        owner: principal.user,
        actor: principal.actor(Via::Graphql),
        roles: principal.roles.clone(),
        foreign: principal.foreign,
        correlation: CorrelationId(fresh()),
        idempotency_key: None,
    }
}

async fn give(process: &Process, by: &Principal, command: KeyCommand) -> Result<(), Failure> {
    process.ports.keys.run(context_of(by), command).await.map(drop)
}

async fn start_by(process: &Process, by: &Principal) -> Result<(), Failure> {
    let command = RunCommand::Start(Box::new(start(line("a task", ["Ann"]))));
    process.ports.run_commands.run(context_of(by), command).await.map(drop)
}

fn code<T>(done: Result<T, Failure>) -> Option<ErrorCode> {
    done.err().map(|failure| failure.code)
}

#[tokio::test]
async fn a_sign_in_that_verified_the_old_password_does_not_survive_the_change() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, Duty::Nothing).await;
        let ada = stage.other.newcomer("ada").await;
        let (old, new) = (password("ada"), "the new password".to_owned());
        let race = async |owner: &Principal, to: &str| {
            let thief = login(&stage.gated, "ada", &old);
            let changing = async { change(&stage.other, owner, &old, to).await.unwrap() };
            stage.meanwhile(("SignedIn", Then::Append), thief, changing).await
        };
        // Changed to the same one, it is right when it is verified again.
        assert_eq!(code(race(&ada.principal, &old).await), None);
        let sessions = async || stage.ground.store().sessions(ada.id()).await.unwrap().len();
        assert_eq!(sessions().await, 2);
        let owner = login(&stage.other, "ada", &old).await.unwrap().principal;
        assert_eq!(code(race(&owner, &new).await), Some(ErrorCode::Unauthenticated));
        assert_eq!(sessions().await, 1, "only the one that changed the password");
        stage.close().await;
    }
}

#[tokio::test]
async fn of_two_racing_password_changes_exactly_one_wins() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, Duty::Nothing).await;
        stage.other.newcomer("ada").await;
        let old = password("ada");
        let owner = login(&stage.other, "ada", &old).await.unwrap().principal;
        let thief = login(&stage.gated, "ada", &old).await.unwrap().principal;
        let second = stage.meanwhile(
            ("PasswordChanged", Then::Append),
            change(&stage.gated, &thief, &old, "of the thief"),
            async { change(&stage.other, &owner, &old, "of the owner").await.unwrap() },
        );
        assert_eq!(code(second.await), Some(ErrorCode::Unauthenticated));
        assert!(login(&stage.other, "ada", "of the thief").await.is_err());
        let one = login(&stage.other, "ada", "of the owner").await.unwrap().principal;
        let two = login(&stage.other, "ada", "of the owner").await.unwrap().principal;
        // In one process, where the second waits for the first.
        let (first, second) = tokio::join!(
            change(&stage.other, &one, "of the owner", "of session one"),
            change(&stage.other, &two, "of the owner", "of session two"),
        );
        let won = if first.is_ok() { "of session one" } else { "of session two" };
        assert_eq!([code(first), code(second)].iter().flatten().count(), 1);
        assert!(login(&stage.other, "ada", won).await.is_ok());
        stage.close().await;
    }
}

/// A command by a session that ends before it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    AddKey,
    TestKey,
    StartRun,
    PauseRun,
    ChangePassword,
    RevokeSessions,
    LogOut,
}

#[tokio::test]
async fn a_request_that_was_held_back_until_its_session_ended_changes_nothing() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind, Duty::Nothing).await;
        let ada = stage.other.newcomer("ada").await;
        let work = ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
        let run = stage.other.start_run(&ada, line("a task", ["Ann"])).await;
        for (late, event) in [
            (Late::AddKey, "KeyAdded"),
            (Late::TestKey, "KeyTestStarted"),
            (Late::StartRun, "RunRequested"),
            (Late::PauseRun, "PauseRequested"),
            (Late::ChangePassword, "PasswordChanged"),
            (Late::RevokeSessions, "SessionsRevoked"),
            (Late::LogOut, "SignedOut"),
        ] {
            let doomed = login(&stage.other, "ada", &password("ada")).await.unwrap().principal;
            let gated = &stage.gated;
            let (level, model) = (KeyTestLevel::Authentic, None);
            let test = KeyCommand::Test { key: work, level, model };
            let pause = RunCommand::Ask { run, ask: ControlRequest::Pause };
            let held = async {
                let accounts = &gated.ports.accounts;
                match late {
                    Late::AddKey => give(gated, &doomed, add("b", &key(Scenario::Good, 2))).await,
                    Late::TestKey => give(gated, &doomed, test).await,
                    Late::StartRun => start_by(gated, &doomed).await,
                    Late::PauseRun => {
                        gated.ports.run_commands.run(context_of(&doomed), pause).await.map(drop)
                    }
                    Late::ChangePassword => {
                        change(gated, &doomed, &password("ada"), "a third one").await
                    }
                    Late::RevokeSessions => accounts.revoke_sessions(info(), doomed.clone()).await,
                    Late::LogOut => accounts.logout(info(), doomed.clone()).await,
                }
            };
            let ending = revoke_others(&stage.other, &ada.principal);
            let done = stage.meanwhile((event, Then::Append), held, ending).await;
            assert_eq!(code(done), Some(ErrorCode::Unauthenticated), "{late:?} on {kind:?}");
            let store = stage.ground.store();
            let events = store.read(0, 1_000).await.unwrap();
            let last = &events.last().unwrap().envelope.kind;
            assert_eq!(last, "SessionsRevoked", "nothing follows the revocation: {late:?}");
            assert_eq!(store.sessions(ada.id()).await.unwrap().len(), 1, "{late:?}");
        }
        assert_eq!(stage.world.simulator().counts().of_key(&key(Scenario::Good, 1)), 0);
        stage.close().await;
    }
}

/// A user of an external issuer, as a token of theirs shows them.
fn foreign(user: UserId, issued_at: u64) -> Principal {
    let now = claviger_domain::timestamp::Timestamp(issued_at);
    let token = ForeignToken { issued_at: now, until: now.plus_ms(900_000), decides_roles: false };
    let roles = BTreeSet::from([Role::User]);
    Principal { foreign: Some(token), ..Principal::of_session(user, SessionId(user.0), roles) }
}

#[tokio::test]
async fn an_issuers_token_from_before_the_end_of_its_session_changes_nothing() {
    let stage = Stage::open(StoreKind::Sqlite, Duty::Nothing).await;
    let user = UserId(fresh());
    let session = SessionId(user.0);
    let identity = Identity { issuer: "https://i.example".to_owned(), subject: "ada".to_owned() };
    let username = Username::parse("ada").unwrap();
    let (email, full_name) = (None, None);
    let register = RegisterExternal { identity, username, email, full_name, session };
    account(&stage.other, user, register.into()).await;
    let now = stage.other.env.clock.now().0;
    let (old, new) = (foreign(user, now), foreign(user, now + 60_000));
    give(&stage.other, &old, add("a", &key(Scenario::Good, 1))).await.unwrap();
    let late = stage.meanwhile(
        ("KeyAdded", Then::Append),
        give(&stage.gated, &old, add("b", &key(Scenario::Good, 2))),
        async {
            account(&stage.other, user, SignOut { session, tokens_from: None }.into()).await;
            // Started again by a newer token: the session is open, and the old token still ended.
            let verified = Verified::Token;
            account(&stage.other, user, SignIn { session, verified, user_agent: None }.into())
                .await;
        },
    );
    assert_eq!(code(late.await), Some(ErrorCode::Unauthenticated));
    let logout = stage.other.ports.accounts.logout(info(), old.clone()).await;
    assert_eq!(code(logout), Some(ErrorCode::Unauthenticated), "it ends no newer sign-in");
    give(&stage.other, &new, add("b", &key(Scenario::Good, 2))).await.unwrap();
    stage.close().await;
}

#[tokio::test]
async fn a_run_is_requested_on_the_roles_and_the_keys_that_there_are_then() {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.env_keys_for = Sharing::Admins;
    world.config.anthropic_api_key = Some(secret(&key(Scenario::Good, 9)));
    let stage = Stage::over(world, Duty::Nothing, 0).await;
    let ada = stage.other.newcomer("ada").await;
    let admin = Role::Admin;
    account(&stage.other, ada.id(), GrantRole { role: admin }.into()).await;
    let roles = BTreeSet::from([Role::User, admin]);
    let as_admin = Principal { roles, ..ada.principal.clone() };
    start_by(&stage.other, &as_admin).await.unwrap();
    let late = stage.meanwhile(
        ("RunRequested", Then::Append),
        start_by(&stage.gated, &as_admin),
        account(&stage.other, ada.id(), RevokeRole { role: admin }.into()),
    );
    assert_eq!(code(late.await), Some(ErrorCode::NoCredential), "of a former administrator");
    let work = ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
    let off = KeyCommand::Deactivate { key: work, expected: None };
    let late = stage.meanwhile(
        ("RunRequested", Then::Append),
        start_by(&stage.gated, &ada.principal),
        async { give(&stage.other, &ada.principal, off).await.unwrap() },
    );
    assert_eq!(code(late.await), Some(ErrorCode::NoCredential), "with a key that is off");
    stage.close().await;
}

#[tokio::test]
async fn no_row_of_an_erased_user_comes_back() {
    let stage = Stage::open(StoreKind::Sqlite, Duty::Nothing).await;
    let ada = stage.other.newcomer("ada").await;
    let work = ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
    let name = KeyName::parse("other").unwrap();
    let rename = KeyCommand::Rename { key: work, name, expected: None };
    let by_operator = CommandContext { actor: Actor::OPERATOR, ..context_of(&ada.principal) };
    let late = stage.meanwhile(
        ("KeyRenamed", Then::Append),
        async { stage.gated.ports.keys.run(by_operator, rename).await },
        account(&stage.other, ada.id(), EraseAccount.into()),
    );
    assert_eq!(code(late.await), Some(ErrorCode::NotFound));
    assert_eq!(stage.ground.store().row(KEYS, ada.id(), work.0).await.unwrap(), None);
    stage.close().await;
}

/// Attempts that a run's history has, by the version of their secret.
async fn attempts(process: &Process, run: claviger_domain::id::RunId) -> Vec<Option<u32>> {
    let events = process.events(run).await.into_iter();
    events
        .filter_map(|stored| {
            let (kind, schema) = (&stored.envelope.kind, stored.envelope.schema);
            match RunEvent::decode(kind, schema, &stored.facts, None).unwrap() {
                RunEvent::StepAttemptStarted(facts) => Some(facts.credential.secret_version),
                _ => None,
            }
        })
        .collect()
}

/// What happens to a key between the decision to call and the call.
#[derive(Clone, Copy, Debug)]
enum Change {
    Deactivate,
    Delete,
    Replace,
    Rename,
    Expire,
}

/// A run of one step whose attempt is decided, and its key changed before the event is appended, or
/// before the answer to that comes.
async fn changed(stage: &Stage, clock: &TestClock, change: Change, then: Then) {
    let name = format!("ada{}", stage.position().await);
    let ada = stage.other.newcomer(&name).await;
    let (first, second) = (key(Scenario::Good, 1), key(Scenario::Good, 2));
    let counts = stage.world.simulator().counts();
    let before = [counts.of_key(&first), counts.of_key(&second)];
    let work = ada.add_key(&stage.other, "work", &first).await;
    let soon = Some(clock.now().plus_ms(3_600_000));
    let expiry = KeyCommand::SetExpiry { key: work, expires_at: soon, expected: None };
    give(&stage.other, &ada.principal, expiry).await.unwrap();
    let run = async { stage.gated.start_run(&ada, line("a task", ["Ann"])).await };
    let changing = async {
        match command_of(change, work) {
            Some(command) => give(&stage.other, &ada.principal, command).await.unwrap(),
            None => clock.advance_ms(7_200_000),
        }
    };
    let run = stage.meanwhile(("StepAttemptStarted", then), run, changing).await;
    let at = format!("{change:?}");
    let goes_on = matches!(change, Change::Replace | Change::Rename);
    let detail = if goes_on {
        stage.gated.ended(&ada, run).await
    } else {
        stage.gated.paused(&ada, run).await
    };
    let phase = if goes_on { Phase::Completed } else { Phase::Paused(PauseReason::KeyUnavailable) };
    assert_eq!(detail.view.run.phase, phase, "{at}");
    let made = [counts.of_key(&first) - before[0], counts.of_key(&second) - before[1]];
    let announced = attempts(&stage.other, run).await;
    let is_announced = matches!(then, Then::Answer);
    let expected = match change {
        Change::Replace if is_announced => (vec![Some(1), Some(2)], [0, 1]),
        Change::Replace => (vec![Some(2)], [0, 1]),
        Change::Rename => (vec![Some(1)], [1, 0]),
        Change::Deactivate | Change::Delete | Change::Expire if is_announced => {
            (vec![Some(1)], [0, 0])
        }
        Change::Deactivate | Change::Delete | Change::Expire => (Vec::new(), [0, 0]),
    };
    assert_eq!((announced, made), expected, "{at}");
}

fn command_of(change: Change, key: KeyId) -> Option<KeyCommand> {
    let (expected, secret) = (None, api_key(&self::key(Scenario::Good, 2)));
    Some(match change {
        Change::Deactivate => KeyCommand::Deactivate { key, expected },
        Change::Delete => KeyCommand::Delete { key, expected },
        Change::Replace => KeyCommand::ReplaceSecret { key, secret, expected },
        Change::Rename => {
            KeyCommand::Rename { key, name: KeyName::parse("other").unwrap(), expected }
        }
        Change::Expire => return None,
    })
}

#[tokio::test]
async fn no_call_is_announced_or_made_with_a_key_that_was_withdrawn_before() {
    for kind in StoreKind::available().await {
        let clock = TestClock::running();
        let world = World::at(TempPlace::new(*kind).await, by(&clock), |simulator| simulator).await;
        let stage = Stage::over(world, Duty::Runs, 0).await;
        for (change, then) in [
            (Change::Deactivate, Then::Append),
            (Change::Deactivate, Then::Fail),
            (Change::Deactivate, Then::Answer),
            (Change::Delete, Then::Append),
            (Change::Replace, Then::Append),
            (Change::Replace, Then::Answer),
            (Change::Rename, Then::Append),
            (Change::Expire, Then::Fail),
            (Change::Expire, Then::Answer),
        ] {
            changed(&stage, &clock, change, then).await;
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn runs_that_start_at_once_fill_the_bound_of_their_user_exactly() {
    const LEFT: u64 = 3;
    const AT_ONCE: usize = 8;
    let more = RunSettings::new("").max_open - LEFT;
    for kind in StoreKind::available().await {
        let stage = Stage::over(World::open(*kind).await, Duty::Nothing, more).await;
        let ada = stage.other.newcomer("ada").await;
        ada.add_key(&stage.other, "work", &key(Scenario::Good, 1)).await;
        // All of them are decided on the same number of open runs.
        stage.gate.hold("RunRequested", AT_ONCE, Then::Append);
        let starts = join_all((0..AT_ONCE).map(|_| start_by(&stage.gated, &ada.principal)));
        let released = async {
            stage.gate.holds(AT_ONCE).await;
            stage.gate.release();
        };
        let (done, ()) = tokio::join!(starts, released);
        let refused: Vec<_> = done.into_iter().filter_map(code).collect();
        let over = AT_ONCE - usize::try_from(LEFT).unwrap();
        assert_eq!(refused, vec![ErrorCode::LimitExceeded; over], "{kind:?}");
        let page = stage.ground.store().page(OPEN_RUNS, ada.id(), Page::default()).await.unwrap();
        assert_eq!(page.total, LEFT);
        stage.close().await;
    }
}

/// Eight sign-ins with the old password race a change of it, over HTTP, in two rounds; none of them
/// is worth anything afterwards. The long form: `CLAVIGER_TEST_RACES=100 cargo test --test it
/// promises::preconditions::no_racing`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_racing_sign_in_survives_a_password_change() {
    let world = World::open(StoreKind::Sqlite).await;
    let server = world.serve().await;
    let url = format!("http://{}", server.address());
    for round in 0..number("CLAVIGER_TEST_RACES").unwrap_or(2) {
        // Each round has a user and an address of its own, because wrong passwords are limited.
        let name = format!("ada{round}");
        let from = [127, 0, 1, u8::try_from(round + 1).unwrap()];
        let nobody = Client::from_address(&url, from.into());
        let owner = nobody.registered(&name).await;
        let old = json!({ "usernameOrEmail": name, "password": password(&name) });
        let racing = join_all((0..8).map(|_| nobody.run("login", old.clone())));
        let change = json!({ "currentPassword": password(&name), "newPassword": "the new one" });
        let (racing, changed) = tokio::join!(racing, owner.done("changePassword", change));
        for session in racing.iter().filter(|one| one["accessToken"].is_string()) {
            let refresh = json!({ "refreshToken": session["refreshToken"] });
            let refreshed = nobody.run("refreshSession", refresh).await;
            assert_eq!(refreshed["userErrors"][0]["code"], "UNAUTHENTICATED", "round {round}");
            let thief = nobody.with_token(session["accessToken"].as_str().unwrap());
            let answer = thief.send("{ viewer { id } }", json!({})).await;
            assert_eq!(answer.code(), "UNAUTHENTICATED", "round {round}");
        }
        let owner = nobody.with_token(changed["accessToken"].as_str().unwrap());
        let sessions = owner.ask("{ viewer { sessions { id } } }", json!({})).await;
        assert_eq!(sessions["viewer"]["sessions"].as_array().unwrap().len(), 1, "round {round}");
    }
    server.stop().await;
    world.close().await;
}
