//! What may be asked of a key ring, one command a file. Each decides from the state alone; time, ids and keyed hashes come with it.

mod activate;
mod add_key;
mod clear_default;
mod deactivate;
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

use super::{ClearReason, KeyRing, KeyRingError, KeyRingEvent, NoDefault};
use crate::id::KeyId;

/// Everything that may be asked of a key ring.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is its command, documented there")]
pub enum KeyRingCommand {
    AddKey(AddKey),
    RenameKey(RenameKey),
    StartKeyTest(StartKeyTest),
    FinishKeyTest(FinishKeyTest),
    SetDefault(SetDefault),
    ClearDefault(ClearDefault),
    ActivateKey(ActivateKey),
    DeactivateKey(DeactivateKey),
    ReplaceSecret(ReplaceSecret),
    SetExpiry(SetExpiry),
    RecordExpiry(RecordExpiry),
    DeleteKey(DeleteKey),
}

impl KeyRingCommand {
    /// The events that the command leads to; none when things are already as asked.
    ///
    /// # Errors
    /// [`KeyRingError`]: the ring stays as it is.
    pub fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        match self {
            Self::AddKey(command) => command.decide(ring),
            Self::RenameKey(command) => command.decide(ring),
            Self::StartKeyTest(command) => command.decide(ring),
            Self::FinishKeyTest(command) => Ok(command.decide(ring)),
            Self::SetDefault(command) => command.decide(ring),
            Self::ClearDefault(command) => command.decide(ring),
            Self::ActivateKey(command) => command.decide(ring),
            Self::DeactivateKey(command) => command.decide(ring),
            Self::ReplaceSecret(command) => command.decide(ring),
            Self::SetExpiry(command) => command.decide(ring),
            Self::RecordExpiry(command) => Ok(command.decide(ring)),
            Self::DeleteKey(command) => command.decide(ring),
        }
    }
}

macro_rules! into_command {
    ($($name:ident),+) => {$(
        impl From<$name> for KeyRingCommand {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        }
    )+};
}
into_command!(
    AddKey,
    RenameKey,
    StartKeyTest,
    FinishKeyTest,
    SetDefault,
    ClearDefault,
    ActivateKey,
    DeactivateKey,
    ReplaceSecret,
    SetExpiry,
    RecordExpiry,
    DeleteKey
);

/// A key that can't be used loses its defaults in the same commit; nothing is promoted silently.
fn clear_defaults_of(
    ring: &KeyRing,
    key: KeyId,
    reason: ClearReason,
) -> impl Iterator<Item = KeyRingEvent> {
    ring.default_tags(key).map(move |context_tag| {
        KeyRingEvent::DefaultCleared(NoDefault { key, context_tag, reason }, None)
    })
}
