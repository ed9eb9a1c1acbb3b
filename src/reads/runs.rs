//! [`RunReads`] over the log and views.

use super::StoreReads;
use super::run_reader::RunReader;
use crate::system::failure::store_failure;
use claviger_application::{Answer, RunDetail, RunFilter, RunPage, RunReads, UsageCell};
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Page, RUNS};
use claviger_projections::run_feed::RunView;
use std::sync::Arc;

impl StoreReads {
    /// The reader of a user's run; `None` for unknown ids and runs of other users.
    pub(crate) async fn reader_of(
        &self,
        user: UserId,
        run: RunId,
    ) -> Result<Option<RunReader>, Failure> {
        let row = self.store.row(RUNS, user, run.0).await.map_err(|error| store_failure(&error))?;
        let (store, keychain) = (Arc::clone(&self.store), Arc::clone(&self.keychain));
        Ok(row.map(|_| RunReader { store, keychain, owner: user, run }))
    }
}

impl RunReads for StoreReads {
    fn run(&self, user: UserId, run: RunId) -> Answer<'_, Option<RunDetail>> {
        Box::pin(async move {
            let Some(reader) = self.reader_of(user, run).await? else { return Ok(None) };
            let feed = reader.whole().await?;
            let (view, partial) =
                (RunView::clone(feed.fold().view()), feed.fold().partial().to_vec());
            Ok(Some(RunDetail { id: run, view, partial, cursor: feed.newest() }))
        })
    }

    fn runs(&self, user: UserId, filter: RunFilter, page: Page) -> Answer<'_, RunPage> {
        Box::pin(self.runs_page(user, filter, page))
    }

    fn usage(&self, user: UserId, from: Timestamp, to: Timestamp) -> Answer<'_, Vec<UsageCell>> {
        Box::pin(self.usage_cells(user, from, to))
    }
}
