//! What happens to the installation.

use crate::event::{events, facts};
use crate::id::{MasterKeyId, TreeRoot};
use serde::{Deserialize, Serialize};

facts! {
    /// A view was compared with the log and repaired where it differed.
    Rebuilt {
        /// Name of the view.
        view: String,
        /// Number of owners compared.
        owners: u64,
        /// Number of owners whose rows were replaced.
        changed: u64,
    }
    /// The start of a rotation.
    RotationStarted {
        /// The new master key: from here on it wraps every new user key.
        to: MasterKeyId,
    }
    /// The log as it was before its events were signed.
    Signing {
        /// The last position that is not signed: the one before this event.
        since: u64,
        /// The tree up to that position, which this event's signature vouches for.
        root: TreeRoot,
    }
    /// The end of a rotation.
    Rotated {
        /// The master keys that wrap nothing in this store any more. They still open old copies of
        /// it, so they should be destroyed.
        from: Vec<MasterKeyId>,
        /// The master key that wraps every user key.
        to: MasterKeyId,
        /// Users whose key was wrapped again. After an interrupted rotation, those of the last run
        /// only.
        rewrapped: u64,
        /// Users who got a new key, because something that their old key could open was destroyed.
        rekeyed: u64,
    }
}

events! {
    /// What happens to the installation.
    SystemEvent {
        /// A view was repaired from the log.
        ProjectionRebuilt = 1 (Rebuilt),
        /// The store begins to use another master key.
        MasterKeyRotationStarted = 1 (RotationStarted),
        /// Everything opens under the new master key alone.
        MasterKeyRotated = 1 (Rotated),
        /// A store that an earlier program made requires signatures of its events from here on.
        SigningStarted = 1 (Signing),
    }
}
