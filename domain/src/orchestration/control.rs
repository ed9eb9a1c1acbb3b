//! Requests to control a run, in a stream of their own. Any process may append one, at any time,
//! more than once. The process that works on the run acts on those that are new, and records in its
//! own events up to which version it has.

use super::aggregate::Run;
use super::error::RunError;
use super::event::{RunControlEvent, RunOnly};
use super::phase::Phase;
use crate::id::RunId;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

/// A request to control a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ControlRequest {
    /// End the run for good.
    Cancel,
    /// Start no further call, and pause once the calls under way have ended.
    Pause,
    /// Continue a paused run.
    Resume,
}

/// All control requests for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunControl {
    /// In the order of the stream: the request at index `n` has version `n + 1`.
    pub requests: Vec<ControlRequest>,
}

impl RunControl {
    /// Version of the stream.
    pub fn version(&self) -> u64 {
        self.requests.len() as u64
    }

    /// The request that the run's owner has yet to act on, where `spent` is the version up to which
    /// it has: a cancellation if there is one, else the latest.
    pub fn pending(&self, spent: u64) -> Option<ControlRequest> {
        let new = self.requests.get(usize::try_from(spent).ok()?..)?;
        let is_cancelled = new.contains(&ControlRequest::Cancel);
        if is_cancelled { Some(ControlRequest::Cancel) } else { new.last().copied() }
    }
}

/// Requests something of a run.
#[derive(Clone, Debug)]
pub struct ControlRun {
    /// The run.
    pub run: RunId,
    /// What is requested.
    pub request: ControlRequest,
}

impl ControlRun {
    /// The event; `None` when the run is in the requested state already, or the same request is
    /// pending.
    ///
    /// # Errors [`RunError`], for a run that does not exist or has ended, or that is to be resumed
    /// and isn't paused.
    pub fn decide(
        self,
        run: &Run,
        control: &RunControl,
    ) -> Result<Option<RunControlEvent>, RunError> {
        use ControlRequest as Request;
        let pending = control.pending(run.control);
        let is_as_requested = match (self.request, run.phase) {
            (_, Phase::None) => return Err(RunError::NotFound),
            (Request::Cancel, Phase::Cancelled) => true,
            (_, Phase::Completed | Phase::Failed | Phase::Cancelled) => {
                return Err(RunError::Ended);
            }
            (Request::Pause, Phase::Paused(_)) => pending.is_none(),
            (Request::Resume, Phase::Queued | Phase::Running)
                if pending != Some(Request::Pause) =>
            {
                return Err(RunError::NotPaused);
            }
            (
                Request::Cancel | Request::Pause | Request::Resume,
                Phase::Queued | Phase::Running | Phase::Paused(_),
            ) => false,
        };
        // Nothing takes back a cancellation, and the latest request needs no repeat.
        let is_pending = pending == Some(self.request) || pending == Some(Request::Cancel);
        if is_as_requested || is_pending {
            return Ok(None);
        }
        let facts = RunOnly { run: self.run };
        Ok(Some(match self.request {
            Request::Cancel => RunControlEvent::CancelRequested(facts),
            Request::Pause => RunControlEvent::PauseRequested(facts),
            Request::Resume => RunControlEvent::ResumeRequested(facts),
        }))
    }
}

/// A control request together with the run, by which it is judged besides the control stream
/// itself.
#[derive(Clone, Debug)]
pub struct ControlOnRun {
    /// The command.
    pub command: ControlRun,
    /// The run as it is now.
    pub run: Run,
}

impl Aggregate for RunControl {
    const TYPE: &'static str = "run-control";
    type Command = ControlOnRun;
    type Event = RunControlEvent;
    type Error = RunError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ControlOnRun,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), RunError> {
        if let Some(event) = command.command.decide(&command.run, self)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: RunControlEvent) {
        self.requests.push(match event {
            RunControlEvent::CancelRequested(_) => ControlRequest::Cancel,
            RunControlEvent::PauseRequested(_) => ControlRequest::Pause,
            RunControlEvent::ResumeRequested(_) => ControlRequest::Resume,
        });
    }
}
