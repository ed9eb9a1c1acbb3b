//! Lists of runs.

use super::StoreReads;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_graphql::ports::{RunFilter, RunPage};
use claviger_projections::ports::Page;

impl StoreReads {
    pub(crate) async fn runs_page(&self, _: UserId, _: RunFilter, _: Page) -> Result<RunPage, Failure> {
        Err(Failure::internal())
    }
}
