//! What happens to the installation.

use crate::event::{events, facts};
use crate::id::MasterKeyId;
use serde::{Deserialize, Serialize};

facts! {
    /// A view was compared with the log, and mended where it differed.
    Rebuilt {
        /// Which view.
        view: String,
        /// How many owners were looked at.
        owners: u64,
        /// Of how many the rows were replaced.
        changed: u64,
    }
    /// A rotation that begins.
    RotationStarted {
        /// The master key it leads to: from here on it wraps every new user key.
        to: MasterKeyId,
    }
    /// A rotation that came to its end.
    Rotated {
        /// The master keys that wrap nothing any more. What lies in old copies opens for whoever has them: destroy them.
        from: Vec<MasterKeyId>,
        /// The master key that wraps everything.
        to: MasterKeyId,
        /// Users whose key was wrapped anew. One that was cut short and run again counts what its last run did.
        rewrapped: u64,
        /// Users who got a new key, because something of theirs was destroyed since they had the old one.
        rekeyed: u64,
    }
}

events! {
    /// What happens to the installation.
    SystemEvent {
        /// A view was made anew from the log.
        ProjectionRebuilt = 1 (Rebuilt),
        /// The store takes another master key into use.
        MasterKeyRotationStarted = 1 (RotationStarted),
        /// Everything opens under the new master key alone.
        MasterKeyRotated = 1 (Rotated),
    }
}
