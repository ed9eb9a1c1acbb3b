//! The executor: load, check preconditions, decide, seal, append, retry. Every command of every
//! aggregate runs through it; an aggregate supplies a [`Recipe`].

use super::preconditions::{Admitted, Precondition};
use super::records::{RecordKind, Repeat, same_request};
use super::{Bus, MAX_TRIES, contended};
use crate::aggregates::Folds;
use crate::system::failure::store_failure;
use claviger_application::{CommandContext, Commit};
use claviger_domain::actor::{Actor, Role};
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Payload;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, EventId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Append, AppendError, ClaimChange, ClaimKind, CommandRecord, Expected, InlineViews, NewEvent,
    Placed, Reliance, RowChange,
};
use cqrs_es::Aggregate;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// A command in progress: the parts that stay the same however often it is decided again.
pub(super) struct PreparedCommand {
    pub(super) context: CommandContext,
    pub(super) command_id: CommandId,
    /// Set if there is an idempotency key: a command record is then kept.
    pub(super) request_hash: Option<[u8; 32]>,
    pub(super) causation: Option<EventId>,
    /// Checked before each decision, and what they were read from again in the append.
    pub(super) preconditions: Vec<Precondition>,
    pub(super) record: RecordKind,
}

impl PreparedCommand {
    /// A command without an idempotency key, a cause or preconditions.
    pub(super) const fn of(context: CommandContext, command_id: CommandId) -> Self {
        Self {
            context,
            command_id,
            request_hash: None,
            causation: None,
            preconditions: Vec::new(),
            record: RecordKind::Complete,
        }
    }

    #[must_use]
    pub(super) fn requiring(self, precondition: impl Into<Option<Precondition>>) -> Self {
        let mut preconditions = self.preconditions;
        preconditions.extend(precondition.into());
        Self { preconditions, ..self }
    }
}

/// What an append contains besides its envelope.
pub(super) struct Changes {
    pub(super) events: Vec<NewEvent>,
    pub(super) rows: Vec<RowChange>,
    pub(super) claims: Vec<ClaimChange>,
    pub(super) inline: Option<Arc<dyn InlineViews>>,
}

/// The parts that differ between aggregates' commands.
pub(super) trait Recipe: Send {
    type State: Aggregate<Event: Payload> + Clone;
    type Output: Send;

    /// The stream that the command writes.
    fn stream(&self) -> StreamName;

    /// The cached folds of the stream; `None` if each command begins a new stream, which then is
    /// neither read nor cached.
    fn folds(bus: &Bus) -> Option<&Folds<Self::State>>;

    /// Reads what the decision needs besides the stream. Called before the stream is loaded.
    fn load(&mut self, _: &Bus) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }

    /// The caller's roles, read before each decision.
    fn caller_has(&mut self, _: &BTreeSet<Role>) {}

    /// The streams besides its own, and their versions, that the latest decision relied on.
    fn relied_on(&self) -> Vec<(StreamName, u64)> {
        Vec::new()
    }

    /// The command's events; empty if the state already is as requested. The failure is the
    /// aggregate's refusal as every face shows it.
    fn decide(
        &mut self,
        bus: &Bus,
        state: &Self::State,
    ) -> impl Future<Output = Result<Vec<EventOf<Self>>, Failure>> + Send;

    /// Seals the events and what goes with them. The stream is at `version`.
    fn changes(
        &mut self,
        bus: &Bus,
        at: (u64, &Self::State),
        events: &[EventOf<Self>],
    ) -> impl Future<Output = Result<Changes, Failure>> + Send;

    /// The object that the command's record names.
    fn subject(&self, events: &[EventOf<Self>]) -> Option<Uuid>;

    /// The owner's user key was replaced: the next try must seal under the new one.
    fn keys_moved(&mut self, bus: &Bus) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The refusal for a unique value that another stream holds.
    fn claim_taken(&self, kind: ClaimKind, subject: Uuid) -> Failure;

    /// The result of a committed command.
    fn appended(
        &mut self,
        bus: &Bus,
        commit: Commit,
        done: Appended<EventOf<Self>>,
    ) -> Self::Output;

    /// The result of a command that changed nothing: its commit has the log's position.
    fn unchanged(
        &mut self,
        bus: &Bus,
        commit: Commit,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// The result of the first request with this idempotency key.
    fn replayed(&self, repeat: Repeat) -> Result<Self::Output, Failure>;
}

