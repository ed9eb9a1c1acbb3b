//! The batcher: the only task and transaction through which this process appends.

mod batcher;
mod changes;
mod counted;
mod decide;
mod follow;
mod keys;
mod known;
mod plan;
mod rekey;
mod task;
mod transaction;

pub(super) use batcher::{Batcher, BatcherParts};
pub(super) use follow::settle;
pub(super) use rekey::{init_store_key, rekey_user};
pub(super) use task::Task;
