//! Short builders of the data that cases put into a store.

use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::id::{
    CommandId, ContextTag, CorrelationId, EventId, KeyId, RunId, SessionId, UserId,
};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, ClaimChange, ClaimKind, ContentKeyRow, CredentialRow, DeltaPlace, DeltaRow, Expected,
    IndexKeyRow, InlineViews, KEYS, NewEvent, Placed, RecordChange, Reliance, RowChange, SecretRow,
    SessionRow, StoreError, TimerKind, TimerRow, UserKeyRow, ViewRow,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The time at which the cases take place.
pub(super) const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// An id derived from a number.
pub(super) const fn uuid(n: u64) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000_u128 + n as u128)
}

/// The user with this number.
pub(super) const fn user(n: u64) -> UserId {
    UserId(uuid(0x1_0000 + n))
}

/// The key with this number.
pub(super) const fn key(n: u64) -> KeyId {
    KeyId(uuid(0x2_0000 + n))
}

/// The run with this number.
pub(super) const fn run(n: u64) -> RunId {
    RunId(uuid(0x4_0000 + n))
}

/// A place among a run's rows of text.
pub(super) const fn place(run: RunId, (v, d): (u64, u64)) -> DeltaPlace {
    DeltaPlace { run, v, d }
}

/// A row of text, with bytes that depend on the number.
pub(super) fn delta(owner: UserId, run: RunId, at: (u64, u64), n: u8) -> DeltaRow {
    DeltaRow { place: place(run, at), owner, sealed: vec![n; 80], at: NOW }
}

/// The command with this number.
pub(super) fn command(n: u8) -> CommandId {
    CommandId([n; 16])
}

/// The tag of the context with this number.
pub(super) fn tag(n: u8) -> ContextTag {
    ContextTag([n; 16])
}

/// Makes events and appends whose ids are all distinct.
#[derive(Debug, Default)]
pub(super) struct Maker(AtomicU64);

impl Maker {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// An event with facts and one box.
    pub(super) fn event(&self) -> NewEvent {
        let n = self.next();
        NewEvent {
            id: EventId(uuid(0x10_0000 + n)),
            kind: "KeyRenamed".to_owned(),
            schema: 1,
            facts: format!("{{\"n\":{n}}}").into_bytes(),
            content: vec![format!("sealed {n}").into_bytes()],
            subject: None,
        }
    }

    /// `events` events for the key ring of `owner`, which stands at `version`.
    pub(super) fn append(&self, owner: UserId, version: u64, events: usize) -> Append {
        let mut command_id = [0xc0; 16];
        for (byte, from) in command_id.iter_mut().skip(8).zip(self.next().to_be_bytes()) {
            *byte = from;
        }
        Append {
            stream: StreamName::KeyRing(owner),
            owner: Some(owner),
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            relies_on: Reliance::default(),
            events: (0..events).map(|_| self.event()).collect(),
            at: NOW,
            actor: Actor {
                user: Some(owner),
                role: Some(Role::User),
                via: Via::Graphql,
                credential: None,
            },
            command_id: CommandId(command_id),
            correlation_id: CorrelationId(uuid(7)),
            causation_id: None,
            rows: Vec::new(),
            claims: Vec::new(),
            inline: None,
            record: None,
        }
    }

    /// An append of one event that writes rows.
    pub(super) fn rows(&self, owner: UserId, version: u64, rows: Vec<RowChange>) -> Append {
        Append { rows, ..self.append(owner, version, 1) }
    }

    /// An append of one event that changes claims.
    pub(super) fn claims(&self, owner: UserId, version: u64, claims: Vec<ClaimChange>) -> Append {
        Append { claims, ..self.append(owner, version, 1) }
    }

    /// An append of one event under a command that leaves a record.
    pub(super) fn recorded(
        &self,
        owner: UserId,
        version: u64,
        command_id: CommandId,
        open: bool,
    ) -> Append {
        let record = RecordChange::Insert {
            request_hash: [9; 32],
            subject: Some(uuid(5)),
            open,
            expires_at: NOW.plus_ms(1000),
        };
        Append { command_id, record: Some(record), ..self.append(owner, version, 1) }
    }
}

