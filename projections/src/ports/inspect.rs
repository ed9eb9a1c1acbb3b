//! What an auditor needs of a store: every row of every table, whatever the row holds.
//!
//! Other ports read what was written and refuse anything else, and a reader of the log refuses a
//! gap. An auditor must see past all of it: a row that cannot be read is an item of the page, and
//! the page goes on behind it.

use super::{
    BoxFuture, Checkpoint, ClaimKind, CommandRecord, ContentKeyRow, CredentialRow, DeltaRow,
    IndexKeyRow, Quarantined, SecretRow, SessionRow, StoreError, StoreKeyRow, StoredEvent,
    TimerRow, UserKeyState,
};
use claviger_domain::catalogue::Requirement;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use uuid::Uuid;

/// A table or collection that every store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// The log, with the sealed boxes of each event. The only table in a fixed order: by position.
    Events,
    /// Boxes of events that have several.
    Parts,
    /// Unique values.
    Claims,
    /// Records of commands.
    Commands,
    /// User keys.
    UserKeys,
    /// Users' index keys.
    IndexKeys,
    /// Content keys of streams.
    ContentKeys,
    /// Secrets of API keys.
    Secrets,
    /// Password hashes.
    Credentials,
    /// Sessions.
    Sessions,
    /// Timers.
    Timers,
    /// Rows of all views.
    Views,
    /// Default keys.
    Defaults,
    /// Checkpoints of followed views.
    Checkpoints,
    /// Quarantined rows of followed views.
    Quarantine,
    /// Rows of runs' text.
    Deltas,
    /// What a program must be able to read.
    Required,
    /// The store's own keys.
    StoreKeys,
}

impl Table {
    /// All tables.
    pub const ALL: &'static [Self] = &[
        Self::Events,
        Self::Parts,
        Self::Claims,
        Self::Commands,
        Self::UserKeys,
        Self::IndexKeys,
        Self::ContentKeys,
        Self::Secrets,
        Self::Credentials,
        Self::Sessions,
        Self::Timers,
        Self::Views,
        Self::Defaults,
        Self::Checkpoints,
        Self::Quarantine,
        Self::Deltas,
        Self::Required,
        Self::StoreKeys,
    ];

    /// The name in SQLite; on MongoDB the collection has the same, except for `required`, which is
    /// part of `meta`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Parts => "parts",
            Self::Claims => "claims",
            Self::Commands => "commands",
            Self::UserKeys => "user_keys",
            Self::IndexKeys => "index_keys",
            Self::ContentKeys => "content_keys",
            Self::Secrets => "secrets",
            Self::Credentials => "credentials",
            Self::Sessions => "sessions",
            Self::Timers => "timers",
            Self::Views => "views",
            Self::Defaults => "defaults",
            Self::Checkpoints => "checkpoints",
            Self::Quarantine => "quarantine",
            Self::Deltas => "deltas",
            Self::Required => "required",
            Self::StoreKeys => "store_keys",
        }
    }
}

/// A unique value that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// The kind of the value.
    pub kind: ClaimKind,
    /// Keyed hash of the value.
    pub hash: [u8; 32],
    /// The user who holds it.
    pub holder: UserId,
    /// What it belongs to.
    pub subject: Uuid,
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredRow {
    /// An event.
    Event(Box<StoredEvent>),
    /// A box of the event at this position, with its index. Its bytes are the event's content.
    Part(u64, u64),
    /// A unique value.
    Claim(ClaimRow),
    /// The record of a command.
    Command(Box<CommandRecord>),
    /// A user key.
    UserKey(UserKeyState),
    /// A user's index key.
    IndexKey(IndexKeyRow),
    /// A content key.
    ContentKey(ContentKeyRow),
    /// A version of a secret.
    Secret(SecretRow),
    /// A password hash.
    Credential(CredentialRow),
    /// A session.
    Session(SessionRow),
    /// A timer.
    Timer(TimerRow),
    /// A row of the view of this name. Its other columns can be read.
    View {
        /// Name of the view.
        view: String,
        /// The user who owns the row.
        owner: UserId,
        /// Id of the row.
        id: Uuid,
    },
    /// The default key of a context.
    Default(UserId, ContextTag, KeyId),
    /// The progress of the view of this name.
    Checkpoint(String, Checkpoint),
    /// A quarantined row of the view of this name.
    Quarantined(String, Quarantined),
    /// A row of text.
    Delta(DeltaRow),
    /// What a program must be able to read, and the version that first wrote it.
    Required(Requirement, String),
    /// The store's own keys under one master key, and their place in the order of master keys.
    StoreKey(StoreKeyRow, u64),
}

/// A row that cannot be what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The position, for an event.
    pub position: Option<u64>,
    /// Names table, row and column.
    pub error: StoreError,
}

/// A part of a row's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkPart {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A place in a table, which only the store understands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub Vec<MarkPart>);

/// Some rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// The rows, with those that cannot be read.
    pub rows: Vec<Result<StoredRow, Unreadable>>,
    /// Where to go on; `None` at the end of the table.
    pub next: Option<Mark>,
}

/// The port for auditors.
pub trait Inspection: Send + Sync {
    /// The rows of a table behind `after`, until they have `bytes` bytes together: at least one,
    /// and so at most that and one row.
    ///
    /// # Errors
    /// When the store is unavailable, or the table as a whole cannot be read.
    fn inspect(
        &self,
        table: Table,
        after: Option<Mark>,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Inspected, StoreError>>;
}
