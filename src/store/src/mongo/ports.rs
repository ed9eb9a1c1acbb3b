//! The ports: each method is a query to the server or a task for the batcher.

use super::read::{self, SessionRotation};
use super::store::MongoStore;
use super::write;
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
use std::sync::Arc;
use uuid::Uuid;

/// What each method returns.
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Methods that are one query each.
macro_rules! questions {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty = $question:path;)+) => {
        $(fn $name(&self $(, $arg: $type)*) -> Answer<'_, $answer> {
            self.ask(move |db| async move { $question(&db $(, $arg)*).await })
        })+
    };
}

/// The same for queries that pass over documents that cannot be decoded.
macro_rules! skipping {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty = $question:path;)+) => {
        $(fn $name(&self $(, $arg: $type)*) -> Answer<'_, $answer> {
            let skipped = Arc::clone(&self.skipped);
            self.ask(move |db| async move { $question(&db $(, $arg)*, &skipped).await })
        })+
    };
}

impl Log for MongoStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(self.queue(append))
    }

    fn sign_with(&self, signs: Arc<dyn SignEvents>) {
        self.signer.begin(signs);
    }

    fn head(&self) -> Answer<'_, Head> {
        self.ask(|db| async move {
            let (frontier, at) = read::head(&db).await?;
            Ok(Head { position: frontier.size(), at, frontier: frontier.roots().to_vec() })
        })
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.position.clone()
    }

    questions! {
        fn read(&self, after: u64, limit: usize) -> Vec<StoredEvent> = read::events_after;
        fn read_stream(&self, stream: StreamName, after: u64, limit: usize) -> Vec<StoredEvent> = read::stream_after;
        fn history(&self, owner: UserId, filter: HistoryFilter, direction: Direction, limit: usize) -> Vec<StoredEvent>
            = read::history;
        fn event(&self, id: EventId) -> Option<StoredEvent> = read::event;
        fn command_record(&self, id: CommandId) -> Option<CommandRecord> = read::command_record;
        fn forget_records(&self, now: Timestamp) -> u64 = read::forget_records;
        fn claim(&self, kind: ClaimKind, hash: [u8; 32]) -> Option<(UserId, Uuid)> = read::claim;
    }
}

impl Rows for MongoStore {
    fn init_store_key(&self, row: StoreKeyRow) -> Answer<'_, bool> {
        let mark = self.mark();
        self.ask(move |db| async move { write::init_store_key(&db, row, mark).await })
    }

    fn rotate_session(
        &self,
        id: SessionId,
        from: u32,
        now: Timestamp,
        until: Timestamp,
        mac: Option<[u8; 32]>,
    ) -> Answer<'_, bool> {
        let rotation = SessionRotation { session: id, from, now, until, mac, mark: self.mark() };
        self.ask(move |db| async move { read::rotate_session(&db, rotation).await })
    }

    /// Nothing to do: a shredded document leaves the collections with its commit. The copies
    /// in the oplog and in backups can be opened only with the user key of that time, until a
    /// rotation replaces that key.
    fn scrub(&self) -> Answer<'_, bool> {
        Box::pin(std::future::ready(Ok(true)))
    }

    skipping! {
        fn user_keys_by_kek(&self) -> Vec<(KekId, u64)> = read::user_keys_by_kek;
        fn due_timers(&self, now: Timestamp, limit: usize) -> Vec<TimerRow> = read::due_timers;
        fn sessions(&self, owner: UserId) -> Vec<SessionRow> = read::sessions;
    }

    questions! {
        fn store_keys(&self) -> Vec<StoreKeyRow> = read::store_keys;
        fn user_key(&self, owner: UserId) -> Option<UserKeyRow> = read::user_key;
        fn index_key(&self, owner: UserId) -> Option<IndexKeyRow> = read::index_key;
        fn content_key(&self, stream: StreamName) -> Option<ContentKeyRow> = read::content_key;
        fn secret(&self, owner: UserId, key: KeyId, secret_version: u32) -> Option<SecretRow> = read::secret;
        fn count_secrets(&self) -> u64 = read::count_secrets;
        fn credential(&self, owner: UserId) -> Option<CredentialRow> = read::credential;
        fn session(&self, id: SessionId) -> Option<SessionRow> = read::session;
        fn move_timer(&self, timer: TimerRow, until: Option<Timestamp>) -> bool = read::move_timer;
    }
}

impl Views for MongoStore {
    skipping! {
        fn page(&self, view: &'static str, owner: UserId, page: Page) -> PageOf = read::page;
        fn rows_of_all(&self, view: &'static str, after: Option<(UserId, Uuid)>, limit: usize) -> Vec<ViewRow> = read::rows_of_all;
        fn owners(&self, view: &'static str, after: Option<UserId>, limit: usize) -> Vec<UserId> = read::owners;
    }

    questions! {
        fn row(&self, view: &'static str, owner: UserId, id: Uuid) -> Option<ViewRow> = read::view_row_of;
        fn default_key(&self, owner: UserId, tag: ContextTag) -> Option<KeyId> = read::default_key;
        fn defaults(&self, owner: UserId) -> Vec<(ContextTag, KeyId)> = read::defaults;
    }
}

impl Rotation for MongoStore {
    skipping! {
        fn user_keys(&self, not_under: Option<KekId>, after: Option<UserId>, limit: usize) -> Vec<UserKeyState> = read::user_keys;
    }

    questions! {
        fn user_rows(&self, owner: UserId) -> Option<UserRows> = read::user_rows;
        fn rewrap_user_key(&self, from: UserKeyRow, to: UserKeyRow) -> bool = read::rewrap_user_key;
        fn rekey_user(&self, from: UserRows, to: UserRows) -> bool = write::rekey_user;
    }
}

impl Deltas for MongoStore {
    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>> {
        let asked = self.ask(move |db| async move { read::flush(&db, rows).await });
        Box::pin(async move {
            let taken = asked.await?;
            if taken.is_empty() { Ok(()) } else { Err(FlushError::Taken(taken)) }
        })
    }

    questions! {
        fn deltas(&self, run: RunId, after: (u64, u64), limit: usize) -> Vec<DeltaRow> = read::deltas;
        fn count_deltas(&self, run: RunId, v: u64) -> u64 = read::count_deltas;
        fn expire_deltas(&self, owner: UserId, run: RunId) -> u64 = read::expire_deltas;
    }
}

impl Inspection for MongoStore {
    questions! {
        fn inspect(&self, table: Table, after: Option<Mark>, bytes: usize) -> Inspected = read::inspect;
    }
}