/// Takes the value `n` for `holder`.
pub(super) fn take(kind: ClaimKind, n: u8, holder: UserId) -> ClaimChange {
    ClaimChange::Take { kind, hash: [n; 32], holder, subject: holder.0 }
}

/// Releases the value `n`.
pub(super) fn give_back(kind: ClaimKind, n: u8) -> ClaimChange {
    ClaimChange::Release { kind, hash: [n; 32] }
}

/// A row of the view of keys.
pub(super) fn view_row(owner: UserId, id: Uuid, sort: u64) -> ViewRow {
    ViewRow {
        view: KEYS,
        owner,
        id,
        sort,
        stream: StreamName::KeyRing(owner),
        facts: format!("{{\"sort\" : {sort}}}").into_bytes(),
        content: Some(vec![0, 1, 0xff]),
    }
}

/// A session that began at `created_at`.
pub(super) fn session(owner: UserId, n: u64, created_at: Timestamp) -> SessionRow {
    SessionRow {
        id: SessionId(uuid(0x3_0000 + n)),
        owner,
        created_at,
        last_seen_at: created_at,
        expires_at: created_at.plus_ms(1000),
        generation: 1,
        rotated_at: created_at,
        content: Some(vec![1, 2, 3]),
        mac: Some([7; 32]),
    }
}

/// A timer of a key test.
pub(super) fn timer(owner: UserId, subject: KeyId, due_at: Timestamp) -> TimerRow {
    TimerRow {
        kind: TimerKind::KeyTest,
        owner,
        subject: subject.0,
        command: Some(command(8)),
        due_at,
    }
}

/// A secret's row.
pub(super) fn secret(owner: UserId, key: KeyId, secret_version: u32) -> SecretRow {
    SecretRow {
        owner,
        key,
        secret_version,
        user_key_version: 1,
        wrapped_data_key: vec![4; 105],
        sealed: vec![5; 181],
    }
}

/// A user key.
pub(super) fn user_key(owner: UserId, version: u32, kek: u8) -> UserKeyRow {
    UserKeyRow { owner, version, kek: [kek; 8], wrapped: vec![kek; 105] }
}

/// One row of every kind.
pub(super) fn one_of_each(owner: UserId) -> Vec<RowChange> {
    let stream = StreamName::KeyRing(owner);
    vec![
        RowChange::PutUserKey(user_key(owner, 1, 1)),
        RowChange::PutIndexKey(IndexKeyRow { owner, user_key_version: 1, wrapped: vec![2; 105] }),
        RowChange::PutContentKey(ContentKeyRow {
            stream,
            owner,
            user_key_version: 1,
            wrapped: vec![3; 105],
        }),
        RowChange::PutSecret(secret(owner, key(1), 1)),
        RowChange::PutCredential(CredentialRow {
            owner,
            password_version: 2,
            user_key_version: 1,
            sealed: vec![6; 170],
        }),
        RowChange::PutSession(session(owner, owner.0.as_u64_pair().1 & 0xffff, NOW)),
        RowChange::PutTimer(timer(owner, key(1), NOW)),
        RowChange::PutView(view_row(owner, key(1).0, 1)),
        RowChange::PutDefault { owner, tag: tag(1), key: key(1) },
    ]
}

struct Rows<F>(F);

impl<F: Fn(&[Placed]) -> Result<Vec<RowChange>, StoreError> + Send + Sync> InlineViews for Rows<F> {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        (self.0)(placed)
    }
}

/// Rows that depend on the positions of the events.
#[expect(clippy::unnecessary_wraps, reason = "it goes into a field of an append that may be empty")]
pub(super) fn inline(
    rows: impl Fn(&[Placed]) -> Result<Vec<RowChange>, StoreError> + Send + Sync + 'static,
) -> Option<Arc<dyn InlineViews>> {
    Some(Arc::new(Rows(rows)))
}
