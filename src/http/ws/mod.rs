//! `graphql-transport-ws` on `/graphql`: our own, because the stock one closes with other codes, has no timeouts, no pings and no
//! bounds, and lets one operation starve the others.

mod close;
mod counted;
mod operations;
mod protocol;
mod socket;
mod upgrade;
mod wire;

pub(super) use upgrade::{is_upgrade, upgrade};
