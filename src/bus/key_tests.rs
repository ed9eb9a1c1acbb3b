//! Key tests: two commits with a call to Anthropic between them. Only the request itself waits for
//! the call.

use super::keys::{Order, Plan};
use super::{Bus, RECORD_MS};
use crate::system::failure::store_failure;
use claviger_application::{Call, KeyDone};
use claviger_domain::actor::Actor;

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, CorrelationId, KeyId, RunId, TestId};
use claviger_domain::key_ring::{FinishKeyTest, KeyRingEvent, RecordExpiry, StartKeyTest};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::text::ModelId;
use claviger_projections::ports::{CommandRecord, RecordChange, TimerKind, TimerRow};
use std::time::Duration;

/// How much longer than a test's timeout a repeated request waits for it, in milliseconds.
const WAIT_GRACE_MS: u64 = 10_000;

impl Bus {
    /// Tests a key. The intent is durable before the secret is opened, so the history shows the
    /// test whatever happens next.
    pub(super) async fn test_key(
        &self,
        order: Order,
        key: KeyId,
        level: KeyTestLevel,
        model: Option<ModelId>,
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
        let record = order.request_hash.map(|request_hash| RecordChange::Insert {
            request_hash,
            subject: Some(key.0),
            open: true,
            expires_at: self.env.clock.now().plus_ms(RECORD_MS),
        });
        let plan = Plan { command: command.into(), secret: None, subject: Some(key), record };
        let (started, events) = self.execute(&order, plan).await?;
        let Some(KeyRingEvent::KeyTestStarted(facts)) = events.first() else { return Ok(started) };

        let (verdict, notes) =
            self.probe(&order, key, facts.secret_version, level, model.as_ref()).await;
        let finish = FinishKeyTest { test, verdict, notes };
        let order = Order { causation: started.commit.event_ids.first().copied(), ..order };
        let finished = self.finish_test(&order, key, finish, order.command_id).await?;
        let mut commit = finished.commit;
        commit.event_ids.splice(0..0, started.commit.event_ids);
        Ok(KeyDone { commit, key: Some(key) })
    }

    async fn finish_test(
        &self,
        order: &Order,
        key: KeyId,
        command: FinishKeyTest,
        command_id: CommandId,
    ) -> Result<KeyDone, Failure> {
        let subject = Some(key);
        let record = Some(RecordChange::Close { command_id });
        self.execute(order, Plan { command: command.into(), secret: None, subject, record })
            .await
            .map(|(done, _)| done)
    }

    /// Opens the secret, calls Anthropic, drops the secret. Every failure becomes a verdict,
    /// because the test must end.
    async fn probe(
        &self,
        order: &Order,
        key: KeyId,
        secret_version: u32,
        level: KeyTestLevel,
        model: Option<&ModelId>,
    ) -> (KeyVerdict, KeyTestNotes) {
        let secret = match self.keychain.open_secret(&order.keys, key, secret_version).await {
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

    /// Waits until the test that a record belongs to has ended.
    pub(super) async fn closed(&self, command_id: CommandId) -> Result<CommandRecord, Failure> {
        let mut commits = self.store.watch();
        let waiting = async {
            loop {
                commits.mark_unchanged();
                let record = self
                    .store
                    .command_record(command_id)
                    .await
                    .map_err(|error| store_failure(&error))?;
                match record {
                    Some(record) if !record.open => return Ok(record),
                    Some(_) => {}
                    None => return Err(Failure::internal()),
                }
                if commits.changed().await.is_err() {
                    return Err(Failure::new(
                        ErrorCode::ShuttingDown,
                        "the server is shutting down: send the request again",
                    ));
                }
            }
        };
        let limit = Duration::from_millis(self.config.test_timeout_ms + WAIT_GRACE_MS);
        tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| {
            Err(Failure::new(
                ErrorCode::Timeout,
                "the first request with this idempotency key is still running: send it again later",
            ))
        })
    }

    /// Runs a due timer.
    ///
    /// # Errors
    /// When the store is unavailable; the timer stays due.
    pub async fn on_timer(&self, timer: &TimerRow) -> Result<(), Failure> {
        if timer.kind == TimerKind::DeltaExpiry {
            let expired = self.store.expire_deltas(timer.owner, RunId(timer.subject)).await;
            return expired.map(drop).map_err(|error| store_failure(&error));
        }
        let Some(keys) = self.keychain.user(timer.owner).await? else { return Ok(()) };
        let actor = Actor::TIMER;
        let correlation = CorrelationId(self.env.ids.next());
        let call = Call { owner: timer.owner, actor, correlation, idempotency_key: None };
        let command_id = CommandId(self.env.ids.next().into_bytes());
        let order = Order { call, keys, command_id, request_hash: None, causation: None };
        match timer.kind {
            TimerKind::KeyExpiry => {
                let key = KeyId(timer.subject);
                let command = RecordExpiry { key, now: self.env.clock.now() }.into();
                let plan = Plan { command, secret: None, subject: Some(key), record: None };
                self.execute(&order, plan).await?;
            }
            TimerKind::KeyTest => self.close_abandoned_test(&order, timer).await?,
            // Leaves no event and needs no keys: handled above.
            TimerKind::DeltaExpiry => {}
        }
        Ok(())
    }

    /// Closes a test whose process crashed: a waiting request gets a result, and the history shows
    /// that the test was inconclusive.
    async fn close_abandoned_test(&self, order: &Order, timer: &TimerRow) -> Result<(), Failure> {
        let test = TestId(timer.subject);
        let (_, ring) = self.rings.load(&*self.store, order.stream()).await?;
        let Some(open) = ring.open_tests.get(&test) else { return Ok(()) };
        let (verdict, notes) = inconclusive(
            "the server stopped while it asked Anthropic: this says nothing about the key, test it again",
        );
        let finish = FinishKeyTest { test, verdict, notes };
        self.finish_test(order, open.key, finish, timer.command.unwrap_or(order.command_id))
            .await
            .map(|_| ())
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
