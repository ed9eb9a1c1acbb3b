//! The vault over the store: users' keys, master keys and their rotation, events sealed and opened.

mod claims;
mod evidence;
mod master_keys;
mod opener;
mod rewrap;
mod rotated;
mod rotation;
mod scrub;
mod sealed_events;
mod signing;
mod user_keys;

pub use evidence::{Evidence, HeldClaim};
pub(crate) use master_keys::hex;
pub use master_keys::{LookAgain, MasterKeys};
pub(crate) use opener::{Opened, Opener, RESET_HASH};
pub use rotated::{Progress, Rotated, RotationError, UserTrouble};
pub use rotation::Rotation;
pub(crate) use scrub::scrub;
pub(crate) use sealed_events::{decode, open_event, plain_events, seal_events};
pub use user_keys::{Keychain, KeychainError, UserKeys, check_master_keys};
