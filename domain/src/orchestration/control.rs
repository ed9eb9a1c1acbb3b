//! What was asked of a run from outside. Any process may ask, at any time, twice: the run's owner takes in what is new and says up to
//! where it has.

use super::error::RunError;
use super::event::{RunControlEvent, RunOnly};
use super::run::{Phase, Run};
use crate::id::RunId;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Stop for good.
    Cancel,
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
}

/// All that was asked of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunControl {
    /// What, in order; the place is the version.
    pub asked: Vec<Ask>,
}

impl RunControl {
    /// Version of the stream.
    pub fn version(&self) -> u64 {
        self.asked.len() as u64
    }

    /// What the owner has yet to take in: a cancellation if there is one, else the last word.
    pub fn pending(&self, spent: u64) -> Option<Ask> {
        let new = self.asked.get(usize::try_from(spent).ok()?..)?;
        if new.contains(&Ask::Cancel) { Some(Ask::Cancel) } else { new.last().copied() }
    }
}

/// Asks something of a run.
#[derive(Clone, Debug)]
pub struct AskRun {
    /// The run.
    pub run: RunId,
    /// What.
    pub ask: Ask,
}

impl AskRun {
    /// The event; none when things are as asked, or asked for already.
    ///
    /// # Errors
    /// [`RunError`], for a run that has ended, or isn't paused and should be resumed.
    pub fn decide(
        self,
        run: &Run,
        control: &RunControl,
    ) -> Result<Option<RunControlEvent>, RunError> {
        let pending = control.pending(run.control);
        let is_as_asked = match (self.ask, run.phase) {
            (_, Phase::None) => return Err(RunError::NotFound),
            (Ask::Cancel, Phase::Cancelled) => true,
            (_, Phase::Completed | Phase::Failed | Phase::Cancelled) => {
                return Err(RunError::Ended);
            }
            (Ask::Pause, Phase::Paused(_)) => pending.is_none(),
            (Ask::Resume, Phase::Queued | Phase::Running) if pending != Some(Ask::Pause) => {
                return Err(RunError::NotPaused);
            }
            (
                Ask::Cancel | Ask::Pause | Ask::Resume,
                Phase::Queued | Phase::Running | Phase::Paused(_),
            ) => false,
        };
        // A cancelled run is past saving, and what was asked last needn't be asked again.
        if is_as_asked || pending == Some(self.ask) || pending == Some(Ask::Cancel) {
            return Ok(None);
        }
        let facts = RunOnly { run: self.run };
        Ok(Some(match self.ask {
            Ask::Cancel => RunControlEvent::CancelRequested(facts),
            Ask::Pause => RunControlEvent::PauseRequested(facts),
            Ask::Resume => RunControlEvent::ResumeRequested(facts),
        }))
    }
}

/// What an ask is judged by besides the control stream itself.
#[derive(Clone, Debug)]
pub struct AskOn {
    /// What is asked.
    pub ask: AskRun,
    /// The run as it is.
    pub run: Run,
}

impl Aggregate for RunControl {
    const TYPE: &'static str = "run-control";
    type Command = AskOn;
    type Event = RunControlEvent;
    type Error = RunError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AskOn,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), RunError> {
        if let Some(event) = command.ask.decide(&command.run, self)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: RunControlEvent) {
        self.asked.push(match event {
            RunControlEvent::CancelRequested(_) => Ask::Cancel,
            RunControlEvent::PauseRequested(_) => Ask::Pause,
            RunControlEvent::ResumeRequested(_) => Ask::Resume,
        });
    }
}
