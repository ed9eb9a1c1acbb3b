//! The ports: each method is a query for the readers or a task for the writer.

use super::query::DbError;
use super::read;
use super::store::SqliteStore;
use super::write::{RowTask, SLICE, TaskKind};
use crate::skipped::Skipped;
use claviger_domain::id::{CommandId, ContextTag, EventId, KeyId, RunId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, ClaimKind, CommandRecord, ContentKeyRow,
    CredentialRow, DeltaRow, Deltas, Direction, FlushError, Head, HistoryFilter, IndexKeyRow,
    Inspected, Inspection, KekId, Log, Mark, Page, PageOf, Rotation, Rows, SecretRow, SessionRow,
    SignEvents, StoreError, StoreKeyRow, StoredEvent, Table, TimerRow, UserKeyRow, UserKeyState,
    UserRows, ViewRow, Views,
};
use rusqlite::Connection;
use std::sync::Arc;
use uuid::Uuid;

/// What each method returns.
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl SqliteStore {
    /// Runs a query that passes over rows that cannot be decoded.
    pub(super) fn ask_skipping<T: Send + 'static>(
        &self,
        question: impl Fn(&Connection, &Skipped) -> Result<T, DbError> + Send + 'static,
    ) -> Answer<'_, T> {
        let skipped = Arc::clone(&self.skipped);
        self.readers.ask(move |db| question(db, &skipped))
    }

    /// Repeats a deletion of at most [`SLICE`] rows until nothing is left, so that everybody's
    /// commits come in between; returns how many rows were deleted.
    fn in_slices(&self, task: impl Fn() -> RowTask + Send + 'static) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut deleted = 0;
            loop {
                let slice = self.change(task()).await?;
                deleted += slice;
                if slice < SLICE {
                    return Ok(deleted);
                }
            }
        })
    }
}

impl Log for SqliteStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            self.ask(|reply| TaskKind::Append { append: Box::new(append), reply }).await?
        })
    }

    fn sign_with(&self, signs: Arc<dyn SignEvents>) {
        self.signer.begin(signs);
    }

    fn head(&self) -> Answer<'_, Head> {
        self.readers.look(|db| {
            let (frontier, at) = read::head(db)?;
            Ok(Head { position: frontier.size(), at, frontier: frontier.roots().to_vec() })
        })
    }

    fn read(&self, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        self.readers.ask(move |db| read::events_after(db, after, limit))
    }

    fn read_stream(
        &self,
        stream: StreamName,
        after: u64,
        limit: usize,
    ) -> Answer<'_, Vec<StoredEvent>> {
        self.readers.ask(move |db| read::stream_after(db, stream, after, limit))
    }

    fn history(
        &self,
        owner: UserId,
        filter: HistoryFilter,
        direction: Direction,
        limit: usize,
    ) -> Answer<'_, Vec<StoredEvent>> {
        self.readers.ask(move |db| read::history(db, owner, &filter, direction, limit))
    }

    fn event(&self, id: EventId) -> Answer<'_, Option<StoredEvent>> {
        self.readers.ask(move |db| read::event(db, id))
    }

    fn command_record(&self, id: CommandId) -> Answer<'_, Option<CommandRecord>> {
        self.readers.look(move |db| read::command_record(db, id))
    }

    fn forget_records(&self, now: Timestamp) -> Answer<'_, u64> {
        self.in_slices(move || RowTask::ForgetRecords(now))
    }

    fn claim(&self, kind: ClaimKind, hash: [u8; 32]) -> Answer<'_, Option<(UserId, Uuid)>> {
        self.readers.ask(move |db| read::claim(db, kind, &hash))
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.position.clone()
    }
}

