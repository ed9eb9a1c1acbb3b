//! A store that holds appends, and two processes on it.

use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::environment::fresh;
use crate::harness::process::{Duty, Process};
use crate::harness::runs::{line, start};
use crate::harness::stores::{Opened, StoreKind};
use crate::harness::world::World;
use claviger::bus::AccountRequest;
use claviger_application::{
    CommandContext, KeyCommand, Principal, RequestInfo, RunCommand, Tokens,
};
use claviger_domain::account::AccountCommand;
use claviger_domain::actor::{Actor, Via};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::text::Password;
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, Fewer, OPEN_RUNS, Page, PageOf, Reliance, Store,
    StoreError,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What happens to an append that is held.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Append,
    /// It was appended before, and only its answer was held.
    Answer,
    /// It fails because the store is away.
    Fail,
}

/// A store that holds appends of an event's type, as many as a test asks for, until it is released.
pub(super) struct Gate {
    inner: Arc<dyn Store>,
    armed: Mutex<Option<(&'static str, usize, Then)>>,
    held: watch::Sender<usize>,
    goes_on: watch::Sender<bool>,
    /// Every user seems to have as many open runs more.
    more_runs: u64,
}

impl Gate {
    pub(super) fn over(inner: Arc<dyn Store>, more_runs: u64) -> Arc<Self> {
        let (held, goes_on) = (watch::Sender::new(0), watch::Sender::new(false));
        Arc::new(Self { inner, armed: Mutex::default(), held, goes_on, more_runs })
    }

    pub(super) fn hold(&self, kind: &'static str, count: usize, then: Then) {
        self.held.send_replace(0);
        self.goes_on.send_replace(false);
        *self.armed.lock().unwrap() = Some((kind, count, then));
    }

    pub(super) async fn holds(&self, count: usize) {
        let mut held = self.held.subscribe();
        let held = tokio::time::timeout(Duration::from_mins(1), held.wait_for(|now| *now >= count));
        drop(held.await.expect("nothing is appended").unwrap());
    }

    pub(super) fn release(&self) {
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
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) ground: Opened,
    pub(super) gate: Arc<Gate>,
    pub(super) gated: Process,
    pub(super) other: Process,
}

impl Stage {
    pub(super) async fn open(kind: StoreKind, duty: Duty) -> Self {
        Self::over(World::open(kind).await, duty, 0).await
    }

    pub(super) async fn over(world: World, duty: Duty, more_runs: u64) -> Self {
        let ground = world.open_store().await;
        let gate = Gate::over(ground.store(), more_runs);
        let gated = world.process_over(Over::store(&gate), duty).await;
        let other = world.process_over(ground.store(), Duty::Nothing).await;
        Self { world, ground, gate, gated, other }
    }

    /// Work whose append is held while something else is done.
    pub(super) async fn meanwhile<T>(
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

    pub(super) async fn position(&self) -> u64 {
        self.ground.store().head().await.unwrap().position
    }

    pub(super) async fn close(self) {
        self.gated.stop().await;
        self.other.stop().await;
        self.ground.close().await;
        self.world.close().await;
    }
}

pub(super) fn info() -> RequestInfo {
    let (peer, via) = ("test".to_owned(), Via::Graphql);
    RequestInfo { correlation: CorrelationId(fresh()), user_agent: None, peer, via }
}

pub(super) fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

pub(super) async fn login(process: &Process, name: &str, text: &str) -> Result<Tokens, Failure> {
    process.ports.accounts.login(info(), name.to_owned(), secret(text)).await
}

pub(super) async fn change(
    process: &Process,
    of: &Principal,
    from: &str,
    to: &str,
) -> Result<(), Failure> {
    let new = Password::parse(secret(to)).unwrap();
    process.ports.accounts.change_password(info(), of.clone(), secret(from), new).await.map(drop)
}

pub(super) async fn revoke_others(process: &Process, of: &Principal) {
    process.ports.accounts.revoke_sessions(info(), of.clone()).await.unwrap();
}

/// A command by the operator, or by the installation.
pub(super) async fn account(process: &Process, owner: UserId, command: AccountCommand) {
    let correlation = CorrelationId(fresh());
    let request = AccountRequest { owner, actor: Actor::OPERATOR, correlation, command, phc: None };
    process.bus.run_account_command(request).await.unwrap();
}

/// A command of somebody who is signed in.
pub(super) fn context_of(principal: &Principal) -> CommandContext {
    CommandContext {
        owner: principal.user,
        actor: principal.actor(Via::Graphql),
        roles: principal.roles.clone(),
        foreign: principal.foreign,
        correlation: CorrelationId(fresh()),
        idempotency_key: None,
    }
}

pub(super) async fn give(
    process: &Process,
    by: &Principal,
    command: KeyCommand,
) -> Result<(), Failure> {
    process.ports.keys.run(context_of(by), command).await.map(drop)
}

pub(super) async fn start_by(process: &Process, by: &Principal) -> Result<(), Failure> {
    let command = RunCommand::Start(Box::new(start(line("a task", ["Ann"]))));
    process.ports.run_commands.run(context_of(by), command).await.map(drop)
}

pub(super) fn code<T>(done: Result<T, Failure>) -> Option<ErrorCode> {
    done.err().map(|failure| failure.code)
}
