//! What a run set and its workers tell each other.

use super::decide::PreviousOwner;
use super::standby::Standby;
use claviger_domain::id::{RunId, UserId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Signals to a worker from its run set.
#[derive(Clone)]
pub(super) struct Signals {
    /// Start no further call; end when those under way have.
    pub(super) drain: CancellationToken,
    /// End now: record the usage of the calls under way, and leave the run to the next owner.
    pub(super) abort: CancellationToken,
    /// The lease is lost: append nothing more.
    pub(super) lost: CancellationToken,
}

/// Whether the worker with this seat only waits.
pub(super) struct Idle {
    pub(super) run: RunId,
    pub(super) number: u64,
    pub(super) waits: bool,
}

/// How a worker and its run set agree about the worker's place.
pub(super) struct Chair {
    pub(super) run: RunId,
    pub(super) number: u64,
    /// True while the place is wanted, if the worker only waits.
    pub(super) leave: watch::Receiver<bool>,
    /// Receives a message whenever the worker begins to wait for nothing but a turn, a time or a
    /// request, and when that is over.
    pub(super) idle: mpsc::UnboundedSender<Idle>,
}

/// A run to work on.
pub(super) struct Task {
    pub(super) owner: UserId,
    pub(super) run: RunId,
    pub(super) previous: PreviousOwner,
    /// What it kept while it had no place, if this process worked on it before.
    pub(super) standby: Option<Box<Standby>>,
}

/// How a worker ended.
pub(super) enum Outcome {
    /// There was no work, or all of it is done for now.
    Rests,
    /// The run belongs to another process, or may soon: the next scan of open runs decides.
    Left,
    /// The run can't be read or written for now.
    Unreadable,
    /// The run can't continue because of a fault in this program: this process doesn't try again.
    Broken,
    /// The run waits, and gives its place to another.
    Waits(Box<Standby>),
}
