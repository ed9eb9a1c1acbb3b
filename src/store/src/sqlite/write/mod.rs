//! The writer: the only thread, connection and transaction that changes the store.

mod append;
mod batch;
mod changes;
mod deltas;
mod follow;
mod job;
mod outcome;
mod refusing;
mod rotation;
mod task;
mod writer;

pub(super) use append::{Gate, SecondClock};
pub(super) use deltas::SLICE;
pub(super) use follow::{advance, replace, weight};
pub(super) use job::{JobOf, Worked};
pub(super) use outcome::{Stop, stored};
pub(super) use refusing::Refusing;
pub(super) use task::{Reply, RowTask, Task, TaskKind};
pub use writer::{CHECKPOINT_BYTES, COMMIT_BYTES, Failure};
pub(super) use writer::{Message, Writer, WriterParts};
