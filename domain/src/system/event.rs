//! What happens to the installation.

use crate::halves::{Facts, events};
use serde::{Deserialize, Serialize};

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }
        impl Facts for $name {}
    )+};
}

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
}

events! {
    /// What happens to the installation.
    SystemEvent {
        /// A view was made anew from the log.
        ProjectionRebuilt = 1 (Rebuilt),
    }
}
