//! The commands on a key ring, one per file. Each decides from the state alone; time, ids and keyed
//! hashes come with the command.

mod activate;
mod add_key;
mod change_key;
mod clear_default;
mod deactivate;
mod defaults;
mod delete_key;
mod finish_test;
mod record_expiry;
mod rename_key;
mod replace_secret;
mod set_default;
mod set_expiry;
mod start_test;

pub use activate::ActivateKey;
pub use add_key::AddKey;
pub use change_key::ChangeKey;
pub use clear_default::ClearDefault;
pub use deactivate::DeactivateKey;
pub use delete_key::DeleteKey;
pub use finish_test::FinishKeyTest;
pub use record_expiry::RecordExpiry;
pub use rename_key::RenameKey;
pub use replace_secret::ReplaceSecret;
pub use set_default::SetDefault;
pub use set_expiry::SetExpiry;
pub use start_test::StartKeyTest;

use super::{KeyRing, KeyRingError, KeyRingEvent};
use crate::commands::commands;

commands! {
    /// A command on a key ring.
    KeyRingCommand on KeyRing: KeyRingEvent, KeyRingError {
        AddKey,
        RenameKey,
        ChangeKey,
        StartKeyTest,
        FinishKeyTest => Ok,
        SetDefault,
        ClearDefault,
        ActivateKey,
        DeactivateKey,
        ReplaceSecret,
        SetExpiry,
        RecordExpiry => Ok,
        DeleteKey,
    }
}
