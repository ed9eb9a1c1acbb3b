//! The writer: the one thread, connection and transaction through which everything changes.

mod append;
mod batch;
mod changes;
mod deltas;
mod outcome;
mod task;
mod writer;

pub(super) use task::{Reply, RowTask, Task, TaskKind};
pub use writer::Failure;
pub(super) use writer::{Message, Writer, WriterParts};
