//! Commands on keys.

use crate::command::Answer;
use crate::command::Commit;
use crate::command::{CommandContext, CommandGroup, CommandKind};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::id::KeyId;
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::text::Context;
use claviger_domain::text::KeyName;
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;

/// A command on keys.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[expect(missing_docs, reason = "the contract's mutations and their inputs")]
#[derive(Clone)]
pub enum KeyCommand {
    Add {
        name: KeyName,
        secret: ApiKeySecret,
        make_default: Option<bool>,
        context: Context,
        expires_at: Option<Timestamp>,
    },
    Test {
        key: KeyId,
        level: KeyTestLevel,
        model: Option<ModelId>,
    },
    SetDefault {
        key: KeyId,
        context: Context,
        expected: Option<u64>,
    },
    ClearDefault {
        context: Context,
        expected: Option<u64>,
    },
    Activate {
        key: KeyId,
        expected: Option<u64>,
    },
    Deactivate {
        key: KeyId,
        expected: Option<u64>,
    },
    Rename {
        key: KeyId,
        name: KeyName,
        expected: Option<u64>,
    },
    /// Several changes in one commit; `None` leaves what it stands for.
    Change {
        key: KeyId,
        name: Option<KeyName>,
        is_active: Option<bool>,
        is_default: Option<bool>,
        context: Context,
        expected: Option<u64>,
    },
    ReplaceSecret {
        key: KeyId,
        secret: ApiKeySecret,
        expected: Option<u64>,
    },
    SetExpiry {
        key: KeyId,
        expires_at: Option<Timestamp>,
        expected: Option<u64>,
    },
    Delete {
        key: KeyId,
        expected: Option<u64>,
    },
}

impl KeyCommand {
    /// The kind of the commands that test a key.
    pub const TEST: CommandKind = CommandKind { group: CommandGroup::Key, name: "test" };

    /// The command's kind.
    pub const fn kind(&self) -> CommandKind {
        let name = match self {
            Self::Add { .. } => "add",
            Self::Test { .. } => return Self::TEST,
            Self::SetDefault { .. } => "set_default",
            Self::ClearDefault { .. } => "clear_default",
            Self::Activate { .. } => "activate",
            Self::Deactivate { .. } => "deactivate",
            Self::Rename { .. } => "rename",
            Self::Change { .. } => "change",
            Self::ReplaceSecret { .. } => "replace_secret",
            Self::SetExpiry { .. } => "set_expiry",
            Self::Delete { .. } => "delete",
        };
        CommandKind { group: CommandGroup::Key, name }
    }
}

/// The result of a command on keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDone {
    /// What was committed.
    pub commit: Commit,
    /// The key that the command concerned; `None` if there was none (a context without a default).
    pub key: Option<KeyId>,
}

/// The port for commands on keys.
pub trait KeyCommands: Send + Sync {
    /// Runs one command. A client that disconnects does not stop it.
    fn run(&self, context: CommandContext, command: KeyCommand) -> Answer<'_, KeyDone>;
}
