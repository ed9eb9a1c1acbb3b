//! Stores that do something of their own and hand everything else to another store.

use claviger_domain::id::{CommandId, ContextTag, EventId, KeyId, RunId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Advance, AdvanceError, Append, AppendError, Appended, BoxFuture, Checkpoint, ClaimKind,
    CommandRecord, ContentKeyRow, CredentialRow, DeltaRow, Deltas, Direction, FlushError,
    Followers, Head, HistoryFilter, Hold, Holder, IndexKeyRow, Inspected, Inspection, KekId,
    LeaseName, Leases, Log, Mark, Page, PageOf, Quarantined, Repairs, Replace, ReplaceError,
    Rotation, Rows, SecretRow, SessionRow, SignEvents, Store, StoreError, StoreKeyRow, StoredEvent,
    Table, TimerRow, UsedTickets, UserKeyRow, UserKeyState, UserRows, ViewRow, Views,
};
use std::sync::Arc;
use tokio::sync::watch::Receiver;
use uuid::Uuid;

pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

macro_rules! ports {
    ($($port:ident { $(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty;)+ })+) => {
        /// A store that hands everything to another but for what it does itself.
        pub(crate) trait Bent: Send + Sync + 'static {
            /// The other.
            fn inner(&self) -> &Arc<dyn Store>;

            $($(fn $name(&self $(, $arg: $type)*) -> $answer {
                self.inner().$name($($arg),*)
            })+)+
        }

        $(impl<B: Bent> $port for Over<B> {
            $(fn $name(&self $(, $arg: $type)*) -> $answer {
                self.0.$name($($arg),*)
            })+
        })+
    };
}

/// Makes a [`Bent`] one a [`Store`]. The ports belong to another crate, so they can't be
/// implemented for every bent store at once.
pub(crate) struct Over<B>(pub(crate) Arc<B>);

impl<B: Bent> Over<B> {
    pub(crate) fn store(bent: &Arc<B>) -> Arc<dyn Store> {
        Arc::new(Self(Arc::clone(bent)))
    }
}

ports! {
    Log {
        fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;
        fn sign_with(&self, signs: Arc<dyn SignEvents>) -> ();
        fn head(&self) -> Answer<'_, Head>;
        fn read(&self, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>>;
        fn read_stream(&self, stream: StreamName, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>>;
        fn history(&self, owner: UserId, filter: HistoryFilter, direction: Direction, limit: usize) -> Answer<'_, Vec<StoredEvent>>;
        fn event(&self, id: EventId) -> Answer<'_, Option<StoredEvent>>;
        fn command_record(&self, id: CommandId) -> Answer<'_, Option<CommandRecord>>;
        fn forget_records(&self, now: Timestamp) -> Answer<'_, u64>;
        fn claim(&self, kind: ClaimKind, hash: [u8; 32]) -> Answer<'_, Option<(UserId, Uuid)>>;
        fn watch(&self) -> Receiver<u64>;
    }
    Inspection {
        fn inspect(&self, table: Table, after: Option<Mark>, bytes: usize) -> Answer<'_, Inspected>;
    }
    Rows {
        fn store_keys(&self) -> Answer<'_, Vec<StoreKeyRow>>;
        fn init_store_key(&self, row: StoreKeyRow) -> Answer<'_, bool>;
        fn user_keys_by_kek(&self) -> Answer<'_, Vec<(KekId, u64)>>;
        fn user_key(&self, owner: UserId) -> Answer<'_, Option<UserKeyRow>>;
        fn index_key(&self, owner: UserId) -> Answer<'_, Option<IndexKeyRow>>;
        fn content_key(&self, stream: StreamName) -> Answer<'_, Option<ContentKeyRow>>;
        fn secret(&self, owner: UserId, key: KeyId, secret_version: u32) -> Answer<'_, Option<SecretRow>>;
        fn count_secrets(&self) -> Answer<'_, u64>;
        fn credential(&self, owner: UserId) -> Answer<'_, Option<CredentialRow>>;
        fn session(&self, id: SessionId) -> Answer<'_, Option<SessionRow>>;
        fn sessions(&self, owner: UserId) -> Answer<'_, Vec<SessionRow>>;
        fn rotate_session(&self, id: SessionId, from: u32, now: Timestamp, until: Timestamp, mac: Option<[u8; 32]>) -> Answer<'_, bool>;
        fn due_timers(&self, now: Timestamp, limit: usize) -> Answer<'_, Vec<TimerRow>>;
        fn move_timer(&self, timer: TimerRow, until: Option<Timestamp>) -> Answer<'_, bool>;
        fn scrub(&self) -> Answer<'_, bool>;
    }
    Views {
        fn row(&self, view: &'static str, owner: UserId, id: Uuid) -> Answer<'_, Option<ViewRow>>;
        fn page(&self, view: &'static str, owner: UserId, page: Page) -> Answer<'_, PageOf>;
        fn default_key(&self, owner: UserId, tag: ContextTag) -> Answer<'_, Option<KeyId>>;
        fn defaults(&self, owner: UserId) -> Answer<'_, Vec<(ContextTag, KeyId)>>;
        fn rows_of_all(&self, view: &'static str, after: Option<(UserId, Uuid)>, limit: usize) -> Answer<'_, Vec<ViewRow>>;
        fn owners(&self, view: &'static str, after: Option<UserId>, limit: usize) -> Answer<'_, Vec<UserId>>;
    }
    Rotation {
        fn user_keys(&self, not_under: Option<KekId>, after: Option<UserId>, limit: usize) -> Answer<'_, Vec<UserKeyState>>;
        fn user_rows(&self, owner: UserId) -> Answer<'_, Option<UserRows>>;
        fn rewrap_user_key(&self, from: UserKeyRow, to: UserKeyRow) -> Answer<'_, bool>;
        fn rekey_user(&self, from: UserRows, to: UserRows) -> Answer<'_, bool>;
    }
    Leases {
        fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Answer<'_, Hold>;
        fn release(&self, name: LeaseName, holder: Holder) -> Answer<'_, bool>;
    }
    Followers {
        fn checkpoint(&self, view: &'static str) -> Answer<'_, Checkpoint>;
        fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>>;
        fn quarantined(&self, view: &'static str, limit: usize) -> Answer<'_, Vec<Quarantined>>;
        fn count_quarantined(&self, view: &'static str) -> Answer<'_, u64>;
    }
    Deltas {
        fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>>;
        fn deltas(&self, run: RunId, after: (u64, u64), limit: usize) -> Answer<'_, Vec<DeltaRow>>;
        fn count_deltas(&self, run: RunId, v: u64) -> Answer<'_, u64>;
        fn expire_deltas(&self, owner: UserId, run: RunId) -> Answer<'_, u64>;
    }
    UsedTickets {
        fn use_ticket(&self, ticket: Uuid, until: Timestamp, now: Timestamp) -> Answer<'_, bool>;
    }
    Repairs {
        fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>>;
        fn owners_with_keys(&self, after: Option<UserId>, limit: usize) -> Answer<'_, Vec<UserId>>;
    }
}
