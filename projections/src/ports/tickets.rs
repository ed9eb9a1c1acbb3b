//! Stream tickets that were used. A ticket carries everything else itself.

use super::{BoxFuture, StoreError};
use claviger_domain::timestamp::Timestamp;
use uuid::Uuid;

/// The port for used tickets.
pub trait UsedTickets: Send + Sync {
    /// Records the first use of a ticket, durably. `true` for one call per ticket, whichever process
    /// makes it and whatever restarts in between; `false` for every other.
    ///
    /// A ticket is remembered for at least [`TICKET_MARGIN_MS`] after `until`, from when on it is
    /// refused by its own time.
    fn use_ticket(
        &self,
        ticket: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// Longer than the clocks of two processes, or of one before and after a correction, differ.
pub const TICKET_MARGIN_MS: u64 = 3_600_000;