/// The events of a recipe's aggregate.
pub(super) type EventOf<R> = <<R as Recipe>::State as Aggregate>::Event;

/// Committed events, and their places in the log.
pub(super) struct Appended<E> {
    pub(super) events: Vec<E>,
    pub(super) placed: Vec<Placed>,
}

/// How the tries of a command ended.
enum Outcome<T> {
    Done(T),
    /// The state already was as requested, with the stream at this version.
    Unchanged(u64),
    Refused(Failure),
    /// The command was committed before.
    Repeated(CommandRecord),
}

/// One try of a command.
enum Try<T> {
    Over(Outcome<T>),
    /// Something that the decision relied on changed meanwhile: decide again. These streams besides
    /// the command's own are what it relied on.
    Again(BTreeSet<StreamName>),
}

impl Bus {
    /// Runs a command, and decides again after a conflict with another process.
    pub(super) async fn execute<R: Recipe>(
        &self,
        prepared: &PreparedCommand,
        recipe: &mut R,
    ) -> Result<R::Output, Failure> {
        // The stream's lock is released by now: the first request that this waits for may be a key
        // test in progress, which needs the lock to finish.
        match self.tried(prepared, recipe).await? {
            Outcome::Done(output) => Ok(output),
            Outcome::Repeated(record) => {
                if let Some(request_hash) = &prepared.request_hash {
                    same_request(&record, request_hash)?;
                }
                recipe.replayed(self.replay(record).await?)
            }
            // A repeat that raced its first request must not be refused because of the first one's
            // effects.
            Outcome::Refused(failure) => match self.repeated(prepared).await? {
                Some(repeat) => recipe.replayed(repeat),
                None => Err(failure),
            },
            // Nor may it return its own result if the first one already changed everything: the
            // result is the first one's commit.
            Outcome::Unchanged(version) => {
                if let Some(repeat) = self.repeated(prepared).await? {
                    return recipe.replayed(repeat);
                }
                let head = self.store.head().await.map_err(|error| store_failure(&error))?;
                let commit = Commit {
                    position: head.position,
                    stream: recipe.stream(),
                    version,
                    event_ids: Vec::new(),
                    replayed: false,
                };
                recipe.unchanged(self, commit).await
            }
        }
    }

    /// Holds the stream's lock and tries until the command has an outcome. Once it was too late, it
    /// also holds those of what it relies on, so that no other command of this process is in its
    /// way: a user who adds keys must still be able to start runs.
    async fn tried<R: Recipe>(
        &self,
        prepared: &PreparedCommand,
        recipe: &mut R,
    ) -> Result<Outcome<R::Output>, Failure> {
        let mut streams = BTreeSet::from([recipe.stream()]);
        let mut turns = self.locks.lock_all(&streams).await;
        for _ in 0..MAX_TRIES {
            match self.try_once(prepared, recipe).await? {
                Try::Over(outcome) => return Ok(outcome),
                Try::Again(relied_on) if relied_on.is_subset(&streams) => {}
                Try::Again(relied_on) => {
                    streams.extend(relied_on);
                    // Released first: locks are taken in the order of their streams only.
                    drop(turns);
                    turns = self.locks.lock_all(&streams).await;
                }
            }
        }
        Ok(Outcome::Refused(contended()))
    }

