//! `graphql-transport-ws` on `/graphql`. The stock implementation isn't used: it closes with other
//! codes, has no timeouts, pings or bounds, and lets one operation starve the others.

mod close;
mod frame;
mod metered;
mod operations;
mod protocol;
mod socket;
mod upgrade;
mod wire;

pub(super) use upgrade::{is_upgrade, upgrade};
