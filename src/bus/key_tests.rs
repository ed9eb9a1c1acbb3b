//! Key tests: two commits with a call to Anthropic between them. Only the request itself waits for
//! the call.

use super::Bus;
use super::executor::PreparedCommand;
use super::key_recipe::{KeyRecipe, PlannedKeyCommand};
use super::preconditions::Precondition;
use super::records::RecordKind;
use crate::keychain::UserKeys;
use claviger_application::{CommandContext, KeyDone};
use claviger_domain::actor::Actor;

use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, CorrelationId, KeyId, TestId, UserId};
use claviger_domain::key_ring::{FinishKeyTest, KeyRingEvent, RecordExpiry, StartKeyTest};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::stream::StreamName;
use claviger_domain::text::ModelId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl Bus {
    /// Tests a key. The intent is durable before the secret is opened, so the history shows the
    /// test even if the process crashes next.
    pub(super) async fn test_key(
        &self,
        prepared: PreparedCommand,
        keys: Arc<UserKeys>,
        (key, level, model): (KeyId, KeyTestLevel, Option<ModelId>),
    ) -> Result<KeyDone, Failure> {
        let test = TestId(self.env.ids.next());
        let model = match level {
            KeyTestLevel::Authentic => model,
            KeyTestLevel::Model | KeyTestLevel::Full => {
                Some(model.unwrap_or_else(|| self.config.test_model.clone()))
            }
        };
        let timeout_ms = self.config.test_timeout_ms;
        let command = StartKeyTest { key, test, level, model: model.clone(), timeout_ms };
        let mut recipe = KeyRecipe {
            keys: Arc::clone(&keys),
            command_id: prepared.command_id,
            command: PlannedKeyCommand::on(key, command),
        };
        let prepared = PreparedCommand { record: RecordKind::Open, ..prepared };
        let started = self.execute(&prepared, &mut recipe).await?;
        let Some(KeyRingEvent::KeyTestStarted(facts)) = started.events.first() else {
            return Ok(started.done);
        };

        let (verdict, notes) =
            self.probe(&keys, key, facts.secret_version, level, model.as_ref()).await;
        let finish = FinishKeyTest { test, verdict, notes };
        let prepared = PreparedCommand {
            causation: started.done.commit.event_ids.first().copied(),
            record: RecordKind::Close(prepared.command_id),
            // The call was made, and the test must end, whatever happened to the caller's session.
            preconditions: vec![Precondition::NotErased],
            ..prepared
        };
        let mut commit = self.finish_test(&prepared, keys, key, finish).await?.commit;
        commit.event_ids.splice(0..0, started.done.commit.event_ids);
        Ok(KeyDone { commit, key: Some(key) })
    }

    async fn finish_test(
        &self,
        prepared: &PreparedCommand,
        keys: Arc<UserKeys>,
        key: KeyId,
        command: FinishKeyTest,
    ) -> Result<KeyDone, Failure> {
        let command = PlannedKeyCommand::on(key, command);
        let mut recipe = KeyRecipe { keys, command_id: prepared.command_id, command };
        self.execute(prepared, &mut recipe).await.map(|result| result.done)
    }

    /// Opens the secret, calls Anthropic, drops the secret. Every failure becomes a verdict,
    /// because the test must end.
    async fn probe(
        &self,
        keys: &UserKeys,
        key: KeyId,
        secret_version: u32,
        level: KeyTestLevel,
        model: Option<&ModelId>,
    ) -> (KeyVerdict, KeyTestNotes) {
        let secret = match self.keychain.open_secret(keys, key, secret_version).await {
            Ok(Some(secret)) => secret,
            Ok(None) => {
                return inconclusive(
                    "the secret was replaced or deleted before it could be tried: test the key again",
                );
            }
            Err(_) => return inconclusive("the secret couldn't be opened: tell the operator"),
        };
        let limit = Duration::from_millis(self.config.test_timeout_ms);
        let asking = self.probe.test(&secret, level, model, self.env.clock.now());
        match tokio::time::timeout(limit, asking).await {
            Ok(outcome) => (outcome.verdict, outcome.notes),
            Err(_) => inconclusive(
                "Anthropic didn't answer in time: this says nothing about the key, test it again later",
            ),
        }
    }

    /// Records that a key has expired, if it has and this is not recorded yet.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn record_expiry(&self, owner: UserId, key: KeyId) -> Result<(), Failure> {
        let Some(keys) = self.keychain.user(owner).await? else { return Ok(()) };
        let prepared = self.by_timer(owner);
        let command = RecordExpiry { key, now: self.env.clock.now() };
        let command = PlannedKeyCommand::on(key, command);
        let mut recipe =
            KeyRecipe { keys: Arc::new(keys), command_id: prepared.command_id, command };
        self.execute(&prepared, &mut recipe).await.map(drop)
    }

    /// Closes a test whose process crashed: a waiting request gets a result, and the history shows
    /// that the test was inconclusive. `started_by` is the command that started it.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn close_abandoned_test(
        &self,
        owner: UserId,
        test: TestId,
        started_by: Option<CommandId>,
    ) -> Result<(), Failure> {
        let Some(keys) = self.keychain.user(owner).await? else { return Ok(()) };
        let stream = StreamName::KeyRing(owner);
        let (_, ring) = self.aggregates.rings.load(&*self.store, stream).await?;
        let Some(open) = ring.open_tests.get(&test) else { return Ok(()) };
        let (verdict, notes) = inconclusive(
            "the server stopped while it asked Anthropic: this says nothing about the key, test it again",
        );
        let finish = FinishKeyTest { test, verdict, notes };
        let prepared = self.by_timer(owner);
        let record = RecordKind::Close(started_by.unwrap_or(prepared.command_id));
        let prepared = PreparedCommand { record, ..prepared };
        self.finish_test(&prepared, Arc::new(keys), open.key, finish).await.map(drop)
    }

    fn by_timer(&self, owner: UserId) -> PreparedCommand {
        let context = CommandContext {
            owner,
            actor: Actor::TIMER,
            roles: BTreeSet::new(),
            foreign: None,
            correlation: CorrelationId(self.env.ids.next()),
            idempotency_key: None,
        };
        PreparedCommand::of(context, self.new_command_id()).requiring(Precondition::NotErased)
    }
}

fn inconclusive(message: &str) -> (KeyVerdict, KeyTestNotes) {
    let verdict = KeyVerdict {
        status: KeyTestStatus::Inconclusive,
        authentic: Verdict::Unknown,
        has_credit: Verdict::Unknown,
        model_allowed: Verdict::Unknown,
        rate_limited_until: None,
        upstream_status: None,
        duration_ms: 0,
    };
    (verdict, KeyTestNotes { message: message.to_owned(), ..KeyTestNotes::default() })
}