    async fn try_once<R: Recipe>(
        &self,
        prepared: &PreparedCommand,
        recipe: &mut R,
    ) -> Result<Try<R::Output>, Failure> {
        recipe.load(self).await?;
        let stream = recipe.stream();
        let (version, state) = match R::folds(self) {
            Some(folds) => folds.load(&*self.store, stream).await?,
            None => (0, R::State::default()),
        };
        let mut admitted = Admitted::default();
        let decided = match self.admit(prepared, recipe, &mut admitted).await {
            Ok(()) => recipe.decide(self, &state).await,
            Err(failure) => Err(failure),
        };
        let events = match decided {
            Ok(events) if events.is_empty() => return Ok(Try::Over(Outcome::Unchanged(version))),
            Ok(events) => events,
            Err(failure) => return Ok(Try::Over(Outcome::Refused(failure))),
        };
        let changes = recipe.changes(self, (version, &state), &events).await?;
        let subject = recipe.subject(&events);
        let append = self.append_of(prepared, (stream, version), changes, subject);
        let append = relying_on(append, admitted, recipe.relied_on());
        let relied_on = append.relies_on.unchanged.iter().map(|(stream, _)| *stream).collect();
        let appended = match self.append(append).await {
            Ok(appended) => appended,
            Err(error) => return self.not_appended(error, relied_on, recipe).await,
        };
        if let Some(folds) = R::folds(self) {
            let mut state = state;
            events.iter().cloned().for_each(|event| state.apply(event));
            folds.keep(stream, appended.version, state);
        }
        let commit = Commit {
            position: appended.position,
            stream,
            version: appended.version,
            event_ids: appended.placed.iter().map(|placed| placed.id).collect(),
            replayed: false,
        };
        let done = Appended { events, placed: appended.placed };
        Ok(Try::Over(Outcome::Done(recipe.appended(self, commit, done))))
    }

    async fn admit<R: Recipe>(
        &self,
        prepared: &PreparedCommand,
        recipe: &mut R,
        admitted: &mut Admitted,
    ) -> Result<(), Failure> {
        for precondition in &prepared.preconditions {
            admitted.check(precondition, self, prepared.context.owner).await?;
        }
        if let Some(roles) = &admitted.roles {
            recipe.caller_has(roles);
        }
        Ok(())
    }

    fn append_of(
        &self,
        prepared: &PreparedCommand,
        (stream, version): (StreamName, u64),
        changes: Changes,
        subject: Option<Uuid>,
    ) -> Append {
        let (context, now) = (&prepared.context, self.env.clock.now());
        Append {
            stream,
            owner: Some(context.owner),
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            relies_on: Reliance::default(),
            events: changes.events,
            at: now,
            actor: context.actor,
            command_id: prepared.command_id,
            correlation_id: context.correlation,
            causation_id: prepared.causation,
            rows: changes.rows,
            claims: changes.claims,
            inline: changes.inline,
            record: prepared.record_change(subject, now),
        }
    }

    /// Maps a refused append to a retry or a failure.
    async fn not_appended<R: Recipe>(
        &self,
        error: AppendError,
        relied_on: BTreeSet<StreamName>,
        recipe: &mut R,
    ) -> Result<Try<R::Output>, Failure> {
        let failure = match error {
            AppendError::Conflict { .. } | AppendError::Unmet(_) => {
                return Ok(Try::Again(relied_on));
            }
            // A rotation replaced the user key meanwhile.
            AppendError::UserKeyMoved { .. } => {
                recipe.keys_moved(self).await?;
                return Ok(Try::Again(BTreeSet::new()));
            }
            // A rotation has started: the next try wraps a new user's key under the new master key.
            AppendError::MasterKeyMoved { current } => {
                self.keychain.master_keys().seal_under(current);
                return Ok(Try::Again(BTreeSet::new()));
            }
            AppendError::Repeated(record) => return Ok(Try::Over(Outcome::Repeated(*record))),
            AppendError::ClaimTaken { kind, subject, .. } => recipe.claim_taken(kind, subject),
            AppendError::Store(error) => store_failure(&error),
            error @ AppendError::NotReadByAll { .. } => {
                tracing::warn!(%error, "an append waits for an older process to stop");
                Failure::new(ErrorCode::StoreUnavailable, error.to_string())
            }
            error @ AppendError::Malformed(_) => {
                tracing::error!(%error, "a valid append was refused");
                Failure::internal()
            }
        };
        Ok(Try::Over(Outcome::Refused(failure)))
    }
}

/// Adds what the decision relied on. The append's own stream is among its conditions already.
fn relying_on(append: Append, admitted: Admitted, more: Vec<(StreamName, u64)>) -> Append {
    let Admitted { roles, mut relies_on } = admitted;
    relies_on.unchanged.extend(more);
    relies_on.unchanged.retain(|(stream, _)| *stream != append.stream);
    let actor = match roles.filter(|_| append.actor.user.is_some()) {
        Some(roles) => Actor { role: roles.last().copied(), ..append.actor },
        None => append.actor,
    };
    Append { relies_on, actor, ..append }
}
