//! The batcher: the one task and transaction through which this process appends.

mod batcher;
mod changes;
mod decide;
mod follow;
mod known;
mod plan;
mod task;
mod transaction;

pub(super) use batcher::{Batcher, BatcherParts};
pub(super) use follow::settle;
pub(super) use task::Task;
