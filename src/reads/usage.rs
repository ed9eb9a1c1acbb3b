//! What calls used.

use super::StoreReads;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use claviger_graphql::ports::UsageCell;

impl StoreReads {
    pub(crate) async fn usage_cells(&self, _: UserId, _: Timestamp, _: Timestamp) -> Result<Vec<UsageCell>, Failure> {
        Err(Failure::internal())
    }
}
