//! Checks shared by several cases.

use crate::build::{NOW, command, key};
use crate::case::{Failure, ensure};
use crate::harness::Harness;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ACCOUNTS, Append, AppendError, Appended, ClaimKind, CommandRecord, ContentKeyRow,
    CredentialRow, Direction, Head, HistoryFilter, IndexKeyRow, KEYS, Page, PageOf, SecretRow,
    SessionRow, Store, StoredEvent, TimerRow, UserKeyRow,
};
use uuid::Uuid;

/// More than any case writes.
pub(super) const ALL: usize = 100_000;

/// A page with everything.
pub(super) const WHOLE: Page = Page { after: None, before: None, from_end: false, limit: ALL };

/// Everything observable in a store on behalf of one user. Two equal pictures mean that nothing
/// happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    head: Head,
    log: Vec<StoredEvent>,
    history: Vec<StoredEvent>,
    user_key: Option<UserKeyRow>,
    index_key: Option<IndexKeyRow>,
    content_key: Option<ContentKeyRow>,
    secret: Option<SecretRow>,
    secrets: u64,
    credential: Option<CredentialRow>,
    sessions: Vec<SessionRow>,
    timers: Vec<TimerRow>,
    views: [PageOf; 2],
    defaults: Vec<(ContextTag, KeyId)>,
    claims: Vec<Option<(UserId, Uuid)>>,
    records: Vec<Option<CommandRecord>>,
}

/// Takes a picture. Claims 0 to 9 of each kind and command records 0 to 9 are in it.
pub(super) async fn picture(store: &dyn Store, owner: UserId) -> Result<Picture, Failure> {
    let mut claims = Vec::new();
    let mut records = Vec::new();
    for n in 0..10 {
        for kind in [ClaimKind::Username, ClaimKind::Email, ClaimKind::Secret] {
            claims.push(store.claim(kind, [n; 32]).await?);
        }
        records.push(store.command_record(command(n)).await?);
    }
    Ok(Picture {
        head: store.head().await?,
        log: store.read(0, ALL).await?,
        history: store.history(owner, HistoryFilter::default(), Direction::Forward, ALL).await?,
        user_key: store.user_key(owner).await?,
        index_key: store.index_key(owner).await?,
        content_key: store.content_key(StreamName::KeyRing(owner)).await?,
        secret: store.secret(owner, key(1), 1).await?,
        secrets: store.count_secrets().await?,
        credential: store.credential(owner).await?,
        sessions: store.sessions(owner).await?,
        timers: store.due_timers(Timestamp::MAX, ALL).await?,
        views: [store.page(KEYS, owner, WHOLE).await?, store.page(ACCOUNTS, owner, WHOLE).await?],
        defaults: store.defaults(owner).await?,
        claims,
        records,
    })
}

/// Checks that the log has positions 1, 2, 3 … and that streams have versions 1, 2, 3 …, in that
/// order; that the head is at its end; and that time never goes back.
pub(super) async fn whole_log(store: &dyn Store) -> Result<Vec<StoredEvent>, Failure> {
    let log = store.read(0, ALL).await?;
    let mut versions = std::collections::BTreeMap::<StreamName, u64>::new();
    let mut at = Timestamp(0);
    for (event, expected) in log.iter().zip(1_u64..) {
        let envelope = &event.envelope;
        ensure!(
            envelope.position == expected,
            "position {} stands where {expected} belongs",
            envelope.position
        );
        let version = versions.entry(envelope.stream).or_default();
        *version += 1;
        ensure!(
            envelope.version == *version,
            "{} has version {} after {}",
            envelope.stream,
            envelope.version,
            *version - 1
        );
        ensure!(envelope.at >= at, "time goes back at position {expected}");
        at = envelope.at;
    }
    let head = store.head().await?;
    ensure!(
        usize::try_from(head.position) == Ok(log.len()),
        "the head is at {}, the log has {}",
        head.position,
        log.len()
    );
    ensure!(log.is_empty() || head.at == at, "the head's time is not the last event's");
    Ok(log)
}

/// Recomputes leaves and frontier from the events that were read, and returns the events.
pub(super) async fn proven_log(
    harness: &dyn Harness,
    store: &dyn Store,
) -> Result<Vec<StoredEvent>, Failure> {
    let log = whole_log(store).await?;
    let mut leaves = Vec::new();
    for event in &log {
        let leaf = leaf(harness, event);
        ensure!(event.leaf == leaf, "the leaf of position {} is wrong", event.envelope.position);
        leaves.push(leaf);
    }
    let frontier = frontier(harness, &leaves);
    ensure!(
        store.head().await?.frontier == frontier,
        "the head's frontier is not that of {} leaves",
        leaves.len()
    );
    Ok(log)
}

fn leaf(harness: &dyn Harness, event: &StoredEvent) -> [u8; 32] {
    let digest = (!event.content.is_empty()).then(|| {
        let mut boxes = length(event.content.len());
        for sealed in &event.content {
            boxes.extend(length(sealed.len()));
            boxes.extend(sealed);
        }
        harness.sha256(&boxes)
    });
    let mut body = vec![0];
    body.extend(event.envelope.leaf_body(&event.facts, digest.as_ref()));
    harness.sha256(&body)
}

fn length(len: usize) -> Vec<u8> {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes().to_vec()
}

/// The roots of the largest perfect subtrees, computed from the definition, without state or
/// shortcuts.
fn frontier(harness: &dyn Harness, mut leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut roots = Vec::new();
    while !leaves.is_empty() {
        let perfect = 1_usize << leaves.len().ilog2();
        let (left, right) = leaves.split_at(perfect);
        roots.push(perfect_root(harness, left));
        leaves = right;
    }
    roots
}

/// The root of the tree over these leaves.
pub(super) fn root(harness: &dyn Harness, leaves: &[[u8; 32]]) -> [u8; 32] {
    let from_right = frontier(harness, leaves).into_iter().rev();
    let joined = from_right.reduce(|right, left| {
        let mut node = vec![1];
        node.extend(left);
        node.extend(right);
        harness.sha256(&node)
    });
    joined.unwrap_or_else(|| harness.sha256(&[]))
}

fn perfect_root(harness: &dyn Harness, leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    let mut node = vec![1];
    node.extend(perfect_root(harness, left));
    node.extend(perfect_root(harness, right));
    harness.sha256(&node)
}

/// The reason why an append was refused; fails if it succeeded.
pub(super) async fn refused(store: &dyn Store, append: Append) -> Result<AppendError, Failure> {
    match store.append(append).await {
        Ok(appended) => Err(Failure(format!(
            "an append that must be refused got position {}",
            appended.position
        ))),
        Err(error) => Ok(error),
    }
}

/// The answers that are successes.
pub(super) fn successes(answers: &[Result<Appended, AppendError>]) -> Vec<&Appended> {
    answers.iter().filter_map(|answer| answer.as_ref().ok()).collect()
}

/// A time at which every record and timer of a case is long due.
pub(super) fn later() -> Timestamp {
    NOW.plus_ms(1_000_000)
}
