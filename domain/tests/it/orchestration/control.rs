//! What may be asked of a run from outside.

use crate::given::{fold, run};
use crate::pattern_play::{Played, agents, task};
use claviger_domain::orchestration::{
    CancelRun, ControlRequest, ControlRun, Draft, PauseReason, PauseRun, Run, RunControl,
    RunControlEvent, RunError, RunOnly,
};

fn running() -> Played {
    Played::begin(Draft::Sequential { task: task("Go."), agents: agents(["Ann"]), sequence: None })
}

fn paused(control: u64) -> Played {
    let mut played = running();
    played.take(PauseRun { run: run(1), reason: PauseReason::Requested, control });
    played
}

fn cancelled() -> Played {
    let mut played = running();
    played.take(CancelRun { run: run(1), control: 1 });
    played
}

fn asked(asks: &[ControlRequest]) -> RunControl {
    fold(asks.iter().map(|ask| event(*ask)))
}

fn event(ask: ControlRequest) -> RunControlEvent {
    let facts = RunOnly { run: run(1) };
    match ask {
        ControlRequest::Cancel => RunControlEvent::CancelRequested(facts),
        ControlRequest::Pause => RunControlEvent::PauseRequested(facts),
        ControlRequest::Resume => RunControlEvent::ResumeRequested(facts),
    }
}

/// A run, what was asked of it before, what is asked now, and what comes of it.
type Row =
    (Run, &'static [ControlRequest], ControlRequest, Result<Option<ControlRequest>, RunError>);

#[test]
fn what_is_asked_for_already_or_is_so_is_not_asked_again() {
    use ControlRequest::{Cancel, Pause, Resume};
    let (ended, not_paused) = (Err(RunError::Ended), Err(RunError::NotPaused));
    let table: Vec<Row> = vec![
        (Run::default(), &[], Cancel, Err(RunError::NotFound)),
        (running().run, &[], Cancel, Ok(Some(Cancel))),
        (running().run, &[], Pause, Ok(Some(Pause))),
        (running().run, &[], Resume, not_paused),
        (running().run, &[Pause], Pause, Ok(None)),
        (running().run, &[Pause], Resume, Ok(Some(Resume))),
        (running().run, &[Pause, Resume], Pause, Ok(Some(Pause))),
        (running().run, &[Cancel], Pause, Ok(None)),
        (running().run, &[Pause], Cancel, Ok(Some(Cancel))),
        (paused(1).run, &[Pause], Pause, Ok(None)),
        (paused(1).run, &[Pause], Resume, Ok(Some(Resume))),
        (paused(1).run, &[Pause, Resume], Resume, Ok(None)),
        (paused(1).run, &[Pause, Resume], Pause, Ok(Some(Pause))),
        (paused(1).run, &[Pause], Cancel, Ok(Some(Cancel))),
        (cancelled().run, &[Cancel], Cancel, Ok(None)),
        (cancelled().run, &[Cancel], Pause, ended),
        (cancelled().run, &[Cancel], Resume, ended),
    ];
    for (state, before, ask, expected) in table {
        let decided = ControlRun { run: run(1), request: ask }.decide(&state, &asked(before));
        assert_eq!(
            decided,
            expected.map(|ask| ask.map(event)),
            "{ask:?} of a run that is {:?} after {before:?}",
            state.phase
        );
    }
}

#[test]
fn the_owner_takes_in_the_last_word_and_a_cancellation_before_all() {
    use ControlRequest::{Cancel, Pause, Resume};
    assert_eq!(asked(&[]).pending(0), None);
    assert_eq!(asked(&[Pause, Resume]).pending(0), Some(Resume));
    assert_eq!(asked(&[Pause, Resume]).pending(1), Some(Resume));
    assert_eq!(asked(&[Pause, Resume]).pending(2), None);
    assert_eq!(asked(&[Cancel, Pause]).pending(0), Some(Cancel));
    assert_eq!(asked(&[Pause]).pending(9), None);
}
