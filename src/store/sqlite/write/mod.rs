//! The writer: the one thread, connection and transaction through which everything changes.

mod append;
mod batch;
mod changes;
mod deltas;
mod follow;
mod job;
mod outcome;
mod rotation;
mod task;
mod writer;

pub(super) use append::Gate;
pub(super) use follow::{advance, replace, weight};
pub(super) use job::{JobOf, Worked};
pub(super) use outcome::Stop;
pub(super) use task::{Reply, RowTask, Task, TaskKind};
pub use writer::Failure;
pub(super) use writer::{CHECKPOINT_BYTES, COMMIT_BYTES, Message, Writer, WriterParts};