impl Rows for SqliteStore {
    fn store_keys(&self) -> Answer<'_, Vec<StoreKeyRow>> {
        self.readers.ask(read::store_keys)
    }

    fn init_store_key(&self, row: StoreKeyRow) -> Answer<'_, bool> {
        Box::pin(async move { Ok(self.change(RowTask::InitStoreKey(row)).await? == 1) })
    }

    fn user_keys_by_kek(&self) -> Answer<'_, Vec<(KekId, u64)>> {
        self.ask_skipping(read::user_keys_by_kek)
    }

    fn user_key(&self, owner: UserId) -> Answer<'_, Option<UserKeyRow>> {
        self.readers.look(move |db| read::user_key(db, owner))
    }

    fn index_key(&self, owner: UserId) -> Answer<'_, Option<IndexKeyRow>> {
        self.readers.look(move |db| read::index_key(db, owner))
    }

    fn content_key(&self, stream: StreamName) -> Answer<'_, Option<ContentKeyRow>> {
        self.readers.look(move |db| read::content_key(db, stream))
    }

    fn secret(
        &self,
        owner: UserId,
        key: KeyId,
        secret_version: u32,
    ) -> Answer<'_, Option<SecretRow>> {
        self.readers.look(move |db| read::secret(db, owner, key, secret_version))
    }

    fn count_secrets(&self) -> Answer<'_, u64> {
        self.readers.ask(read::count_secrets)
    }

    fn credential(&self, owner: UserId) -> Answer<'_, Option<CredentialRow>> {
        self.readers.look(move |db| read::credential(db, owner))
    }

    fn session(&self, id: SessionId) -> Answer<'_, Option<SessionRow>> {
        self.readers.look(move |db| read::session(db, id))
    }

    fn sessions(&self, owner: UserId) -> Answer<'_, Vec<SessionRow>> {
        self.ask_skipping(move |db, skipped| read::sessions(db, owner, skipped))
    }

    fn rotate_session(
        &self,
        id: SessionId,
        from: u32,
        now: Timestamp,
        until: Timestamp,
        mac: Option<[u8; 32]>,
    ) -> Answer<'_, bool> {
        Box::pin(async move {
            Ok(self.change(RowTask::RotateSession { id, from, now, until, mac }).await? == 1)
        })
    }

    fn due_timers(&self, now: Timestamp, limit: usize) -> Answer<'_, Vec<TimerRow>> {
        self.ask_skipping(move |db, skipped| read::due_timers(db, now, limit, skipped))
    }

    fn move_timer(&self, timer: TimerRow, until: Option<Timestamp>) -> Answer<'_, bool> {
        Box::pin(async move { Ok(self.change(RowTask::MoveTimer { timer, until }).await? == 1) })
    }

    fn refuses_writes(&self) -> bool {
        self.refusing.is_recent()
    }

    fn scrub(&self) -> Answer<'_, bool> {
        self.truncate()
    }
}

impl Views for SqliteStore {
    fn page(&self, view: &'static str, owner: UserId, page: Page) -> Answer<'_, PageOf> {
        self.ask_skipping(move |db, skipped| read::page(db, view, owner, page, skipped))
    }

    fn row(&self, view: &'static str, owner: UserId, id: Uuid) -> Answer<'_, Option<ViewRow>> {
        self.readers.look(move |db| read::view_row_of(db, view, owner, id))
    }

    fn default_key(&self, owner: UserId, tag: ContextTag) -> Answer<'_, Option<KeyId>> {
        self.readers.look(move |db| read::default_key(db, owner, tag))
    }

    fn defaults(&self, owner: UserId) -> Answer<'_, Vec<(ContextTag, KeyId)>> {
        self.readers.ask(move |db| read::defaults(db, owner))
    }

    fn rows_of_all(
        &self,
        view: &'static str,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Answer<'_, Vec<ViewRow>> {
        self.ask_skipping(move |db, skipped| read::rows_of_all(db, view, after, limit, skipped))
    }

    fn owners(
        &self,
        view: &'static str,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<'_, Vec<UserId>> {
        self.ask_skipping(move |db, skipped| read::owners(db, view, after, limit, skipped))
    }
}

impl Rotation for SqliteStore {
    fn user_keys(
        &self,
        not_under: Option<KekId>,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<'_, Vec<UserKeyState>> {
        self.ask_skipping(move |db, skipped| read::user_keys(db, not_under, after, limit, skipped))
    }

    fn user_rows(&self, owner: UserId) -> Answer<'_, Option<UserRows>> {
        self.readers.ask(move |db| read::user_rows(db, owner))
    }

    fn rewrap_user_key(&self, from: UserKeyRow, to: UserKeyRow) -> Answer<'_, bool> {
        Box::pin(async move { Ok(self.change(RowTask::RewrapUserKey { from, to }).await? == 1) })
    }

    fn rekey_user(&self, from: UserRows, to: UserRows) -> Answer<'_, bool> {
        let task = RowTask::RekeyUser { from: Box::new(from), to: Box::new(to) };
        Box::pin(async move { Ok(self.change(task).await? == 1) })
    }
}

impl Deltas for SqliteStore {
    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>> {
        Box::pin(async move { self.ask(|reply| TaskKind::Flush { rows, reply }).await? })
    }

    fn deltas(&self, run: RunId, after: (u64, u64), limit: usize) -> Answer<'_, Vec<DeltaRow>> {
        self.readers.look(move |db| read::deltas(db, run, after, limit))
    }

    fn count_deltas(&self, run: RunId, v: u64) -> Answer<'_, u64> {
        self.readers.ask(move |db| read::count_deltas(db, run, v))
    }

    fn expire_deltas(&self, owner: UserId, run: RunId) -> Answer<'_, u64> {
        self.in_slices(move || RowTask::ExpireDeltas { owner, run })
    }
}

impl Inspection for SqliteStore {
    fn inspect(&self, table: Table, after: Option<Mark>, bytes: usize) -> Answer<'_, Inspected> {
        self.readers.ask(move |db| read::inspect(db, table, after.as_ref(), bytes))
    }
}
