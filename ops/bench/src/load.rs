//! Writers: each appends to a stream of its own, one append after the other, like commands of many
//! users.

use crate::error::BenchError;
use crate::figures::Sample;
use claviger::system::environment::Environment;
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, Expected, InlineViews, KEYS, NewEvent, Placed, RecordChange, Reliance, RowChange,
    Store, StoreError, ViewRow,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The length of a sealed box: name and preview of a key, 60 bytes of JSON, and the overhead of
/// sealing.
pub const CONTENT_BYTES: usize = 60 + claviger_vault::OVERHEAD;

/// How long a command record is kept: seven days.
const RECORD_MS: u64 = 7 * 24 * 3600 * 1000;

/// Runs `writers` writers for `time`, distributed over `stores` in turn.
///
/// # Errors
/// [`BenchError`] if the store refuses an append.
pub async fn run(
    stores: &[Arc<dyn Store>],
    writers: usize,
    time: Duration,
    env: &Environment,
) -> Result<Sample, BenchError> {
    let tracker = TaskTracker::new();
    let began = Instant::now();
    let running: Vec<_> = stores
        .iter()
        .cycle()
        .take(writers)
        .map(|store| {
            let writer = Writer {
                store: Arc::clone(store),
                owner: UserId(env.ids.next()),
                env: env.clone(),
            };
            tracker.spawn(writer.run(began + time))
        })
        .collect();
    let mut latencies = Vec::new();
    for writer in running {
        latencies.extend(writer.await.map_err(|_| BenchError::Lost)??);
    }
    Ok(Sample { latencies, took: began.elapsed(), conflicts: 0 })
}

struct Writer {
    store: Arc<dyn Store>,
    owner: UserId,
    env: Environment,
}

impl Writer {
    async fn run(self, until: Instant) -> Result<Vec<Duration>, BenchError> {
        let mut expected = Expected::NoStream;
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let append = self.append(expected);
            let asked = Instant::now();
            let appended = self.store.append(append).await?;
            latencies.push(asked.elapsed());
            expected = Expected::Exact(appended.version);
        }
        Ok(latencies)
    }

    /// The writes of adding a key, except for its secret: an event with facts and sealed content, a
    /// row of the view of keys, a command record.
    fn append(&self, expected: Expected) -> Append {
        let key = self.env.ids.next();
        let stream = StreamName::KeyRing(self.owner);
        let now = self.env.clock.now();
        let event = NewEvent {
            id: EventId(self.env.ids.next()),
            kind: "KeyAdded".to_owned(),
            schema: 1,
            facts: format!(
                "{{\"key\":\"{key}\",\"fingerprint\":\"{}\",\"secret_version\":1,\"expires_at\":{}}}",
                hex_of(key).repeat(2),
                now.plus_ms(RECORD_MS).0
            )
            .into_bytes(),
            content: vec![sealed(key)],
            subject: Some(key),
        };
        Append {
            stream,
            owner: Some(self.owner),
            expected,
            relies_on: Reliance::default(),
            events: vec![event],
            at: now,
            actor: Actor {
                user: Some(self.owner),
                role: Some(Role::User),
                via: Via::Graphql,
                credential: None,
            },
            command_id: CommandId(key.into_bytes()),
            correlation_id: CorrelationId(self.env.ids.next()),
            causation_id: None,
            rows: Vec::new(),
            claims: Vec::new(),
            inline: Some(Arc::new(Row { owner: self.owner, key })),
            record: Some(RecordChange::Insert {
                request_hash: [7; 32],
                subject: Some(key),
                open: false,
                expires_at: now.plus_ms(RECORD_MS),
            }),
        }
    }
}

fn hex_of(id: Uuid) -> String {
    id.as_simple().to_string()
}

/// As long as a sealed box, and as hard to compress or share: bytes derived from a unique id.
fn sealed(id: Uuid) -> Vec<u8> {
    let (mut state, mut sealed) = (id.as_u128(), Vec::with_capacity(CONTENT_BYTES + 16));
    while sealed.len() < CONTENT_BYTES {
        // A linear congruential generator with Knuth's 64-bit constants: no secret depends on it.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sealed.extend_from_slice(&state.to_be_bytes());
    }
    sealed.truncate(CONTENT_BYTES);
    sealed
}

/// The row of a key that was just added.
struct Row {
    owner: UserId,
    key: Uuid,
}

impl InlineViews for Row {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let (at, version) =
            placed.last().map_or((Timestamp::default(), 0), |placed| (placed.at, placed.version));
        let facts = format!(
            "{{\"is_active\":true,\"secret_version\":1,\"version\":{version},\"created_at\":{0},\"updated_at\":{0},\
             \"expires_at\":null,\"default_tags\":[],\"last_test\":null}}",
            at.0
        );
        Ok(vec![RowChange::PutView(ViewRow {
            view: KEYS,
            owner: self.owner,
            id: self.key,
            sort: at.0,
            stream: StreamName::KeyRing(self.owner),
            facts: facts.into_bytes(),
            content: Some(sealed(self.key)),
        })])
    }
}
