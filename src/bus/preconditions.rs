//! Conditions that a command carries besides the rules of its aggregate. The executor checks them
//! right before each decision, so what was true when the request arrived must still hold then.

use super::Bus;
use super::control_run::run_refusal;
use crate::system::failure::store_failure;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunError;
use claviger_projections::ports::{OPEN_RUNS, Page, RUNS};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// The owner has fewer unfinished runs than this.
    OpenRunsBelow(u64),
    /// The run belongs to the owner.
    OwnsRun(RunId),
}

impl Precondition {
    /// Whether the condition holds now.
    ///
    /// # Errors
    /// The refusal, or a fault of the store.
    pub(super) async fn check(self, bus: &Bus, owner: UserId) -> Result<(), Failure> {
        match self {
            Self::OpenRunsBelow(max) => {
                let page = Page { limit: 1, ..Page::default() };
                let page = bus.store.page(OPEN_RUNS, owner, page).await;
                let open = page.map_err(|error| store_failure(&error))?.total;
                if open < max { Ok(()) } else { Err(too_many_runs(open, max)) }
            }
            Self::OwnsRun(run) => {
                let row = bus.store.row(RUNS, owner, run.0).await;
                let row = row.map_err(|error| store_failure(&error))?;
                row.map(drop).ok_or_else(|| run_refusal(RunError::NotFound))
            }
        }
    }
}

fn too_many_runs(open: u64, max: u64) -> Failure {
    let message = format!(
        "{open} of your orchestrations have not ended, and the limit is {max}: wait for some, or \
         cancel them"
    );
    Failure::new(ErrorCode::LimitExceeded, message)
}
