//! What happens to the installation.

use crate::event::{events, facts};
use crate::id::MasterKeyId;
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
    }
}
